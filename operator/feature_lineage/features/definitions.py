"""What a model relies on when it relies on a feature.

A `FeatureDefinition` is everything about a feature that can make serving it fail, lie or differ:
type and join keys (Broken), source, transformation, TTL and version (Changed). Tags, owner and
description are no part of it.

A reference to a pinned version (``view@v2:feature``) names a frozen definition that the snapshot
does not hold, only its view and, where a service projects it, its type. So what is not known of it
is empty, and an empty side is never compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from feature_lineage.features import views
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import renamed_keys, service_members
from feature_lineage.features.snapshot import JsonObject, RegistrySnapshot, digest_of

GONE: Final = "gone"


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """One feature as a snapshot defines it.

    Attributes:
        ref: the feature.
        dtype: Feast value type, such as ``FLOAT`` or ``INT64``; "" where not known.
        join_keys: (join key, value type) of the view's entities, sorted. An on-demand view has
            those of the views that feed it.
        source: names and digest of the batch and stream source, "" where the view has none.
        transformation: digest of what computes the feature, "" where nothing does.
        closure: digest of the repo code the function reaches; "" where not known.
        ttl: as the registry spells it (``86400s``), "" where unset.
        version: the version the reference or the view is pinned to (``v2``), "" for the latest.
        renamed: (join key, what a request calls it), where the feature was looked up through a
            service that renames the view's keys.
        inputs: (reference, digest of its definition) of what an on-demand view computes from,
            sorted; `GONE` instead of a digest where the view no longer has the input.
    """

    ref: FeatureRef
    dtype: str
    join_keys: tuple[tuple[str, str], ...]
    source: str = ""
    transformation: str = ""
    closure: str = ""
    ttl: str = ""
    version: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no definition.

    Attributes:
        what: the view, or the feature in it.
        view: the view that is not there: the referenced one, or one that feeds it.
    """

    ref: FeatureRef
    what: Literal["view", "feature"]
    view: str


@dataclass(frozen=True, slots=True)
class _View:
    """A view, read once.

    Attributes:
        types: feature → type.
        template: what its features share.
        lacks: a view that feeds it and is not there, "" where none.
        definitions: those made so far: ten thousand models use the same few features.
    """

    types: dict[str, str]
    template: FeatureDefinition
    lacks: str = ""
    definitions: dict[str, FeatureDefinition] = field(default_factory=dict)


def define(snapshot: RegistrySnapshot, ref: FeatureRef) -> FeatureDefinition | None:
    """The feature as the snapshot defines it; ``None`` where it does not (see `look_up`)."""
    found = look_up(snapshot, ref)
    return found if isinstance(found, FeatureDefinition) else None


def define_all(
    snapshot: RegistrySnapshot, refs: Iterable[FeatureRef], service: str = ""
) -> tuple[FeatureDefinition, ...]:
    """Definitions of those features that the snapshot defines, in the order of `refs`.

    Args:
        service: the service they are served through, which may rename join keys.
    """
    found = (look_up(snapshot, ref, service) for ref in refs)
    return tuple(item for item in found if isinstance(item, FeatureDefinition))


def look_up(
    snapshot: RegistrySnapshot, ref: FeatureRef, service: str = ""
) -> FeatureDefinition | Missing:
    """The feature as the snapshot defines it, or what is missing."""
    view = _view(snapshot, ref.view)
    if view is None:
        return Missing(ref, "view", ref.view)
    if view.lacks:
        return Missing(ref, "view", view.lacks)
    found = _pinned(snapshot, ref, view) if ref.version is not None else _latest(ref, view)
    if isinstance(found, FeatureDefinition) and service:
        renamed = renamed_keys(snapshot, service, ref.view, found.join_keys)
        return replace(found, renamed=renamed) if renamed else found
    return found


def feeding_views(snapshot: RegistrySnapshot, view: str) -> frozenset[str]:
    """The view itself and every view that feeds it, directly or through others."""
    key = ("feeding_views", view)
    if key not in snapshot.derived:
        found: set[str] = set()
        pending = [view]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                if (item := snapshot.view(name)) is not None:
                    pending += views.source_views(item[1])
        snapshot.derived[key] = frozenset(found)
    kept: frozenset[str] = snapshot.derived[key]
    return kept


def schema_digest(definitions: Iterable[FeatureDefinition]) -> str:
    """One digest of what a model relies on, whatever the order; closures are no part of it,
    as they are known only sometimes."""
    return digest_of(
        sorted(
            [
                str(d.ref),
                d.dtype,
                d.join_keys,
                d.source,
                d.transformation,
                d.ttl,
                d.version,
                d.inputs,
                d.renamed,
            ]
            for d in definitions
        )
    )


def _latest(ref: FeatureRef, view: _View) -> FeatureDefinition | Missing:
    found = view.definitions.get(ref.feature)
    if found is None:
        if ref.feature not in view.types:
            return Missing(ref, "feature", ref.view)
        found = replace(view.template, ref=ref, dtype=view.types[ref.feature])
        view.definitions[ref.feature] = found
    return found


def _pinned(
    snapshot: RegistrySnapshot, ref: FeatureRef, view: _View
) -> FeatureDefinition | Missing:
    version = f"v{ref.version}"
    projected = _projected_types(snapshot).get(ref, "")
    if view.template.version == version:
        if ref.feature not in view.types:
            return Missing(ref, "feature", ref.view)
        projected = view.types[ref.feature]
    return FeatureDefinition(ref, projected, view.template.join_keys, version=version)


def _projected_types(snapshot: RegistrySnapshot) -> dict[FeatureRef, str]:
    """Types of pinned features, as far as services project them."""
    if "projected_types" not in snapshot.derived:
        snapshot.derived["projected_types"] = {
            member.ref: member.dtype
            for service in sorted(snapshot.objects.get("feature_service", {}))
            for member in service_members(snapshot, service) or ()
            if member.ref.version is not None
        }
    types: dict[FeatureRef, str] = snapshot.derived["projected_types"]
    return types


def _view(snapshot: RegistrySnapshot, name: str, below: tuple[str, ...] = ()) -> _View | None:
    key = ("view_definition", name)
    if key not in snapshot.derived:
        found = snapshot.view(name)
        if found is None or name in below:
            return None
        built = _build(snapshot, name, found[1], (*below, name))
        if below and built.template.inputs:  # may be cut short by a circle: not for keeping
            return built
        snapshot.derived[key] = built
    kept: _View = snapshot.derived[key]
    return kept


def _build(
    snapshot: RegistrySnapshot, name: str, spec: JsonObject, below: tuple[str, ...]
) -> _View:
    feeding = {v: _view(snapshot, v, below) for v in sorted(views.source_views(spec))}
    keys = views.entity_join_keys(snapshot, spec)
    lacks = ""
    if "sources" in spec:  # on-demand: Feast looks the source views up when it serves
        for source, built in feeding.items():
            lacks = lacks or (source if built is None else built.lacks)
            keys |= dict(built.template.join_keys) if built else {}
    template = FeatureDefinition(
        ref=FeatureRef(name, ""),
        dtype="",
        join_keys=tuple(sorted(keys.items())),
        source=views.source_digest(spec),
        transformation=views.transformation_digest(spec),
        closure=_closure(snapshot, name),
        ttl=views.ttl(spec),
        version=views.pinned_version(spec),
        inputs=tuple(sorted({_input(item, feeding) for item in views.inputs(snapshot, spec)})),
    )
    return _View(views.field_types(spec.get("features")), template, lacks)


def _input(item: views.ViewInput, feeding: dict[str, _View | None]) -> tuple[str, str]:
    ref = FeatureRef(item.view, item.feature, item.version)
    if item.request:
        return str(ref), item.dtype
    view = feeding.get(item.view)
    if item.version is not None and view is not None:
        return str(ref), item.dtype
    if view is None or item.feature not in view.types:
        return str(ref), GONE
    base = view.template
    parts: Sequence[object] = (
        view.types[item.feature],
        base.join_keys,
        base.source,
        base.transformation,
        base.ttl,
        base.version,
        base.inputs,
    )
    return str(ref), views.short_digest(parts)


def _closure(snapshot: RegistrySnapshot, name: str) -> str:
    """Digest over the code of the view and of those that feed it, "" unless all is known."""
    known = {}
    for view in feeding_views(snapshot, name):
        found = snapshot.view(view)
        if found is not None and views.has_function(found[1]):
            known[view] = snapshot.closures.get(view, "")
    if not all(known.values()):
        return ""
    return known[name] if set(known) == {name} else (views.short_digest(known) if known else "")
