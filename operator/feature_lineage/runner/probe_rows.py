"""The rows of one retrieval of the probe, with the keys that materializations wrote."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice, zip_longest
from typing import Any

from feast.feature_view import DUMMY_ENTITY_ID

from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.sampled_keys import SampledKey
from feature_lineage.runner.made_up_store import sample
from feature_lineage.runner.request_context import RequestContext, ViewRequest

Names = tuple[tuple[str, Any], ...]
"""The key of a view in one row: sorted pairs of its name in the request and its value."""


@dataclass(frozen=True)
class Rows:
    """The rows of one retrieval.

    Attributes:
        rows: name in the request → value, one mapping for each row.
        written: for each view of the request, row → the key that was written to the view.
    """

    rows: list[dict[str, Any]]
    written: tuple[dict[int, SampledKey], ...]


def rows_of(request: ProbeRequest, context: RequestContext) -> Rows:
    """Rows with the keys of each view; views with the same keys share their rows."""
    samples = [_sampled(request, view) for view in context.views]
    # One key of each view after another: views of the same entity have the same ones.
    turns = chain.from_iterable(zip_longest(*samples))
    keys = dict.fromkeys(names for names in turns if names)
    fixed = {name: sample(value_type) for name, value_type in context.data.items()}
    rows: list[dict[str, Any]] = []
    for names in islice(keys, request.most):
        row = {**_others(samples, len(rows)), **dict(names), **fixed}
        rows.append({**_made_up(context, row), **row})
    if not rows:
        made_up = {**_made_up(context, {}), **fixed}
        rows = [made_up or {"": 1}]  # Feast counts the rows by any column
    return Rows(
        rows,
        tuple(
            {
                number: written[names]
                for number, row in enumerate(rows)
                if (names := names_of(view, row)) in written
            }
            for view, written in zip(context.views, samples, strict=True)
        ),
    )


def _sampled(request: ProbeRequest, view: ViewRequest) -> dict[Names, SampledKey]:
    """The written keys of a view by name in the request, without those past its TTL."""
    sampled = request.keys.get(view.view.name)
    if sampled is None or (set(sampled.columns) - {DUMMY_ENTITY_ID}) != set(view.columns):
        return {}
    ttl, now = view.view.ttl, datetime.now(UTC)
    names = [view.columns.get(column, "") for column in sampled.columns]
    return {
        tuple(sorted(pair for pair in zip(names, key.values, strict=True) if pair[0])): key
        for key in sampled.keys
        if not ttl or key.at + ttl > now
    }


def _others(samples: list[dict[Names, SampledKey]], number: int) -> dict[str, Any]:
    """Keys of the other views for a row, each view's in turn."""
    found: dict[str, Any] = {}
    for written in samples:
        known = list(written)
        if known:
            found |= dict(known[number % len(known)])
    return found


def names_of(view: ViewRequest, row: Mapping[str, Any]) -> Names:
    """The key of the view in a row of the request."""
    return tuple(sorted((name, row[name]) for name in view.columns.values() if name in row))


def _made_up(context: RequestContext, row: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the keys that no sample has."""
    keys = (name for view in context.views for name in view.columns.values())
    return {name: sample(context.types[name]) for name in keys if name not in row}
