"""The plan as text for people: what it does in one line, whom it affects and why, every change.

A list is never cut without the number of what is left out; the JSON output has everything.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.features.views import redefined_source
from feature_lineage.operations.causes import Cause, causes
from feature_lineage.operations.explain import affected_text, describe, subject_text
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.protection import Impact
from feature_lineage.shorten import listed

MAX_NAMES: Final = 10
NONE: Final = "none"
_CLASSES: Final = {
    ChangeClass.CREATED: ("+", "green", ""),
    ChangeClass.DELETED: ("-", "red", ""),
    ChangeClass.UPDATED: ("~", "yellow", ""),
    ChangeClass.TYPE_CHANGED: ("~", "yellow", "type "),
    ChangeClass.JOIN_KEYS_CHANGED: ("~", "yellow", "join keys "),
    ChangeClass.SOURCE_CHANGED: ("~", "yellow", "source "),
    ChangeClass.TRANSFORMATION_CHANGED: ("~", "yellow", "transformation "),
    ChangeClass.TTL_CHANGED: ("~", "yellow", "TTL "),
    ChangeClass.VERSION_PINNED: ("~", "yellow", "version "),
    ChangeClass.MOVED: ("~", "yellow", "moved "),
}


class Line(NamedTuple):
    """One line; `color` is a name of click's colors, "" for the terminal's own."""

    text: str
    color: str = ""
    bold: bool = False


def plan_lines(plan: Plan) -> Iterator[Line]:
    """The plan without its warnings and without the message of a blocked plan."""
    yield Line(summary(plan), bold=True)
    found = causes(plan.impacts)
    if found:
        yield Line("")
        yield Line(f"Affected {_what(plan)}, by cause:", bold=True)
    for cause in found:
        yield Line(f"  {cause.severity}: {_cause(cause)}", _color(cause.severity))
        yield Line(f"    {_some(tuple(map(subject_text, cause.models)))}")
    if plan.let_through and plan.verdict is PlanVerdict.ALLOWED:
        yield Line(f"  Not blocked: {plan.let_through}.")
    if plan.changes:
        yield Line("")
        yield Line("Changes:", bold=True)
    for change in plan.changes:
        yield from _change(change)
    for title, names in (
        ("Models whose features are not known", plan.unknown_models),
        ("Would delete what others applied", plan.adoption_deletes),
        ("Drops the online data of", plan.online_tables_dropped),
    ):
        if names:
            yield Line("")
            yield Line(f"{title}: {_some(names)}")


def summary(plan: Plan) -> str:
    """``1 to create, 2 to change; 3 models: 1 broken, 2 changed``."""
    parts = _counts(_actions(plan.changes), ("to create", "to change", "to delete"))
    text = parts or "No changes: the registry matches the repository"
    for group in _groups(plan):
        broken = sum(impact.severity == "Broken" for impact in group)
        counts = _counts((broken, len(group) - broken), ("broken", "changed"))
        text += f"; {affected_text(group)}: {counts}" if group else ""
    return f"{text}."


def _groups(plan: Plan) -> tuple[list[Impact], list[Impact]]:
    """The impacts on model versions, and those on feature services."""
    services = [impact for impact in plan.impacts if impact.service]
    return [impact for impact in plan.impacts if not impact.service], services


def _what(plan: Plan) -> str:
    names = ("models", "feature services")
    return " and ".join(n for n, group in zip(names, _groups(plan), strict=True) if group)


def _actions(changes: Iterable[Change]) -> tuple[int, int, int]:
    """Numbers of objects that are created, changed and deleted."""
    created, deleted, touched = set(), set(), set()
    for change in changes:
        key = change.kind, change.name
        touched.add(key)
        if not change.feature and change.change is ChangeClass.CREATED:
            created.add(key)
        elif not change.feature and change.change is ChangeClass.DELETED:
            deleted.add(key)
    return len(created), len(touched - created - deleted), len(deleted)


def _counts(counts: Iterable[int], words: Iterable[str]) -> str:
    return ", ".join(f"{count} {word}" for count, word in zip(counts, words, strict=True) if count)


def _cause(cause: Cause) -> str:
    if len(views := cause.views) > 1:
        keys = f"from {cause.problem.was} to {cause.problem.now}"
        derived = f"; computed from them: {_some(cause.derived)}" if cause.derived else ""
        return f"the join keys of {len(views)} views change {keys} ({_some(views)}{derived})"
    several = len(cause.features) > 1
    text = describe(cause.problem, cause.subject if several else "")
    names = [ref.partition(":")[2] for ref in cause.features]
    notes = [f"{len(names)} features: {_some(names)}"] if several else []
    if cause.derived:
        notes.append(f"computed from {'them' if several else 'it'}: {_some(cause.derived)}")
    return f"{text} ({'; '.join(notes)})" if notes else text


def _some(names: Sequence[str]) -> str:
    return listed(names, MAX_NAMES)


def _change(change: Change) -> Iterator[Line]:
    mark, color, what = _CLASSES[change.change]
    subject = f"{change.name}:{change.feature}" if change.feature else change.name
    values = _values(change)
    yield Line(f"  {mark} {change.kind} {subject}  {what}{values}".rstrip(), color)
    for line in change.code.splitlines():
        yield Line(f"      {line}", {"+": "green", "-": "red"}.get(line[:1], ""))


def _values(change: Change) -> str:
    """``7d → 14d``; the type of a feature that comes or goes; the fields of an object."""
    if change.change in (ChangeClass.CREATED, ChangeClass.DELETED):
        return change.was or change.now
    if name := redefined_source(change.was, change.now):
        return f"{name}, whose definition changes"
    # What differs in the fields of an object is one text with arrows of its own.
    fields = not change.was and change.change is not ChangeClass.JOIN_KEYS_CHANGED
    return change.now if fields else f"{change.was or NONE} → {change.now or NONE}"


def _color(severity: str) -> str:
    return "red" if severity == "Broken" else "yellow"
