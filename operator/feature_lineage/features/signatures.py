"""The serving signature of a model: what is asked for in a request, and what comes back.

A signature is computed from a registry snapshot, so also from one that was recorded years ago. The
runner compares it with the answer of Feast itself, see `runner.dry_retrieval`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from feature_lineage.api.enums import ColumnNames
from feature_lineage.features import views
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import ON_DEMAND, JsonObject, RegistrySnapshot, digest_of

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Projection:
    """One view as a model uses it.

    Attributes:
        name: in full names of columns: the alias in the service, else the view; ``trips@v2``.
        view: the feature view.
        keys: (join key, its name in the request), sorted; of an on-demand view none.
        features: in order.
        sources: (source, its keys as above), sorted; only of an on-demand view.
    """

    name: str
    view: str
    keys: Pairs
    features: tuple[str, ...]
    sources: tuple[tuple[str, Pairs], ...] = ()


@dataclass(frozen=True, slots=True)
class ServingSignature:
    """What Feast is asked, and what it answers.

    Attributes:
        keys: (entity key of the request, type), sorted.
        request: (other field of the request, type), sorted.
        projections: in the order of the answer: on-demand views come last.
        offline: views that are read and are not online, sorted.
        disabled: views that are disabled, sorted.
        no_entity: (view, entity) where the registry lacks the entity, sorted.
    """

    keys: Pairs
    request: Pairs
    projections: tuple[Projection, ...]
    offline: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    no_entity: Pairs = ()

    @property
    def columns(self) -> tuple[tuple[Projection, str], ...]:
        """(projection, feature) of each column of the answer, in order."""
        return tuple((p, feature) for p in self.projections for feature in p.features)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A view with its spec, as the service or the list of features asks for it."""

    kind: str
    spec: JsonObject
    projection: Projection
    renames: JsonObject


def question_key(
    service: str, refs: Iterable[FeatureRef], names: ColumnNames = ColumnNames.UNKNOWN
) -> str:
    """Identity of what a model retrieves: its service, else its list of features.

    Args:
        names: of the columns; by an older operator, all names have the key of Unknown.
    """
    what = f"service {service}" if service else f"list {digest_of(sorted(map(str, refs)))[:32]}"
    return what if names is ColumnNames.UNKNOWN else f"{what}, {names} names"


def views_without_entity(snapshot: RegistrySnapshot) -> frozenset[tuple[str, str]]:
    """(view, entity) of the views that Feast cannot serve, because it lacks their entity."""
    if "views_without_entity" not in snapshot.derived:
        snapshot.derived["views_without_entity"] = frozenset(
            (name, entity)
            for _, name, spec in snapshot.views()
            for entity in views.entity_names(spec)
            if entity not in snapshot.objects.get("entity", {})
        )
    found: frozenset[tuple[str, str]] = snapshot.derived["views_without_entity"]
    return found


def signature_of(
    snapshot: RegistrySnapshot, service: str, refs: Iterable[FeatureRef]
) -> ServingSignature | None:
    """The signature of a service, or of a list of features if `service` is "".

    Returns:
        None if the snapshot lacks the service or one of the views.
    """
    key = ("signature", service, () if service else tuple(refs))
    if key not in snapshot.derived:
        snapshot.derived[key] = _signature(snapshot, service, key[2])
    found: ServingSignature | None = snapshot.derived[key]
    return found


def _signature(
    snapshot: RegistrySnapshot, service: str, refs: Iterable[FeatureRef]
) -> ServingSignature | None:
    asked: list[_Asked] = []
    for item in _of_service(snapshot, service) if service else _of_list(snapshot, refs):
        if item is None:
            return None
        asked.append(item)
    if not asked:
        return None
    asked.sort(key=lambda item: item.kind == ON_DEMAND)
    keys: dict[str, str] = {}
    request: dict[str, str] = {}
    read: dict[str, JsonObject] = {}
    for item in _once(asked):
        keys |= _keys(snapshot, item.projection.view, item.renames)
        if item.kind != ON_DEMAND:
            read[item.projection.view] = item.spec
            continue
        request |= views.request_types(snapshot, item.projection.view)
        for name, renames in views.source_projections(item.spec):
            found = snapshot.view(name)
            if found is None:
                return None
            keys |= _keys(snapshot, name, renames)
            read[name] = found[1]
    lacking = [found for found in views_without_entity(snapshot) if found[0] in read]
    return ServingSignature(
        tuple(sorted(keys.items())),
        tuple(sorted(request.items())),
        tuple(item.projection for item in asked),
        tuple(sorted(name for name, spec in read.items() if not spec.get("online"))),
        tuple(sorted({i.projection.view for i in asked if i.spec.get("disabled")})),
        tuple(sorted(lacking)),
    )


def _of_service(snapshot: RegistrySnapshot, service: str) -> Iterator[_Asked | None]:
    spec = snapshot.objects.get("feature_service", {}).get(service)
    if spec is None:
        yield None
        return
    for projection in views.mappings(spec.get("features")):
        view = views.text(projection.get("feature_view_name"))
        features = tuple(views.field_types(projection.get("feature_columns")))
        alias = views.text(projection.get("feature_view_name_alias")) or view
        version = views.number(projection.get("version_tag"))
        renames = views.mapping(projection.get("join_key_map"))
        yield _asked(snapshot, view, _named(alias, version), features, renames)


def _of_list(snapshot: RegistrySnapshot, refs: Iterable[FeatureRef]) -> Iterator[_Asked | None]:
    grouped: dict[tuple[str, int | None], list[str]] = {}
    for ref in refs:
        grouped.setdefault((ref.view, ref.version), []).append(ref.feature)
    for (view, version), features in grouped.items():
        yield _asked(snapshot, view, _named(view, version), tuple(features), {})


def _asked(
    snapshot: RegistrySnapshot, view: str, name: str, features: tuple[str, ...], renames: JsonObject
) -> _Asked | None:
    found = snapshot.view(view)
    if found is None:
        return None
    kind, spec = found
    if kind == ON_DEMAND:
        projection = Projection(name, view, (), features, _sources(snapshot, view, spec))
        return _Asked(kind, spec, projection, renames)
    keys = _renamed(snapshot, view, renames)
    return _Asked(kind, spec, Projection(name, view, keys, features), renames)


def _once(asked: Iterable[_Asked]) -> Iterator[_Asked]:
    """One of those that read the same view by the same keys: a list may name many versions."""
    seen: set[tuple[str, Pairs]] = set()
    for item in asked:
        renames = tuple(sorted((key, views.text(to)) for key, to in item.renames.items()))
        if (key := (item.projection.view, renames)) not in seen:
            seen.add(key)
            yield item


def _sources(
    snapshot: RegistrySnapshot, view: str, spec: JsonObject
) -> tuple[tuple[str, Pairs], ...]:
    key = ("sources", view)
    if key not in snapshot.derived:
        found: dict[str, set[tuple[str, str]]] = {}
        for name, renames in views.source_projections(spec):
            if snapshot.view(name) is not None:
                found.setdefault(name, set()).update(_renamed(snapshot, name, renames))
        snapshot.derived[key] = tuple((n, tuple(sorted(keys))) for n, keys in sorted(found.items()))
    sources: tuple[tuple[str, Pairs], ...] = snapshot.derived[key]
    return sources


def _renamed(snapshot: RegistrySnapshot, view: str, renames: JsonObject) -> Pairs:
    own = views.join_keys_of(snapshot, view)
    return tuple(sorted((key, views.text(renames.get(key)) or key) for key in own))


def _keys(snapshot: RegistrySnapshot, view: str, renames: JsonObject) -> dict[str, str]:
    own = views.join_keys_of(snapshot, view)
    return {views.text(renames.get(key)) or key: value_type for key, value_type in own.items()}


def _named(name: str, version: int | None) -> str:
    return name if version is None else f"{name}@v{version}"
