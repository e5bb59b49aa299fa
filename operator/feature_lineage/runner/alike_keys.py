"""Keys that a query of Feast takes for one another: it joins by their texts, one after another.

Street 1, house 11 is street 11, house 1, as of the same time. Both get the values of one of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from feature_lineage.runner.request_context import ViewRequest

RowAt = tuple[int, datetime]
"""A row of a retrieval, and the time as of which it is asked for."""


def alike_keys(
    view: ViewRequest, rows: Sequence[Mapping[str, Any]], moments: Iterable[RowAt]
) -> set[RowAt]:
    """Those whose key of the view has the text of another key at the same time."""
    names = [view.columns[key.name] for key in view.view.entity_columns if key.name in view.columns]
    keys: dict[tuple[str, datetime], set[tuple[Any, ...]]] = {}
    texts: dict[RowAt, tuple[str, datetime]] = {}
    for number, at in moments:
        key = tuple(rows[number][name] for name in names)
        text = "".join(map(str, key)), at
        texts[number, at] = text
        keys.setdefault(text, set()).add(key)
    return {moment for moment, text in texts.items() if len(keys[text]) > 1}
