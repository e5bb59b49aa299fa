"""The reverse index: from a feature, view or service to the model versions that use it.

Feast's lineage ends at the feature service, MLflow's begins at the run; this index joins the two.
Answers are complete and paged, and a cursor stays valid when the index is rebuilt.

Versions are numbered in the order in which answers list them, so that a posting list is a sorted
array of four-byte numbers, and the union of posting lists is one sort of numbers.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

from feature_lineage.features.definitions import feeding_views
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.features.views import field_types
from feature_lineage.features.views import inputs as view_inputs
from feature_lineage.models.facts import ModelVersion
from feature_lineage.models.impact_page import AffectedVersion, ImpactPage
from feature_lineage.models.links import Link

VersionOrder = tuple[str, int, str]
"""Sorts versions by model, then by version as a number."""


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """A model version in the index.

    Attributes:
        service: the feature service it is served through, "" if none.
        refs: its features, sorted.
    """

    model: str
    version: str
    aliases: tuple[str, ...]
    service: str
    refs: tuple[FeatureRef, ...]

    @property
    def cursor(self) -> str:
        return f"{self.model}/{self.version}"

    @property
    def sort_key(self) -> VersionOrder:
        return version_order(self.model, self.version)


class AffectedVersions:
    """All model versions that a change would affect; items and pages are made on demand."""

    def __init__(
        self, index: "ReverseIndex", numbers: "array[int]", refs: frozenset[FeatureRef] | None
    ) -> None:
        self._index = index
        self._numbers = numbers
        self._refs = refs

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[AffectedVersion]:
        return map(self._affected, self._numbers)

    def page(self, after: str | None = None, limit: int = 100) -> ImpactPage:
        """Up to `limit` versions behind the cursor `after` (``model/version``)."""
        start = 0
        if after is not None:
            model, _, version = after.rpartition("/")
            key = version_order(model, version)
            start = bisect_right(self._numbers, key, key=self._key)
        chosen = self._numbers[start : start + max(limit, 1)]
        more = start + len(chosen) < len(self._numbers)
        every = [self._index.versions[number] for number in self._numbers]
        return ImpactPage(
            items=tuple(map(self._affected, chosen)),
            total=len(every),
            promoted=sum(1 for version in every if version.aliases),
            services=tuple(sorted({version.service for version in every} - {""})),
            after=self._index.versions[chosen[-1]].cursor if more else None,
        )

    def _key(self, number: int) -> VersionOrder:
        return self._index.versions[number].sort_key

    def _affected(self, number: int) -> AffectedVersion:
        version = self._index.versions[number]
        refs = version.refs
        if self._refs is not None:
            refs = tuple(ref for ref in refs if ref in self._refs)
        return AffectedVersion(
            version.model, version.version, version.aliases, version.service, refs
        )


class ReverseIndex:
    """Immutable index: feature → views → services → model versions → aliases.

    Attributes:
        versions: sorted by model, then by version as a number.
    """

    def __init__(
        self, versions: tuple[IndexedVersion, ...], snapshot: RegistrySnapshot | None
    ) -> None:
        self.versions = versions
        self._snapshot = snapshot
        self._by_ref: dict[FeatureRef, array[int]] = {}
        self._by_service: dict[str, array[int]] = {}
        for number, version in enumerate(versions):
            for ref in version.refs:
                self._by_ref.setdefault(ref, array("I")).append(number)
            if version.service:
                self._by_service.setdefault(version.service, array("I")).append(number)
        self._by_view: dict[str, list[FeatureRef]] = {}
        for ref in self._by_ref:
            self._by_view.setdefault(ref.view, []).append(ref)

    def impact_of_feature(self, ref: FeatureRef) -> AffectedVersions:
        """Versions that use the feature, in any version of its view, or what computes from it."""
        return self._users_of(self._computed_from(ref.view, ref.feature))

    def impact_of_view(self, view: str) -> AffectedVersions:
        """Versions that use a feature of the view, or of a view that it feeds."""
        names = {name for name in self._by_view if view in self._feeding(name)} | {view}
        return self._users_of({ref for name in names for ref in self._by_view.get(name, ())})

    def impact_of_service(self, service: str) -> AffectedVersions:
        """Versions that are served through the service."""
        return AffectedVersions(self, self._by_service.get(service, array("I")), None)

    def uses(self, view: str, feature: str) -> Iterator[IndexedVersion]:
        """Versions that use the feature itself, in any version of its view."""
        postings = [
            self._by_ref[ref] for ref in self._by_view.get(view, ()) if ref.feature == feature
        ]
        return (self.versions[number] for number in sorted({n for each in postings for n in each}))

    def served_through(self, service: str) -> Iterator[IndexedVersion]:
        """Versions that are served through the service."""
        return (self.versions[number] for number in self._by_service.get(service, ()))

    @property
    def used_refs(self) -> Iterable[FeatureRef]:
        """Every reference that a version uses, once."""
        return self._by_ref.keys()

    @property
    def used_services(self) -> Iterable[str]:
        """Every feature service through which a version is served, once."""
        return self._by_service.keys()

    def version(self, model: str, version: str) -> IndexedVersion | None:
        key = version_order(model, version)
        place = bisect_left(self.versions, key, key=lambda item: item.sort_key)
        found = self.versions[place] if place < len(self.versions) else None
        return found if found is not None and found.sort_key == key else None

    def of_model(self, model: str) -> tuple[IndexedVersion, ...]:
        """All versions of a registered model."""
        names = attrgetter("model")
        first = bisect_left(self.versions, model, key=names)
        return self.versions[first : bisect_right(self.versions, model, key=names)]

    def _users_of(self, refs: Iterable[FeatureRef]) -> AffectedVersions:
        known = frozenset(ref for ref in refs if ref in self._by_ref)
        numbers = {number for ref in known for number in self._by_ref[ref]}
        return AffectedVersions(self, array("I", sorted(numbers)), known)

    def _feeding(self, view: str) -> frozenset[str]:
        return feeding_views(self._snapshot, view) if self._snapshot is not None else frozenset()

    def _computed_from(self, view: str, feature: str) -> set[FeatureRef]:
        """Used references of the feature, and of all that is computed from it."""
        found: set[FeatureRef] = set()
        seen = {(view, feature)}
        pending = [(view, feature)]
        while pending:
            name, own = pending.pop()
            found.update(ref for ref in self._by_view.get(name, ()) if ref.feature == own)
            new = self._computed.get((name, own), set()) - seen
            seen |= new
            pending += new
        return found

    @cached_property
    def _computed(self) -> dict[tuple[str, str], set[tuple[str, str]]]:
        """(view, feature) → features that are computed directly from it."""
        steps: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for _, name, spec in self._snapshot.views() if self._snapshot is not None else ():
            if "sources" in spec or "source_views" in spec:
                own = {(name, feature) for feature in field_types(spec.get("features"))}
                for item in view_inputs(self._snapshot, spec) if self._snapshot else ():
                    steps.setdefault((item.view, item.feature), set()).update(own)
        return steps


def build(
    linked: Iterable[tuple[ModelVersion, Link]], snapshot: RegistrySnapshot | None = None
) -> ReverseIndex:
    """Index versions; one whose features are not known is no user of any.

    Args:
        linked: model versions with their links, in any order.
        snapshot: says which views feed others; without it, only direct uses are found.
    """
    shared: dict[tuple[FeatureRef, ...], tuple[FeatureRef, ...]] = {}
    lists = ((version, link, _sorted(link.refs)) for version, link in linked)
    versions = [
        IndexedVersion(
            version.name,
            version.version,
            version.aliases,
            link.service,
            shared.setdefault(refs, refs),
        )
        for version, link, refs in lists
    ]
    versions.sort(key=lambda item: item.sort_key)
    return ReverseIndex(tuple(versions), snapshot)


def _sorted(refs: tuple[FeatureRef, ...]) -> tuple[FeatureRef, ...]:
    return tuple(sorted(refs, key=_ref_key))


def version_order(model: str, version: str) -> VersionOrder:
    """The place of a version among all versions."""
    is_number = version.isascii() and version.isdigit() and len(version) < 10
    return (model, int(version) if is_number else -1, version)


def _ref_key(ref: FeatureRef) -> tuple[str, str, int]:
    return (ref.view, ref.feature, -1 if ref.version is None else ref.version)
