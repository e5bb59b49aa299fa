"""The reverse index: from a feature or a feature service to the model versions that use it.

Feast's lineage ends at the feature service, MLflow's begins at the run; this index joins the two.

Versions are numbered in the order in which answers list them, so that a posting list is a sorted
array of four-byte numbers, and the union of posting lists is one sort of numbers.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from feature_lineage.features.refs import FeatureRef
from feature_lineage.models.facts import ModelVersion
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


class ReverseIndex:
    """Immutable index from a feature or a feature service to the model versions that use it.

    Attributes:
        versions: sorted by model, then by version as a number.
    """

    def __init__(self, versions: tuple[IndexedVersion, ...]) -> None:
        self.versions = versions
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


def build(linked: Iterable[tuple[ModelVersion, Link]]) -> ReverseIndex:
    """Index versions, in any order; one whose features are not known is no user of any."""
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
    return ReverseIndex(tuple(versions))


def _sorted(refs: tuple[FeatureRef, ...]) -> tuple[FeatureRef, ...]:
    return tuple(sorted(refs, key=_ref_key))


def version_order(model: str, version: str) -> VersionOrder:
    """The place of a version among all versions."""
    is_number = version.isascii() and version.isdigit() and len(version) < 10
    return (model, int(version) if is_number else -1, version)


def _ref_key(ref: FeatureRef) -> tuple[str, str, int]:
    return (ref.view, ref.feature, -1 if ref.version is None else ref.version)
