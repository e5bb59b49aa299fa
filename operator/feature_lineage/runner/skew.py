"""Training-serving skew: the answer of the online store beside a retrieval for training.

A row that a materialization wrote is compared with what `get_historical_features` finds at the time
of that row, and at the view's watermark. What differs at the watermark only came late. The sources
are read, so a probe compares only after a materialization. Nothing is written; only a warehouse
has a table with the keys during the query, as for each training.
"""

import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any, Final

from feast import FeatureStore

from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.sampled_keys import SampledKey
from feature_lineage.operations.skew import SkewAnswer
from feature_lineage.runner.compared_rows import STEP, ComparedRows, SkewCounts
from feature_lineage.runner.comparison_limits import ComparisonLimits
from feature_lineage.runner.computed_skew import compare_computed
from feature_lineage.runner.job import watermarks
from feature_lineage.runner.probe_rows import Names, names_of
from feature_lineage.runner.reader import Reading, views_of
from feature_lineage.runner.request_context import ViewRequest
from feature_lineage.runner.retrieval import Retrieval, has_row, retrieve
from feature_lineage.runner.same_value import is_null, same_value
from feature_lineage.runner.training_values import Found, TrainingValues

_EARLIEST: Final = datetime(1700, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Times that pandas has."""


class Comparer:
    """Compares the retrievals of one probe, within its limits."""

    def __init__(self, store: FeatureStore, request: ProbeRequest, reading: Reading) -> None:
        self._store = store
        self._training = TrainingValues(store, reading)
        self._request = request
        self._limits = ComparisonLimits(store, request.skew)
        messages = views_of(reading.proto, store.project)
        self._watermarks = {message.spec.name: watermarks(message)[0] for _, message in messages}

    def compare(self, retrieval: Retrieval) -> SkewAnswer:
        """The comparison of one retrieval; of none, if it says why.

        Raises:
            BaseException: Feast's error, or one of the source or of an on-demand function.
        """
        why = self._limits.refusal(retrieval.context)
        counts = SkewCounts()
        if not why:
            with (
                self._limits.counting(),
                warnings.catch_warnings(),
                redirect_stdout(StringIO()),
            ):
                warnings.simplefilter("ignore")
                why = self._compare(counts, retrieval)
        return counts.answer(why)

    def _compare(self, counts: SkewCounts, retrieval: Retrieval) -> str:
        """Count the values; returns why some were not compared."""
        context, asked = retrieval.context, retrieval.asked
        written = [
            each
            for view, keys in zip(context.views, asked.written, strict=True)
            if (each := self._written(retrieval, view, keys)) is not None
        ]
        moments = dict.fromkeys(
            (number, moment)
            for each in written
            for number in each.own
            for moment in each.moments(number)
        )
        if not moments:
            return "no key has a row that the last materialization wrote"
        found, why = self._training.of(retrieval, tuple(moments))
        for each in written:
            self._compare_view(counts, retrieval, each, found)
        if context.computed:
            lacks = compare_computed(self._store, self._request, counts, retrieval, written, found)
            why = "; ".join(each for each in (lacks, why) if each)
        if not counts.compared and not why:
            why = "the online store has newer rows, or none, of all keys"
        return why

    def _written(
        self, retrieval: Retrieval, view: ViewRequest, keys: Mapping[int, SampledKey]
    ) -> ComparedRows | None:
        """The rows of a view that its last materialization covers, and no later one."""
        until = self._watermarks.get(view.view.name)
        columns = [retrieval.context.column(view, feature) for feature in view.features]
        vector = next((retrieval.columns[c] for c in columns if c in retrieval.columns), None)
        if until is None or until > _LATEST or not keys:
            return None
        if vector is None:  # only an on-demand view reads it
            vector = self._asked_alone(view, retrieval.asked.rows)
        ttl, now = view.view.ttl, datetime.now(UTC)
        own: dict[int, datetime] = {}
        nulls = {}
        for number, key in keys.items():
            at: datetime = vector.event_timestamps[number].ToDatetime(tzinfo=UTC)
            if not _EARLIEST < at <= key.at + STEP or key.at > until or not has_row(vector, number):
                continue
            if ttl and at + ttl <= now:
                continue
            # A store may keep whole seconds.
            same = key.at - at < timedelta(seconds=1)
            own[number] = key.at if same else at
            if same:
                nulls[number] = key.nulls
        return ComparedRows(view, own, nulls, until)

    def _compare_view(
        self, counts: SkewCounts, retrieval: Retrieval, each: ComparedRows, found: Found
    ) -> None:
        # Feast may answer fewer rows than it is asked for, of rows that share a key.
        rows = retrieval.asked.rows
        by_key: dict[tuple[Names, datetime], Mapping[str, Any]] = {
            (names_of(each.view, rows[number]), moment): answer
            for (number, moment), answer in found.items()
        }
        features = self._request.keys[each.view.view.name].features
        for feature in each.view.features:
            column = retrieval.context.column(each.view, feature)
            vector = retrieval.columns.get(column)
            if vector is None or feature not in features:
                continue
            for number in each.own:
                own, last = (
                    by_key.get((names_of(each.view, rows[number]), moment), {})
                    for moment in each.moments(number)
                )
                if not has_row(vector, number) or column not in own:
                    continue
                verdict = _verdict(
                    vector.values[number],
                    own[column],
                    last.get(column, own[column]),
                    was_null=feature in each.nulls[number] if number in each.nulls else None,
                )
                if verdict is not None:
                    counts.add(column, differs=verdict == "differs", late=verdict == "late")

    def _asked_alone(self, view: ViewRequest, rows: list[dict[str, Any]]) -> Any:
        """The answer for any feature of a view."""
        feature = view.view.features[0].name
        keys = [{key: row[name] for key, name in view.columns.items()} or {"": 1} for row in rows]
        columns = retrieve(self._store, [f"{view.view.name}:{feature}"], keys, full=False)
        return columns[feature]


def _verdict(online: Any, own: Any, last: Any, *, was_null: bool | None) -> str | None:
    """``same``, ``late`` or ``differs``; None if values of the type are not compared.

    Args:
        own: the value of the source in the row that was written.
        last: the value of the source at the watermark.
        was_null: whether the row had no value when it was written; None if not known.
    """
    at_own, at_last = same_value(online, own), same_value(online, last)
    if at_own is None or at_last is None:
        return None
    if at_own or at_last:
        return "same" if at_last else "late"
    # Then the source has changed the row, or has it no more.
    return "late" if is_null(own) != bool(was_null) else "differs"
