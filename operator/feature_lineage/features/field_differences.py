"""Describes how two specs of a snapshot differ, field by field, for people."""

from collections.abc import Iterator, Mapping
from typing import Final

from feature_lineage.features.snapshot import JsonObject, canonical_json
from feature_lineage.shorten import one_line

MAX_FIELDS: Final = 5
_MAX_VALUE: Final = 80


def differences(was: JsonObject, now: JsonObject) -> str:
    """``field: old → new`` of the first fields that differ, and the number of the others."""
    texts = list(_fields(was, now))
    more = f"; and {len(texts) - MAX_FIELDS} more" if len(texts) > MAX_FIELDS else ""
    return "; ".join(texts[:MAX_FIELDS]) + more


def _fields(was: JsonObject, now: JsonObject, path: str = "") -> Iterator[str]:
    for key in sorted(was.keys() | now.keys()):
        before, after = _by_name(was.get(key)), _by_name(now.get(key))
        if was.get(key) == now.get(key):
            continue
        if before == after:
            yield f"{path}{key}: in another order"
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _fields(before, after, f"{path}{key}.")
        elif isinstance(before or after, Mapping):
            state = "added" if before is None else "removed" if after is None else "differs"
            yield f"{path}{key}: {state}"
        else:
            yield f"{path}{key}: {_short(before)} → {_short(after)}"


def _by_name(value: object) -> object:
    """A list of objects that have different names as an object; any other value unchanged."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        return value
    named = {str(item.get("name") or item.get("feature_view_name")): item for item in value}
    return named if len(named) == len(value) else value


def _short(value: object) -> str:
    """A value of a spec for people: a text unchanged, ``none`` for what is not set."""
    if value is None:
        return "none"
    return one_line(value if isinstance(value, str) else canonical_json(value), _MAX_VALUE)
