"""Refuses a snapshot of few bytes from which lineage would be computed for minutes.

What a view depends on grows with the views that feed it, and with the product of its features and
inputs. A registry of 100 kB may so have a billion dependencies. They are counted first, at a cost
that is bounded, too: lists are counted as they are written, with what they repeat.
"""

from typing import Final

from feature_lineage.errors import TooManyDependencies
from feature_lineage.features import views
from feature_lineage.features.snapshot import JsonObject, RegistrySnapshot
from feature_lineage.large_parses import check_turn

MAX_DEPENDENCIES: Final = 2_000_000
"""As `check_dependencies` counts them. All views of as many take up to 3 s, or one service; a
registry of 700 views with 10,000 features and 1,000 services of 50 views has 800,000."""
_VIEW: Final = 20
_INPUT: Final = 10
_VISIT: Final = 5
_DIGESTED: Final = 100
"""Characters of keys and inputs that take as long as one dependency in a digest of features."""
_QUOTED: Final = 8
"""Characters around a pair of texts in JSON."""
_DIGEST: Final = 32
"""Characters of the digest of an input."""


def read_stored(text: bytes, digest: str) -> RegistrySnapshot:
    """A snapshot that was stored with this digest; somebody else may have stored it.

    Raises:
        InvalidReport: as `RegistrySnapshot.from_json` says.
        TooManyDependencies: as `check_dependencies` says.
        NeedsTurn: as `check_turn` says.
    """
    check_turn(text)
    snapshot = RegistrySnapshot.from_json(text, digest)
    check_dependencies(snapshot)
    return snapshot


def check_dependencies(snapshot: RegistrySnapshot) -> None:
    """Check that the lineage of an untrusted snapshot can be computed in a short time.

    Counted are, for each view: the views that feed the view, their sources and join keys, and once
    more the join keys of each source, and its inputs; for each of its features the text of its keys
    and inputs, which the digest of the features repeats. For each projection of a service: the
    sources and join keys of the views that feed its view. A view counts as 20, an input as 10, and
    a view that feeds another one as 5: they take so much longer than a key.

    Raises:
        TooManyDependencies: there are more than `MAX_DEPENDENCIES`.
    """
    counted = _Counted(snapshot)
    for name in dict.fromkeys(name for _, name, _ in snapshot.views()):
        counted.add_view(name)
    for spec in snapshot.objects.get("feature_service", {}).values():
        for projection in views.mappings(spec.get("features")):
            view = views.text(projection.get("feature_view_name"))
            counted.add(1 + counted.feeding(view)[0])


class _Counted:
    def __init__(self, snapshot: RegistrySnapshot) -> None:
        self._snapshot = snapshot
        self._total = 0
        self._feeding: dict[str, tuple[int, int, int]] = {}
        self._texts: dict[str, int] = {}

    def add(self, number: int) -> None:
        self._total += number
        if self._total > MAX_DEPENDENCIES:
            raise TooManyDependencies(
                f"the registry of project {self._snapshot.project[:100]!r} has too many "
                f"dependencies: its views and services have more than {MAX_DEPENDENCIES:,} on "
                "views, inputs and join keys; split the project into smaller ones"
            )

    def add_view(self, name: str) -> None:
        """Add what is computed of a view: its inputs, and the keys that each source brings."""
        spec = self._spec(name)
        inputs, text = self._inputs(spec)
        self.add(_VIEW + _INPUT * inputs)
        for each in (name, *views.sources_of(self._snapshot, name)):
            self.add(self.feeding(each)[1])
        digested = text + self.feeding(name)[2]
        self.add(_length(spec.get("features")) * digested // _DIGESTED)

    def feeding(self, name: str) -> tuple[int, int, int]:
        """Of a view and those that feed it: sources and join keys, the join keys alone, and how
        many characters these have."""
        if name not in self._feeding:
            entries = keys = characters = 0
            seen, pending = {name}, [name]
            while pending:
                each = pending.pop()
                spec, sources = self._spec(each), views.sources_of(self._snapshot, each)
                own = _length(spec.get("entities")) + _length(spec.get("entity_columns"))
                read = _length(spec.get("sources")) + _length(spec.get("source_views"))
                keys, entries = keys + own, entries + own + read
                characters += self._key_text(each)
                self.add(_VISIT + own + read)
                pending += sources - seen
                seen |= sources
            self._feeding[name] = entries, keys, characters
        return self._feeding[name]

    def _key_text(self, name: str) -> int:
        if name not in self._texts:
            keys = views.join_keys_of(self._snapshot, name)
            self._texts[name] = sum(len(key) + len(dtype) + _QUOTED for key, dtype in keys.items())
        return self._texts[name]

    def _inputs(self, spec: JsonObject) -> tuple[int, int]:
        """How many `views.inputs` reads, and how many characters they have with their digests."""
        listed, whole = views.listed_inputs(spec)
        number, text = len(listed), sum(len(i.view) + len(i.feature) for i in listed)
        for name in set(whole):
            features = self._spec(name).get("features")
            number += _length(features)
            text += sum(
                len(name) + len(views.text(field.get("name"))) for field in views.mappings(features)
            )
        return number, text + (_DIGEST + _QUOTED) * number

    def _spec(self, name: str) -> JsonObject:
        found = self._snapshot.view(name)
        return found[1] if found is not None else {}


def _length(value: object) -> int:
    return len(value) if isinstance(value, list | tuple | dict) else 0
