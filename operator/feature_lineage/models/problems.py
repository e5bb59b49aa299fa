"""Compares feature definitions at training time with the current registry.

Verdicts compare with the registry as it is, protection with the registry as a plan would make it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from feature_lineage.features.definitions import GONE, FeatureDefinition, Missing, look_up
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import service_refs
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.features.views import same_type, source_texts, ttl_text
from feature_lineage.untrusted import Name


class ProblemKind(StrEnum):
    """How a feature differs from its definition at training time."""

    FEATURE_GONE = "FeatureGone"
    VIEW_GONE = "ViewGone"
    SERVICE_GONE = "ServiceGone"
    TYPE_CHANGED = "TypeChanged"
    JOIN_KEYS_CHANGED = "JoinKeysChanged"
    SOURCE_CHANGED = "SourceChanged"
    TRANSFORMATION_CHANGED = "TransformationChanged"
    TTL_CHANGED = "TTLChanged"
    VERSION_CHANGED = "VersionChanged"
    SERVING_FAILS = "ServingFails"
    NOT_ONLINE = "NotOnline"
    VIEW_DISABLED = "ViewDisabled"
    VIEW_KIND_CHANGED = "ViewKindChanged"
    ENTITY_GONE = "EntityGone"
    REQUEST_CHANGED = "RequestChanged"
    COLUMN_RENAMED = "ColumnRenamed"
    COLUMN_GONE = "ColumnGone"
    NAMES_COLLIDE = "NamesCollide"
    SERVICE_REORDERED = "ServiceReordered"
    SERVICE_GREW = "ServiceGrew"


INPUT: Final = "input "
"""Begins `Problem.was`, before a reference, if an input of the feature differs."""

BREAKING = frozenset(
    {
        ProblemKind.FEATURE_GONE,
        ProblemKind.VIEW_GONE,
        ProblemKind.SERVICE_GONE,
        ProblemKind.TYPE_CHANGED,
        ProblemKind.JOIN_KEYS_CHANGED,
        ProblemKind.SERVING_FAILS,
        ProblemKind.NOT_ONLINE,
        ProblemKind.VIEW_DISABLED,
        ProblemKind.VIEW_KIND_CHANGED,
        ProblemKind.ENTITY_GONE,
        ProblemKind.REQUEST_CHANGED,
        ProblemKind.COLUMN_RENAMED,
        ProblemKind.COLUMN_GONE,
        ProblemKind.NAMES_COLLIDE,
    }
)


COMPUTED: Final = "on-demand view"
"""A kind of view in the texts of `ProblemKind.VIEW_KIND_CHANGED`."""
MAX_INPUTS: Final = 10_000
"""Problems of inputs that are told of one model, besides the first of each feature."""

TELLING = frozenset({ProblemKind.FEATURE_GONE, ProblemKind.VIEW_GONE, ProblemKind.SERVICE_GONE})
"""With one of these, the words of Feast add nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One difference between a feature at training time and now.

    Attributes:
        feature: the feature reference; for a problem of a service, a view or a retrieval, that.
        kind: what differs.
        was: short text of the old state.
        now: short text of the new state, "" when gone.
    """

    feature: Name
    kind: ProblemKind
    was: str = ""
    now: str = ""


def compare(
    baseline: Iterable[FeatureDefinition], current: RegistrySnapshot, service: str = ""
) -> tuple[Problem, ...]:
    """All differences of the features from their baseline, sorted.

    Args:
        baseline: definitions at training time, or at first sight.
        current: the registry to compare with: as it is, or as a plan would make it.
        service: the feature service that serves the model; "" if none does.
    """
    found: set[Problem] = set()
    served = _served(current, service) if service else None
    inputs = _Inputs()
    if service and served is None:
        found.add(Problem(service, ProblemKind.SERVICE_GONE, was=f"service {service}"))
    for was in baseline:
        now = look_up(current, was.ref, service)
        if isinstance(now, Missing):
            found.add(_absent(now, was.dtype))
        elif served is not None and (was.ref.view, was.ref.feature) not in served:
            found.add(_not_served(was.ref, service))
        else:
            # Only an existing service renames join keys.
            plain = was if served or not was.renamed else replace(was, renamed=())
            found.update(_differences(plain, now, inputs))
            found.update(_repinned(was.ref, served or {}))
    return tuple(sorted(found))


def gone(refs: Iterable[FeatureRef], current: RegistrySnapshot) -> tuple[Problem, ...]:
    """The references without a baseline that the registry does not define either, sorted."""
    found = (look_up(current, ref) for ref in refs)
    return tuple(sorted(_absent(item, "") for item in found if isinstance(item, Missing)))


def _absent(missing: Missing, was: str) -> Problem:
    kind = ProblemKind.VIEW_GONE if missing.what == "view" else ProblemKind.FEATURE_GONE
    if missing.what == "view":
        was = f"view {missing.view}"
    return Problem(str(missing.ref), kind, was=was)


def _differences(
    was: FeatureDefinition, now: FeatureDefinition, changed: "_Inputs"
) -> Iterator[Problem]:
    if was == now:
        return
    ref = str(was.ref)
    if was.dtype and now.dtype and not same_type(was.dtype, now.dtype):
        yield Problem(ref, ProblemKind.TYPE_CHANGED, was.dtype, now.dtype)
    if (was.join_keys, was.renamed) != (now.join_keys, now.renamed):
        yield Problem(ref, ProblemKind.JOIN_KEYS_CHANGED, _keys(was), _keys(now))
    if was.version != now.version:
        yield Problem(ref, ProblemKind.VERSION_CHANGED, _pin(was.version), _pin(now.version))
    if was.source != now.source and not (was.data and was.data == now.data):
        yield Problem(ref, ProblemKind.SOURCE_CHANGED, *source_texts(was.source, now.source))
    for name, state in changed.between(was, now):
        yield Problem(ref, ProblemKind.SOURCE_CHANGED, f"{INPUT}{name}", f"{name} {state}")
    if was.transformation != now.transformation:
        texts = was.transformation[:12], now.transformation[:12]
        yield Problem(ref, ProblemKind.TRANSFORMATION_CHANGED, *texts)
    elif was.closure and now.closure and was.closure != now.closure:
        texts = f"code {was.closure[:12]}", f"code {now.closure[:12]}"
        yield Problem(ref, ProblemKind.TRANSFORMATION_CHANGED, *texts)
    if was.ttl != now.ttl:
        yield Problem(ref, ProblemKind.TTL_CHANGED, ttl_text(was.ttl), ttl_text(now.ttl))


class _Inputs:
    """The inputs that differ, found once for all features of an on-demand view.

    A model may use 10,000 features of a view with 10,000 inputs: of `MAX_INPUTS` further ones, the
    first is told for each feature.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[tuple[str, str], ...]] = {}
        self._kept: list[object] = []
        self._told = 0

    def between(
        self, was: FeatureDefinition, now: FeatureDefinition
    ) -> tuple[tuple[str, str], ...]:
        """The inputs that differ, and how."""
        # A guard of an older operator has only `inputs`.
        old, new = was.input_data, now.input_data
        if not old:
            old, new = was.inputs, now.inputs
        key = id(old), id(new)
        if key not in self._known:
            self._kept += old, new  # so that their ids stay theirs
            current = dict(new)
            self._known[key] = tuple(
                (name, "differs" if current.get(name, GONE) != GONE else "gone")
                for name, digest in old
                if current.get(name, GONE) != digest
            )
        told = self._known[key][: max(1, MAX_INPUTS - self._told)]
        self._told += len(told)
        return told


def _served(
    current: RegistrySnapshot, service: str
) -> Mapping[tuple[str, str], list[int | None]] | None:
    """(view, feature) → the versions that a service has; None if it does not exist."""
    if (refs := service_refs(current, service)) is None:
        return None
    key = ("served", service)
    if key not in current.derived:
        found: dict[tuple[str, str], list[int | None]] = {}
        for ref in refs:
            found.setdefault((ref.view, ref.feature), []).append(ref.version)
        current.derived[key] = found
    served: Mapping[tuple[str, str], list[int | None]] = current.derived[key]
    return served


def _not_served(ref: FeatureRef, service: str) -> Problem:
    return Problem(str(ref), ProblemKind.FEATURE_GONE, was=f"in service {service}")


def _repinned(
    ref: FeatureRef, served: Mapping[tuple[str, str], list[int | None]]
) -> Iterator[Problem]:
    versions = served.get((ref.view, ref.feature), [])
    if versions and ref.version not in versions:
        texts = (_pin("" if v is None else f"v{v}") for v in (ref.version, versions[0]))
        yield Problem(str(ref), ProblemKind.VERSION_CHANGED, *texts)


def _keys(definition: FeatureDefinition) -> str:
    keys = [f"{key} {value_type}".rstrip() for key, value_type in definition.join_keys]
    return ", ".join(keys + [f"{key} as {name}" for key, name in definition.renamed if key != name])


def _pin(version: str) -> str:
    return version or "latest"
