"""The semantic difference of two registry snapshots.

Feast's own diff compares timestamps embedded in sources, so it reports an update of every
materialized view; decisions use this one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from feature_lineage.features import views
from feature_lineage.features.delta import ObjectDelta, delta
from feature_lineage.features.field_differences import differences
from feature_lineage.features.services import ServiceMember, members_of
from feature_lineage.features.snapshot import VIEW_KINDS, JsonObject, RegistrySnapshot
from feature_lineage.untrusted import Name

_CLASSIFIED: Final = frozenset(
    {
        *("features", "entities", "entity_columns", "ttl", "version"),
        *("batch_source", "stream_source", "source", "sources", "source_views"),
        *views.TRANSFORMATION_FIELDS,
    }
)
"""Fields of a view whose differences have a class of their own."""


class ChangeClass(StrEnum):
    """Class of a change, as shown in plans and statuses."""

    CREATED = "Created"
    UPDATED = "Updated"
    DELETED = "Deleted"
    TYPE_CHANGED = "TypeChanged"
    JOIN_KEYS_CHANGED = "JoinKeysChanged"
    SOURCE_CHANGED = "SourceChanged"
    TRANSFORMATION_CHANGED = "TransformationChanged"
    TTL_CHANGED = "TTLChanged"
    VERSION_PINNED = "VersionPinned"
    MOVED = "Moved"


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One change of one object, or of one feature in it.

    Attributes:
        kind: section of the snapshot, such as ``feature_view``.
        name: the object.
        change: its class.
        feature: the feature (or service member) concerned, "" for the object as a whole.
        was: short text of the old state, "" if there was none.
        now: short text of the new state, "" if there is none.
        code: unified diff of the source text of a changed function, "" if not known.
    """

    kind: Name
    name: Name
    change: ChangeClass
    feature: Name = ""
    was: str = ""
    now: str = ""
    code: str = ""


def diff(was: RegistrySnapshot, now: RegistrySnapshot) -> tuple[Change, ...]:
    """The classified changes between two snapshots, sorted; ``diff(a, a) == ()``.

    An object is `UPDATED` if it differs and has no other change, such as in tags or owner only; a
    view also if it differs in what no other class of change tells.
    """
    changed = {(item.kind, item.name): item for item in delta(was, now)}
    found: list[Change] = []
    for (kind, name), item in changed.items():
        if item.was is None:
            found.append(Change(kind, name, ChangeClass.CREATED))
        elif item.now is None:
            found.append(Change(kind, name, ChangeClass.DELETED))
        elif kind == "entity":
            found += _entity(name, item.was, item.now)
        elif kind == "data_source":
            found += _data_source(name, item.was, item.now)
    for kind in VIEW_KINDS:
        before, after = was.objects.get(kind, {}), now.objects.get(kind, {})
        for name in before.keys() & after.keys():
            found += _view(was, now, kind, name)
    found += _services(was, now)
    classified = {(change.kind, change.name) for change in found}
    found += [_updated(changed[key]) for key in changed.keys() - classified]
    found += [
        _updated(rest)
        for key in changed.keys() & classified
        if (rest := _rest(changed[key])) is not None
    ]
    return tuple(sorted(found))


def _rest(item: ObjectDelta) -> ObjectDelta | None:
    """A view without what `_view` compares; None if nothing else differs."""
    if item.kind not in VIEW_KINDS or item.was is None or item.now is None:
        return None
    was, now = (
        {key: value for key, value in spec.items() if key not in _CLASSIFIED}
        for spec in (item.was, item.now)
    )
    return ObjectDelta(item.kind, item.name, was, now) if was != now else None


def _updated(item: ObjectDelta) -> Change:
    """A change without an effect on features, such as of tags."""
    differs = differences(item.was or {}, item.now or {})
    return Change(item.kind, item.name, ChangeClass.UPDATED, now=differs)


def _entity(name: str, was: JsonObject, now: JsonObject) -> Iterator[Change]:
    before, after = (
        _text_of_pairs({views.text(spec.get("join_key")): views.text(spec.get("value_type"))})
        for spec in (was, now)
    )
    if before != after:
        yield Change("entity", name, ChangeClass.JOIN_KEYS_CHANGED, "", before, after)


def _data_source(name: str, was: JsonObject, now: JsonObject) -> Iterator[Change]:
    before, after = views.source_core(was), views.source_core(now)
    if before != after:
        differs = differences(before, after)
        yield Change("data_source", name, ChangeClass.SOURCE_CHANGED, now=differs)


def _view(was: RegistrySnapshot, now: RegistrySnapshot, kind: str, name: str) -> Iterator[Change]:
    old, new = was.objects[kind][name], now.objects[kind][name]
    yield from _features(kind, name, old, new)
    before = _text_of_pairs(views.entity_join_keys(was, old))
    after = _text_of_pairs(views.entity_join_keys(now, new))
    if before != after:
        yield Change(kind, name, ChangeClass.JOIN_KEYS_CHANGED, "", before, after)
    sources = views.source_digest(old), views.source_digest(new)
    if sources[0] != sources[1]:
        yield Change(kind, name, ChangeClass.SOURCE_CHANGED, "", *views.source_texts(*sources))
    elif lost := sorted(_inputs(was, old).items() - _inputs(now, new).items()):
        current = _inputs(now, new)
        yield Change(
            kind,
            name,
            ChangeClass.SOURCE_CHANGED,
            "",
            _text_of_pairs(dict(lost)),
            _text_of_pairs({ref: current[ref] for ref, _ in lost if ref in current}),
        )
    yield from _transformation(was, now, kind, name)
    if views.ttl(old) != views.ttl(new):
        ttls = (views.ttl_text(views.ttl(spec)) for spec in (old, new))
        yield Change(kind, name, ChangeClass.TTL_CHANGED, "", *ttls)
    pins = views.pinned_version(old), views.pinned_version(new)
    if pins[0] != pins[1]:
        texts = (pin or "latest" for pin in pins)
        yield Change(kind, name, ChangeClass.VERSION_PINNED, "", *texts)


def _features(kind: str, name: str, old: JsonObject, new: JsonObject) -> Iterator[Change]:
    before, after = (views.field_types(spec.get("features")) for spec in (old, new))
    for feature in before.keys() | after.keys():
        was, now = before.get(feature), after.get(feature)
        if was is None:
            yield Change(kind, name, ChangeClass.CREATED, feature, "", now or "")
        elif now is None:
            yield Change(kind, name, ChangeClass.DELETED, feature, was, "")
        elif not views.same_type(was, now):
            yield Change(kind, name, ChangeClass.TYPE_CHANGED, feature, was, now)


def _inputs(snapshot: RegistrySnapshot, spec: JsonObject) -> Mapping[str, str]:
    """Inputs of a view by its own spec: reference → type."""
    return {
        f"{item.view}:{item.feature}"
        if item.version is None
        else f"{item.view}@v{item.version}:{item.feature}": item.dtype
        for item in views.inputs(snapshot, spec)
    }


def _transformation(
    was: RegistrySnapshot, now: RegistrySnapshot, kind: str, name: str
) -> Iterator[Change]:
    before = views.transformation_digest(was.objects[kind][name])
    after = views.transformation_digest(now.objects[kind][name])
    if before != after:
        texts = (before[:12], after[:12])
    else:
        closures = was.closures.get(name, ""), now.closures.get(name, "")
        if not all(closures) or closures[0] == closures[1]:
            return
        texts = (f"code {closures[0][:12]}", f"code {closures[1][:12]}")
    yield Change(kind, name, ChangeClass.TRANSFORMATION_CHANGED, "", *texts)


def _services(was: RegistrySnapshot, now: RegistrySnapshot) -> Iterator[Change]:
    kind = "feature_service"
    before, after = was.objects.get(kind, {}), now.objects.get(kind, {})
    removed: dict[str, list[str]] = {}
    added: dict[str, list[str]] = {}
    for name in sorted(before.keys() & after.keys()):
        if before[name] == after[name]:
            continue
        old = {member.spelled: member for member in members_of(before[name])}
        new = {member.spelled: member for member in members_of(after[name])}
        left, entered, repinned = _membership(name, old, new)
        yield from repinned
        for ref in left:
            removed.setdefault(ref, []).append(name)
        for ref in entered:
            added.setdefault(ref, []).append(name)
        keys = {s for s in old.keys() & new.keys() if old[s].join_key_map != new[s].join_key_map}
        for spelled in keys:
            maps = (_text_of_pairs(dict(side[spelled].join_key_map)) for side in (old, new))
            yield Change(kind, name, ChangeClass.JOIN_KEYS_CHANGED, spelled, *maps)
    for ref in removed.keys() | added.keys():
        left, entered = removed.get(ref, []), added.get(ref, [])
        both = min(len(left), len(entered))
        for source, target in zip(left[:both], entered[:both], strict=True):
            yield Change(kind, target, ChangeClass.MOVED, ref, source, target)
        for name in left[both:]:
            yield Change(kind, name, ChangeClass.DELETED, ref)
        for name in entered[both:]:
            yield Change(kind, name, ChangeClass.CREATED, ref)


def _membership(
    name: str, old: Mapping[str, ServiceMember], new: Mapping[str, ServiceMember]
) -> tuple[list[str], list[str], list[Change]]:
    """References removed from and added to a service, and those only pinned to another version."""
    before = {member.ref for member in old.values()}
    after = {member.ref for member in new.values()}
    removed, added = before - after, after - before
    repinned = []
    for ref in sorted(removed, key=str):
        same_feature = [r for r in added if (r.view, r.feature) == (ref.view, ref.feature)]
        if same_feature:
            other = min(same_feature, key=str)
            removed, added = removed - {ref}, added - {other}
            texts = (f"v{r.version}" if r.version is not None else "latest" for r in (ref, other))
            member = f"{ref.view}:{ref.feature}"
            pinned = ChangeClass.VERSION_PINNED
            repinned.append(Change("feature_service", name, pinned, member, *texts))
    return sorted(map(str, removed)), sorted(map(str, added)), repinned


def _text_of_pairs(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}".rstrip() for key, value in sorted(pairs.items()))
