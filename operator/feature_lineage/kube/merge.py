"""RFC 7386 merge patches: a status write has only the changed fields."""

import json
from collections.abc import Mapping
from typing import Any


def merge_diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that turns one JSON object into another; {} when they are equal.

    A removed key becomes null, a list is replaced whole. Neither side may contain null where
    an object could be: a merge patch cannot write it.
    """
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, new in after.items():
        old = before.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if changes := merge_diff(old, new):
                patch[key] = changes
        elif key not in before or not _same(old, new):
            patch[key] = new
    return patch


def _same(old: Any, new: Any) -> bool:
    """Equal as JSON: Python also treats 1, 1.0 and True as equal."""
    return bool(old == new) and json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
