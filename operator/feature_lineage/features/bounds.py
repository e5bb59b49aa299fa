"""Refuses a snapshot of few bytes from which lineage would be computed for minutes.

What a view depends on grows with the views that feed it, and with the product of its features and
inputs. A registry of 100 kB may so have a billion dependencies. They are counted first, at a cost
that is bounded, too.
"""

from typing import Final

from feature_lineage.errors import InvalidReport
from feature_lineage.features import views
from feature_lineage.features.snapshot import JsonObject, RegistrySnapshot
from feature_lineage.reasons import Reason

MAX_DEPENDENCIES: Final = 200_000
"""As `check_dependencies` counts them; a registry of 700 views has a few 10,000."""


def read_stored(text: bytes, digest: str) -> RegistrySnapshot:
    """A snapshot that was stored with this digest; somebody else may have stored it.

    Raises:
        InvalidReport: as `RegistrySnapshot.from_json` and `check_dependencies` say.
    """
    snapshot = RegistrySnapshot.from_json(text, digest)
    check_dependencies(snapshot)
    return snapshot


def check_dependencies(snapshot: RegistrySnapshot) -> None:
    """Check that the lineage of an untrusted snapshot can be computed in a short time.

    Counted are, for each view and each projection of a service: the views that feed the view, their
    sources and join keys, and its inputs.

    Raises:
        InvalidReport: there are more than `MAX_DEPENDENCIES`.
    """
    counted = _Counted(snapshot)
    for _, name, _ in snapshot.views():
        counted.add(1 + counted.of_view(name))
    for spec in snapshot.objects.get("feature_service", {}).values():
        for projection in views.mappings(spec.get("features")):
            counted.add(1 + counted.of_view(views.text(projection.get("feature_view_name"))))


class _Counted:
    def __init__(self, snapshot: RegistrySnapshot) -> None:
        self._snapshot = snapshot
        self._total = 0
        self._of_views: dict[str, int] = {}
        self._features: dict[str, int] = {}

    def add(self, number: int) -> None:
        self._total += number
        if self._total > MAX_DEPENDENCIES:
            raise InvalidReport(
                f"the registry of project {self._snapshot.project[:100]!r} is not read: its views "
                f"and services have more than {MAX_DEPENDENCIES} dependencies on views, inputs and "
                "join keys; split the project into smaller ones",
                reason=Reason.REPORT_TOO_LARGE,
            )

    def of_view(self, name: str) -> int:
        """Views that feed a view, with their sources and join keys, and its inputs."""
        if name not in self._of_views:
            self._of_views[name] = self._count(name)
        return self._of_views[name]

    def _count(self, name: str) -> int:
        found = self._snapshot.view(name)
        if found is None:
            return 0
        number = self._inputs(found[1])
        seen, pending = {name}, [found[1]]
        while pending:
            spec = pending.pop()
            number += _keys(spec)
            sources = views.source_views(spec)
            self.add(len(sources))
            for source in sources - seen:
                seen.add(source)
                if (feeding := self._snapshot.view(source)) is not None:
                    pending.append(feeding[1])
        return number

    def _inputs(self, spec: JsonObject) -> int:
        """How many `views.inputs` finds."""
        listed, whole = views.listed_inputs(spec)
        return len(listed) + sum(map(self._features_of, set(whole)))

    def _features_of(self, view: str) -> int:
        if view not in self._features:
            found = self._snapshot.view(view)
            features = views.field_types(found[1].get("features")) if found is not None else ()
            self._features[view] = len(features)
        return self._features[view]


def _keys(spec: JsonObject) -> int:
    entities = spec.get("entities")
    own = len(entities) if isinstance(entities, list | tuple) else 0
    return own + len(views.field_types(spec.get("entity_columns")))
