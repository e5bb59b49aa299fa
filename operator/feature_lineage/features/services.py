"""Members of a feature service: its projections, by the real names of their views.

A run records the features of a service with the service's aliases and versions; the registry has
the real names. This module translates one into the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import JsonObject, RegistrySnapshot
from feature_lineage.features.views import dtype, mapping, mappings, number, text


@dataclass(frozen=True, slots=True)
class ServiceMember:
    """One feature in a service.

    Attributes:
        ref: with the view's real name.
        spelled: as Feast records it in a run: ``alias@v2:feature``.
        dtype: type in the projection.
        join_key_map: (join key of the view, join key of the request), sorted.
    """

    ref: FeatureRef
    spelled: str
    dtype: str
    join_key_map: tuple[tuple[str, str], ...] = ()


def members_of(spec: JsonObject) -> tuple[ServiceMember, ...]:
    """Members of a service's spec, in the order of its projections."""
    members = []
    for projection in mappings(spec.get("features")):
        view = text(projection.get("feature_view_name"))
        alias = text(projection.get("feature_view_name_alias")) or view
        version = number(projection.get("version_tag"))
        suffix = "" if version is None else f"@v{version}"
        keys = tuple(
            sorted((k, str(v)) for k, v in mapping(projection.get("join_key_map")).items())
        )
        for column in mappings(projection.get("feature_columns")):
            feature = text(column.get("name"))
            ref = FeatureRef(view, feature, version)
            members.append(ServiceMember(ref, f"{alias}{suffix}:{feature}", dtype(column), keys))
    return tuple(members)


def service_members(snapshot: RegistrySnapshot, service: str) -> tuple[ServiceMember, ...] | None:
    """Members of a service, None if the snapshot has no such service.

    A view that is projected twice under different aliases has two members for one reference, as it
    has two columns in a training set.
    """
    spec = snapshot.objects.get("feature_service", {}).get(service)
    if spec is None:
        return None
    key = ("service_members", service)
    if key not in snapshot.derived:
        snapshot.derived[key] = members_of(spec)
    members: tuple[ServiceMember, ...] = snapshot.derived[key]
    return members


def service_refs(snapshot: RegistrySnapshot, service: str) -> tuple[FeatureRef, ...] | None:
    """Distinct references of a service in its order; None if the service does not exist."""
    members = service_members(snapshot, service)
    return None if members is None else tuple(dict.fromkeys(member.ref for member in members))


def renamed_keys(
    snapshot: RegistrySnapshot, service: str, view: str, join_keys: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """(join key, its name in a request to the service) of a view's keys, sorted; empty if the
    service renames none of them."""
    maps = _maps_of(snapshot, service).get(view, ())
    if not any(maps):
        return ()
    key = ("renamed_keys", service, view, join_keys)
    if key not in snapshot.derived:
        pairs = {(own, renames.get(own, own)) for renames in maps for own, _ in join_keys}
        snapshot.derived[key] = tuple(sorted(pairs))
    found: tuple[tuple[str, str], ...] = snapshot.derived[key]
    return found


def _maps_of(
    snapshot: RegistrySnapshot, service: str
) -> Mapping[str, tuple[Mapping[str, str], ...]]:
    """View → the distinct renames of its join keys in a service."""
    key = ("join_key_maps", service)
    if key not in snapshot.derived:
        maps: dict[str, dict[tuple[tuple[str, str], ...], Mapping[str, str]]] = {}
        for member in service_members(snapshot, service) or ():
            of_view = maps.setdefault(member.ref.view, {})
            if member.join_key_map not in of_view:
                of_view[member.join_key_map] = dict(member.join_key_map)
        snapshot.derived[key] = {view: tuple(found.values()) for view, found in maps.items()}
    of_service: Mapping[str, tuple[Mapping[str, str], ...]] = snapshot.derived[key]
    return of_service
