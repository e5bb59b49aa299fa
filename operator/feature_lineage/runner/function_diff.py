"""The source text of user-defined functions that a plan changes, as unified diffs.

Feast stores the source text of a function in the registry. The snapshot has only its digest.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.shorten import cut

MAX_LINES: Final = 60
MAX_CHARS: Final = 4_000
MAX_FUNCTIONS: Final = 50
_SECTIONS: Final = ("feature_views", "stream_feature_views", "on_demand_feature_views")


def with_code(changes: tuple[Change, ...], was: Any, now: Any, project: str) -> tuple[Change, ...]:
    """The changes, with the diffs of the first `MAX_FUNCTIONS` functions.

    Args:
        was: the registry as a message.
        now: the message of the repo's objects, which have no project yet.
    """
    changed = {
        change.name for change in changes if change.change is ChangeClass.TRANSFORMATION_CHANGED
    }
    before, after = _texts(was, changed, project), _texts(now, changed, "")
    texts = {name: (before.get(name, ""), after.get(name, "")) for name in sorted(changed)}
    chosen = [name for name, (old, new) in texts.items() if old != new]
    diffs = {name: _diff(*texts[name]) for name in chosen[:MAX_FUNCTIONS]}
    return tuple(
        replace(change, was="", now="", code=diffs[change.name])
        if change.change is ChangeClass.TRANSFORMATION_CHANGED and change.name in diffs
        else change
        for change in changes
    )


def _texts(registry: Any, names: set[str], project: str) -> Mapping[str, str]:
    return {
        message.spec.name: text
        for section in _SECTIONS
        for message in getattr(registry, section)
        if message.spec.name in names and message.spec.project == project
        for text in _text_of(message.spec)
    }


def _text_of(spec: Any) -> Iterator[str]:
    field = "user_defined_function"  # the spec of a batch view has none
    for holder in (spec.feature_transformation, spec):
        if field in holder.DESCRIPTOR.fields_by_name and holder.HasField(field):
            yield holder.user_defined_function.body_text
            return


def _diff(was: str, now: str) -> str:
    lines = list(difflib.unified_diff(was.splitlines(), now.splitlines(), n=2, lineterm=""))[
        2:
    ]  # without the names of two files
    more = [f"… and {len(lines) - MAX_LINES} more lines"] if len(lines) > MAX_LINES else []
    return cut("\n".join([*lines[:MAX_LINES], *more]), MAX_CHARS)
