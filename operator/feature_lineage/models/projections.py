"""Compares recorded lists with the projections of the feature services in a registry.

A record spells features as a request does: with the aliases of a service, joined by commas. Only a
service knows which view an alias names, and which comma is a part of a name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from feature_lineage.features.definitions import define_all
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import ServiceMember, service_members
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.features.views import field_types
from feature_lineage.models.recorded import FeatureRecord, is_reference, parse

__all__ = ["Projections", "refs_of"]

_FULL_NAME: Final = "__"
"""Between view and feature in the name of a column, if full names were requested."""

_VIEWS_BY: Final = "views_by_feature"


@dataclass(frozen=True, slots=True)
class Projections:
    """The services of a registry, as of training first, then as last read.

    Attributes:
        registries: in the order in which a service is looked up.
        likely: names of services that a record names or the resource declares.
    """

    registries: tuple[RegistrySnapshot, ...]
    likely: tuple[str, ...]

    def with_lost(self, records: Iterable[FeatureRecord]) -> "Projections":
        """With the services of lists whose tags a later retrieval replaced, the name included."""
        names = tuple(self.exact(record) for record in records if record.replaced)
        return replace(self, likely=(*self.likely, *filter(None, names)))

    def members(self, service: str) -> tuple[ServiceMember, ...] | None:
        """Members of a service; None if no registry has it."""
        found = (service_members(registry, service) for registry in self.registries if service)
        return next((members for members in found if members is not None), None)

    def refs(self, record: FeatureRecord) -> tuple[FeatureRef, ...]:
        """References of a list, by the real names of their views; malformed items are left out."""
        if not record.precise and (service := self._spelled_so(record, self.likely)):
            return refs_of(self.members(service) or ())
        items = self._with_commas(record) or record.items
        parsed = tuple(ref for item in items if (ref := parse(item)) is not None)
        for service in self.likely:
            own = {member.spelled: member.ref for member in self.members(service) or ()}
            if own and own.keys() >= {str(ref) for ref in parsed}:
                return tuple(dict.fromkeys(own[str(ref)] for ref in parsed))
        return tuple(dict.fromkeys(parsed))

    def precise(self, record: FeatureRecord) -> bool:
        """Whether the list is whole."""
        return (
            record.precise
            or bool(self._spelled_so(record, self.likely))
            or bool(self._with_commas(record))
        )

    def exact(self, record: FeatureRecord) -> str:
        """The only service that is spelled like the list, "" if there is none or several."""
        registry = self.registries[0] if self.registries else None
        names = registry.objects.get("feature_service", {}) if registry is not None else ()
        found = [name for name in names if self._spelled_so(record, (name,))]
        return found[0] if len(found) == 1 else ""

    def read_by(self, inputs: tuple[str, ...] | None, record: FeatureRecord) -> bool:
        """Whether a model with these columns can only have been trained on the list.

        The columns are those of the list, and no other view has a feature of the same name.
        """
        refs, names = self.refs(record), frozenset(inputs or ())
        if not refs or not names or len(inputs or ()) != len(record.items):
            return False
        if names == {item.replace(":", _FULL_NAME, 1) for item in record.items}:
            return True
        if names != {ref.feature for ref in refs} or not self.registries:
            return False
        return all(self._views_with(name) == 1 for name in names)

    def _spelled_so(self, record: FeatureRecord, services: Iterable[str]) -> str:
        """The first service whose features, joined by commas, are the text of the list."""
        for service in services:
            members = self.members(service)
            if members is None or record.count not in (None, len(members)):
                continue
            if ",".join(member.spelled for member in members) == record.text:
                return service
        return ""

    def _with_commas(self, record: FeatureRecord) -> tuple[str, ...]:
        """The items, where commas in names explain why they are more than recorded; else ()."""
        if record.cut or record.count is None or len(record.items) <= record.count:
            return ()
        pieces: list[list[str]] = []
        for piece in record.text.split(","):
            if ":" not in piece and pieces:
                pieces[-1].append(piece)
                continue
            if len(pieces) == record.count:
                return ()
            pieces.append([piece])
        items = [",".join(parts) for parts in pieces]
        refs = tuple(ref for item in items if is_reference(item) and (ref := parse(item)))
        if len(refs) != record.count or len(items) != record.count:
            return ()
        known = any(len(define_all(each, refs)) == len(refs) for each in self.registries)
        return tuple(items) if known else ()

    def _views_with(self, feature: str) -> int:
        """How many views have a feature of this name, in any of the registries."""
        views: set[str] = set()
        for registry in self.registries:
            views |= _views_by(registry).get(feature, frozenset())
        return len(views)


def _views_by(registry: RegistrySnapshot) -> Mapping[str, frozenset[str]]:
    """Feature → the views that have a feature of this name."""
    if _VIEWS_BY not in registry.derived:
        found: dict[str, set[str]] = {}
        for _, name, spec in registry.views():
            for feature in field_types(spec.get("features")):
                found.setdefault(feature, set()).add(name)
        registry.derived[_VIEWS_BY] = {each: frozenset(views) for each, views in found.items()}
    views_by: Mapping[str, frozenset[str]] = registry.derived[_VIEWS_BY]
    return views_by


def refs_of(members: Iterable[ServiceMember]) -> tuple[FeatureRef, ...]:
    """Distinct references of the members of a service, in its order."""
    return tuple(dict.fromkeys(member.ref for member in members))
