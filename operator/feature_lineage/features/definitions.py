"""The definition of a feature: everything that a model depends on when it uses the feature.

A `FeatureDefinition` has what can break serving (type, join keys) or change the served values
(source, transformation, TTL, version). Tags, owner and description are no part of it.

A reference to a pinned version (``view@v2:feature``) names a frozen definition that the snapshot
does not contain; only its view is known and, where a service projects it, its type. Unknown parts
are empty, and empty parts are not compared.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from feature_lineage.features import views
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import renamed_keys, service_members
from feature_lineage.features.snapshot import JsonObject, RegistrySnapshot, canonical_json

GONE: Final = "gone"


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """One feature as a snapshot defines it.

    Attributes:
        ref: the feature.
        dtype: Feast value type, such as ``FLOAT`` or ``INT64``; "" if unknown.
        join_keys: (join key, value type) of the view's entities, sorted. An on-demand view has
            those of the views that feed it.
        source: names and digest of the batch and stream source, "" if the view has none.
        transformation: digest of what computes the feature, "" if nothing does.
        closure: digest of the repo code that the function reaches; "" if unknown.
        ttl: as the registry writes it (``86400s``), "" if unset.
        version: the version that the reference or the view is pinned to (``v2``), "" for the
            latest.
        renamed: (join key, its name in a request), where the feature was looked up through a
            service that renames the view's keys.
        inputs: (reference, digest of its definition) of the inputs of an on-demand view, sorted;
            `GONE` instead of a digest where the view no longer has the input.
        data: digest of the sources whatever their names; "" if unknown, or if there are none.
        input_data: as `inputs`, with `data` of the input in place of its source, and with
            ``request:FIELD`` in place of a request source; empty if unknown.
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
    data: str = ""
    input_data: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """The result of looking up a feature that the snapshot does not define.

    Attributes:
        what: the missing part: the view, or the feature in it.
        view: the missing view: the referenced one, or one that feeds it.
    """

    ref: FeatureRef
    what: Literal["view", "feature"]
    view: str


@dataclass(frozen=True, slots=True)
class _View:
    """A view, parsed once per snapshot.

    Attributes:
        types: feature → type.
        template: the parts that its features share.
        missing_source: a view that should feed it and is missing, "" if none.
        definitions: cache: 10,000 models use the same few features.
        digests: cache of its features as inputs of others, with and without names of sources.
    """

    types: dict[str, str]
    template: FeatureDefinition
    missing_source: str = ""
    definitions: dict[str, FeatureDefinition] = field(default_factory=dict)
    digests: dict[tuple[str, bool], str] = field(default_factory=dict)


def define_all(
    snapshot: RegistrySnapshot, refs: Iterable[FeatureRef], service: str = ""
) -> tuple[FeatureDefinition, ...]:
    """Definitions of the features that the snapshot defines, in the order of `refs`.

    Args:
        service: the service that serves them, which may rename join keys; "" for none.
    """
    found = (look_up(snapshot, ref, service) for ref in refs)
    return tuple(item for item in found if isinstance(item, FeatureDefinition))


def look_up(
    snapshot: RegistrySnapshot, ref: FeatureRef, service: str = ""
) -> FeatureDefinition | Missing:
    """The feature as the snapshot defines it, or its missing part."""
    view = _view(snapshot, ref.view)
    if view is None:
        return Missing(ref, "view", ref.view)
    if view.missing_source:
        return Missing(ref, "view", view.missing_source)
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
                pending += views.sources_of(snapshot, name)
        snapshot.derived[key] = frozenset(found)
    kept: frozenset[str] = snapshot.derived[key]
    return kept


def schema_digest(definitions: Iterable[FeatureDefinition]) -> str:
    """One digest of definitions in any order; without closures, which are not always known.

    It is that of one list; each definition repeats the keys and inputs of its view, so the text of
    the list, which may be a hundred times that of the snapshot, is not kept.
    """
    rows = sorted(
        (
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
        ),
    )
    total = hashlib.sha256()
    for number, row in enumerate(rows):
        total.update(b"," if number else b"[")
        total.update(canonical_json(row).encode())
    total.update(b"]" if rows else b"[]")
    return total.hexdigest()


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
    """Types of the pinned features that services project."""
    if "projected_types" not in snapshot.derived:
        snapshot.derived["projected_types"] = {
            member.ref: member.dtype
            for service in sorted(snapshot.objects.get("feature_service", {}))
            for member in service_members(snapshot, service) or ()
            if member.ref.version is not None
        }
    types: dict[FeatureRef, str] = snapshot.derived["projected_types"]
    return types


def _view(snapshot: RegistrySnapshot, name: str) -> _View | None:
    """A view, with those that feed it: each is built once, however many views it feeds."""
    built: dict[str, _View | None] = snapshot.derived.setdefault("view_definitions", {})
    if name in built:
        return built[name]
    pending, entered = [name], set[str]()
    while pending:
        each = pending[-1]
        found = snapshot.view(each)
        if each in built or found is None:
            built.setdefault(each, None)
            pending.pop()
            continue
        sources, cyclic = views.sources_of(snapshot, each), _cyclic(snapshot)
        new = [source for source in sources if source not in built and source not in cyclic]
        if each in entered or not new:
            feeding = {v: None if v in cyclic else built[v] for v in sorted(sources)}
            built[each] = _build(snapshot, each, found[1], feeding)
            pending.pop()
            continue
        entered.add(each)
        pending += new
    return built[name]


def _cyclic(snapshot: RegistrySnapshot) -> frozenset[str]:
    """Views that feed themselves, and those that they feed: Feast cannot serve them."""
    if "cyclic_views" not in snapshot.derived:
        waits = {name: views.sources_of(snapshot, name) for _, name, _ in snapshot.views()}
        fed: dict[str, list[str]] = {}
        for name, sources in waits.items():
            for source in sources & waits.keys():
                fed.setdefault(source, []).append(name)
        open_sources = {name: len(sources & waits.keys()) for name, sources in waits.items()}
        ready = [name for name, number in open_sources.items() if not number]
        while ready:
            for name in fed.get(ready.pop(), ()):
                open_sources[name] -= 1
                if not open_sources[name]:
                    ready.append(name)
        snapshot.derived["cyclic_views"] = frozenset(n for n, left in open_sources.items() if left)
    cyclic: frozenset[str] = snapshot.derived["cyclic_views"]
    return cyclic


def _build(
    snapshot: RegistrySnapshot, name: str, spec: JsonObject, feeding: dict[str, _View | None]
) -> _View:
    keys = views.entity_join_keys(snapshot, spec)
    missing = ""
    if "sources" in spec:  # on-demand: Feast looks up the source views at serving time
        for source, built in feeding.items():
            missing = missing or (source if built is None else built.missing_source)
            keys |= dict(built.template.join_keys) if built else {}
    inputs = views.inputs(snapshot, spec)
    template = FeatureDefinition(
        ref=FeatureRef(name, ""),
        dtype="",
        join_keys=tuple(sorted(keys.items())),
        source=views.source_digest(spec),
        transformation=views.transformation_digest(spec),
        closure=_closure(snapshot, name),
        ttl=views.ttl(spec),
        version=views.pinned_version(spec),
        inputs=tuple(sorted({_input(item, feeding) for item in inputs})),
        data=views.source_data(spec),
        input_data=tuple(sorted({_input(item, feeding, named=False) for item in inputs})),
    )
    return _View(views.field_types(spec.get("features")), template, missing)


def _input(
    item: views.ViewInput, feeding: dict[str, _View | None], *, named: bool = True
) -> tuple[str, str]:
    """Reference of an input, and a digest of its definition.

    Args:
        named: whether the names of sources count.
    """
    ref = FeatureRef(item.view, item.feature, item.version)
    if item.request:
        return str(ref) if named else f"request:{item.feature}", item.dtype
    view = feeding.get(item.view)
    if item.version is not None and view is not None:
        return str(ref), item.dtype
    if view is None or item.feature not in view.types:
        return str(ref), GONE
    if (item.feature, named) not in view.digests:
        view.digests[item.feature, named] = _digest(view, item.feature, named=named)
    return str(ref), view.digests[item.feature, named]


def _digest(view: _View, feature: str, *, named: bool) -> str:
    base = view.template
    parts: Sequence[object] = (
        view.types[feature],
        base.join_keys,
        base.source if named else base.data,
        base.transformation,
        base.ttl,
        base.version,
        base.inputs if named else base.input_data,
    )
    return views.short_digest(parts)


def _closure(snapshot: RegistrySnapshot, name: str) -> str:
    """Digest of the code of the view and of the views that feed it, "" unless all is known."""
    known = {}
    for view in feeding_views(snapshot, name):
        found = snapshot.view(view)
        if found is not None and views.has_function(found[1]):
            known[view] = snapshot.closures.get(view, "")
    if not all(known.values()):
        return ""
    return known[name] if set(known) == {name} else (views.short_digest(known) if known else "")
