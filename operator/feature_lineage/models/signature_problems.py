"""Compares two serving signatures of a model, field by field.

Differences of a single feature (gone, another type, other join keys) are found by
`problems.compare`; here are those of the request and of the answer as a whole.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from feature_lineage.api.enums import ColumnNames
from feature_lineage.features.signatures import Pairs, Projection, ServingSignature
from feature_lineage.models.problems import COMPUTED, Problem, ProblemKind

NameOf = Callable[[Projection, str], str]

_ORDER: Final = ", "
_VERSION: Final = re.compile(r"@v[0-9]+(?=__)")


def form_of_names(inputs: Iterable[str] | None, signature: ServingSignature | None) -> ColumnNames:
    """Whether the columns that a model reads have full or short names.

    Args:
        inputs: names in the signature of the model; other columns may be among them.
        signature: what Feast answers, as of training.
    """
    columns, names = signature.columns if signature is not None else (), frozenset(inputs or ())
    full = any(_full(*column) in names for column in columns)
    short = any(_short(*column) in names for column in columns)
    if full is short:
        return ColumnNames.UNKNOWN
    return ColumnNames.FULL if full else ColumnNames.SHORT


def compare_signatures(
    was: ServingSignature | None,
    now: ServingSignature | None,
    subject: str,
    names: ColumnNames = ColumnNames.UNKNOWN,
) -> tuple[Problem, ...]:
    """What a client of the old signature notices, sorted; nothing where one is not known.

    Args:
        subject: the feature service; "" for a list of features, whose columns the client names.
        names: which names of columns the client reads; both forms count if that is not known.
    """
    if was is None or now is None or was == now:
        return ()
    return tuple(
        sorted(
            {
                *_states(was, now),
                *_request(was, now, subject),
                *_answer(was, now, subject, _short if names is ColumnNames.SHORT else _full),
                *(_collisions(was, now, subject) if names is not ColumnNames.FULL else ()),
            }
        )
    )


def with_signatures(
    problems: Iterable[Problem],
    was: ServingSignature | None,
    now: ServingSignature | None,
    subject: str,
    names: ColumnNames = ColumnNames.UNKNOWN,
) -> tuple[Problem, ...]:
    """The problems of the features, and what only the signatures show."""
    found = set(problems)
    told = any(problem.kind is ProblemKind.JOIN_KEYS_CHANGED for problem in found)
    for problem in compare_signatures(was, now, subject, names):
        if not (told and problem.kind is ProblemKind.JOIN_KEYS_CHANGED):
            found.add(problem)
    return tuple(sorted(found))


def _states(was: ServingSignature, now: ServingSignature) -> Iterator[Problem]:
    for view in set(now.offline) - set(was.offline):
        yield Problem(view, ProblemKind.NOT_ONLINE, "online", "online=False")
    for view in set(now.disabled) - set(was.disabled):
        yield Problem(view, ProblemKind.VIEW_DISABLED, "enabled", "enabled=False")
    for view, entity in set(now.no_entity) - set(was.no_entity):
        yield Problem(view, ProblemKind.ENTITY_GONE, f"entity {entity}")


def _request(was: ServingSignature, now: ServingSignature, subject: str) -> Iterator[Problem]:
    """A client sends the old request: a field that is new or of another type fails."""
    old, new = dict(was.request), dict(now.request)
    for field, value_type in new.items():
        if old.get(field) != value_type:
            before = f"{field} {old[field]}" if field in old else ""
            after = f"{field} {value_type}"
            yield Problem(subject or field, ProblemKind.REQUEST_CHANGED, before, after)
    known = dict(was.keys)
    for key, value_type in now.keys:
        if key not in known:
            yield Problem(subject or key, ProblemKind.JOIN_KEYS_CHANGED, "", f"{key} {value_type}")
    before_maps = {projection.name: projection for projection in was.projections}
    for projection in now.projections:
        before_map = before_maps.get(projection.name)
        kinds = (_kind(before_map), _kind(projection)) if before_map is not None else ("", "")
        if all(kinds) and kinds[0] != kinds[1]:
            yield Problem(projection.name, ProblemKind.VIEW_KIND_CHANGED, *kinds)
            continue
        if before_map is not None and before_map.keys != projection.keys:
            texts = _keys(before_map.keys), _keys(projection.keys)
            yield Problem(projection.name, ProblemKind.JOIN_KEYS_CHANGED, *texts)
        before_sources = dict(before_map.sources) if before_map is not None else {}
        for source, keys in projection.sources:
            if before_sources.get(source, keys) != keys:
                texts = _keys(before_sources[source], source), _keys(keys, source)
                yield Problem(projection.name, ProblemKind.JOIN_KEYS_CHANGED, *texts)


def _answer(
    was: ServingSignature, now: ServingSignature, subject: str, name_of: NameOf
) -> Iterator[Problem]:
    old = {name_of(*column): column for column in was.columns}
    new = {name_of(*column): column for column in now.columns}
    answered = {(projection.view, feature) for projection, feature in new.values()}
    added = {name: column for name, column in new.items() if name not in old}
    names: dict[tuple[str, str], deque[str]] = {}
    for name, (projection, feature) in added.items():
        names.setdefault((projection.view, feature), deque()).append(name)
    for name, (projection, feature) in old.items():
        if name in new:
            continue
        column = (projection.view, feature)
        if free := names.get(column):
            renamed = free.popleft()
            del added[renamed]
            if _VERSION.sub("", renamed) == _VERSION.sub("", name):
                continue  # `VERSION_CHANGED` tells it
            yield Problem(subject, ProblemKind.COLUMN_RENAMED, name, renamed)
        elif column in answered:
            yield Problem(subject, ProblemKind.COLUMN_GONE, name)
    if not subject:
        return
    kept = [name for name in old if name in new]
    if kept != [name for name in new if name in old]:
        order = [name for name in new if name in old]
        yield Problem(subject, ProblemKind.SERVICE_REORDERED, _ORDER.join(kept), _ORDER.join(order))
    if added:
        yield Problem(subject, ProblemKind.SERVICE_GREW, "", _ORDER.join(added))


def _collisions(was: ServingSignature, now: ServingSignature, subject: str) -> Iterator[Problem]:
    if not _repeated(was):
        for name in sorted(_repeated(now)):
            yield Problem(subject or name, ProblemKind.NAMES_COLLIDE, "", name)


def _repeated(signature: ServingSignature) -> set[str]:
    """Short names that two columns have; Feast refuses them."""
    counts = Counter(feature for _, feature in signature.columns)
    return {name for name, count in counts.items() if count > 1}


def _full(projection: Projection, feature: str) -> str:
    return f"{projection.name}__{feature}"


def _short(_: Projection, feature: str) -> str:
    return feature


def _kind(projection: Projection) -> str:
    """The kind of a view; "" if it reads no other view and has no key: either is possible."""
    return COMPUTED if projection.sources else "feature view" if projection.keys else ""


def _keys(keys: Pairs, source: str = "") -> str:
    prefix = f"{source}." if source else ""
    return _ORDER.join(f"{prefix}{key} as {name}" for key, name in keys)
