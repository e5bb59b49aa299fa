"""The size of a status: at most 256 KiB, with a budget for each list and each text.

Names of a registry or of MLflow may have 1,000 characters, and a report may have 5,000 views. The
API server refuses an object above 1.5 MiB, and each watcher receives the whole status. Sizes are
bytes of JSON as the API server stores it.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from feature_lineage.api.base import StatusModel

KIB: Final = 1024
MAX_STATUS: Final = 256 * KIB

# Items of a list.
MAX_VIEWS: Final = 500
MAX_OPERATION_VIEWS: Final = 100
KEPT_OPERATIONS: Final = 10
KEPT_PROBES: Final = 2
"""Of the kept operations."""
KEPT_BACKFILLS: Final = 20
"""Finished backfills that the spec does not name any more."""
MAX_CHANGES: Final = 50
MAX_DETAILS: Final = 20
MAX_IMPACTS: Final = 50
MAX_PROBLEMS: Final = 50
MAX_FEATURES: Final = 100
MAX_HISTORY: Final = 10

# Bytes of a list. What a project has left is for its operations and, last, for its views.
CHANGES: Final = 16 * KIB
DETAILS: Final = (4 * KIB, KIB, KIB // 4)
"""Of one change: the largest with which all changes fit."""
IMPACTS: Final = 20 * KIB
IMPACT_PROBLEMS: Final = (4 * KIB, KIB, KIB // 4)
"""Of one impact: the largest with which all impacts fit."""
TABLES_DROPPED: Final = 4 * KIB
ALIASES: Final = KIB
IN_FLIGHT_VIEWS: Final = 64 * KIB
OPERATIONS: Final = 80 * KIB
RECORD_VIEWS: Final = 2 * KIB
FEATURE_VIEWS: Final = 30 * KIB
"""At least; the operations leave it to the views."""

# Bytes of a text.
NAME: Final = 256
"""A name, kind, digest or any other text without an entry in `TEXTS`."""
MESSAGE: Final = 2000
ERROR: Final = 500
SHORT_ERROR: Final = 80
TEXTS: Final = {
    **dict.fromkeys(("message",), MESSAGE),
    **dict.fromkeys(("error", "last_error"), ERROR),
    **dict.fromkeys(("details", "was", "now"), 200),
    "why": 1000,
}
"""Fields with prose, which is truncated; a name is shortened with a digest."""

_DIGEST: Final = 12
_ESCAPED: Final = {"<": 5, ">": 5, "&": 5, "\u2028": 3, "\u2029": 3}
"""Characters that the API server stores as an escape of six bytes, and what each adds."""

StatusT = TypeVar("StatusT", bound=StatusModel)
T = TypeVar("T")


def size(value: object) -> int:
    """Bytes of a status, a part of it or a text, as the API server stores it."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    added = sum(text.count(char) * more for char, more in _ESCAPED.items())
    return len(text.encode(errors="surrogatepass")) + added


def _plain(value: object) -> object:
    if isinstance(value, StatusModel):
        return value.as_dict()
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def fit(text: str, limit: int) -> str:
    """The text, truncated with an ellipsis to this number of bytes."""
    if 6 * len(text) + 2 <= limit or size(text[: limit + 1]) <= limit:
        return text
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(text[:middle]) <= limit - 3 else (low, middle - 1)
    return f"{text[:low]}…"


def short_name(name: str, limit: int = NAME) -> str:
    """The name, or its beginning with a digest: two names never become the same."""
    if 6 * len(name) + 2 <= limit or size(name[: limit + 1]) <= limit:
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
    return fit(name, limit - _DIGEST) + digest


def first_that_fit(items: Iterable[T], limit: int) -> tuple[T, ...]:
    """The first items of a list whose bytes are within the limit."""
    kept, used = [], 2
    for item in items:
        used += size(item) + 1
        if used > limit:
            break
        kept.append(item)
    return tuple(kept)


def total_of(items: tuple[object, ...], kept: tuple[object, ...]) -> int | None:
    """The number of items, if not all are kept."""
    return len(items) if len(kept) < len(items) else None


def with_short_texts(status: StatusT, limits: dict[str, int] = TEXTS) -> StatusT:
    """The status with every text within its budget, in all lists and parts of it."""
    changes: dict[str, Any] = {}
    for name in type(status).model_fields:
        value = getattr(status, name)
        short = _short(value, name, limits)
        if short is not value:
            changes[name] = short
    return status.model_copy(update=changes) if changes else status


def _short(value: Any, name: str, limits: dict[str, int]) -> Any:
    if isinstance(value, StatusModel):
        return with_short_texts(value, limits)
    if isinstance(value, tuple):
        items = tuple(_short(item, name, limits) for item in value)
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    if type(value) is not str:  # enums and times have a fixed size
        return value
    return fit(value, limits[name]) if name in limits else short_name(value)
