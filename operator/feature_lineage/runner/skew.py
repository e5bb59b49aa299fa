"""Training-serving skew: the answer of the online store beside a retrieval for training.

A row that a materialization wrote is compared with what `get_historical_features` finds at the time
of that row, and at the view's watermark. What differs at the watermark only came late. The sources
are read, so a probe compares only after a materialization. Nothing is written to a feature store;
an offline store of SQL has a table with the keys during the query, as for each training.
"""

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pandas as pd
from feast import FeatureStore
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.types import Array, Float32

from feature_lineage.api.enums import ProbeSkew
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.sampled_keys import SampledKey
from feature_lineage.operations.skew import FeatureSkew, SkewAnswer
from feature_lineage.runner.dry_retrieval import MAX_SECONDS, registry_in_memory, within
from feature_lineage.runner.job import watermarks
from feature_lineage.runner.probe_rows import Names, Rows, names_of
from feature_lineage.runner.reader import Reading, views_of
from feature_lineage.runner.request_context import RequestContext, ViewRequest
from feature_lineage.runner.same_value import is_null, same_value

MAX_FILE_BYTES: Final = 100 * 1024 * 1024
"""Of the files of a source that is compared with `Auto`: Feast reads them into memory."""
MAX_TOTAL_SECONDS: Final = 120.0
"""For all comparisons of a probe."""
MAX_FAILED: Final = 2
"""After so many failed comparisons in a row, the others are not tried: each may wait."""
_CHEAP: Final = frozenset({"file", "dask", "duckdb", "postgres"})
_ID: Final = "feature_lineage_row"
_TIME: Final = "event_timestamp"
_STEP: Final = timedelta(microseconds=1)
_EARLIEST: Final = datetime(1700, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Times that pandas has."""


@dataclass(frozen=True)
class Retrieval:
    """A retrieval from the online store.

    Attributes:
        features: as Feast takes them.
        columns: the answer: name → Feast's FeatureVector.
    """

    features: Any
    context: RequestContext
    asked: Rows
    columns: Mapping[str, Any]


@dataclass
class _Written:
    """The rows of a view that are compared.

    Attributes:
        own: row → the event timestamp of the online store.
        nulls: row → features without a value when that row was written; rows of which that is not
            known are left out.
        until: the watermark.
    """

    view: ViewRequest
    own: dict[int, datetime]
    nulls: dict[int, tuple[str, ...]]
    until: datetime

    def moments(self, number: int) -> tuple[datetime, datetime]:
        """Of a row: a moment at which it is the newest one, and the watermark."""
        return self.own[number] + _STEP, self.until


@dataclass
class _Counts:
    compared: dict[str, FeatureSkew] = field(default_factory=dict)

    def add(self, column: str, *, differs: bool = False, late: bool = False) -> None:
        known = self.compared.get(column, FeatureSkew(column=column))
        self.compared[column] = FeatureSkew(
            column=column,
            compared=known.compared + 1,
            differing=known.differing + differs,
            late=known.late + late,
        )


class Comparer:
    """Compares the retrievals of one probe, within its limits."""

    def __init__(self, store: FeatureStore, request: ProbeRequest, reading: Reading) -> None:
        self._store = store
        # A retrieval for training changes the views of its registry: without entities, Feast
        # could not serve them any more.
        self._training = copy(store)
        self._training._registry = registry_in_memory(store, reading)
        self._request = request
        self._until = time.monotonic() + MAX_TOTAL_SECONDS
        self._failed = 0
        messages = views_of(reading.proto, store.project)
        self._watermarks = {message.spec.name: watermarks(message)[0] for _, message in messages}

    def compare(self, retrieval: Retrieval) -> SkewAnswer:
        """The comparison of one retrieval; of none, if it says why.

        Raises:
            BaseException: Feast's error, or one of the source or of an on-demand function.
        """
        why = self._refusal(retrieval.context)
        counts = _Counts()
        if not why:
            self._failed += 1
            with (
                warnings.catch_warnings(),
                redirect_stdout(StringIO()),
                within(max(1.0, min(MAX_SECONDS, self._until - time.monotonic()))),
            ):
                warnings.simplefilter("ignore")
                counts, why = self._compare(retrieval)
            self._failed = 0
        return _answer(counts, why)

    def _refusal(self, context: RequestContext) -> str:
        """Why the sources are not read; "" if they are."""
        if self._failed >= MAX_FAILED:
            return f"the {MAX_FAILED} comparisons before failed"
        if time.monotonic() > self._until:
            return f"the comparisons of this probe took {MAX_TOTAL_SECONDS:.0f} s"
        if self._request.skew is ProbeSkew.ALWAYS:
            return ""
        kind = str(getattr(self._store.config.offline_store, "type", ""))
        if kind not in _CHEAP:
            return f"spec.probe.skew: Auto reads no offline store of type {kind or 'unknown'}"
        for view in context.views:
            path = getattr(view.view.batch_source, "path", "")
            if path and kind != "postgres" and (large := _large(path, self._store.repo_path)):
                return f"spec.probe.skew: Auto does not read {view.view.name}: {large}"
        return ""

    def _compare(self, retrieval: Retrieval) -> tuple[_Counts, str]:
        counts, context, asked = _Counts(), retrieval.context, retrieval.asked
        written = [
            each
            for view, keys in zip(context.views, asked.written, strict=True)
            if (each := self._written(retrieval, view, keys)) is not None
        ]
        pairs = dict.fromkeys(
            (number, moment)
            for each in written
            for number in each.own
            for moment in each.moments(number)
        )
        if not pairs:
            return counts, "no key has a row that the last materialization wrote"
        found = self._history(retrieval, tuple(pairs))
        for each in written:
            self._compare_view(counts, retrieval, each, found)
        why = ""
        if context.computed:
            why = self._compare_computed(counts, retrieval, written, found)
        if not counts.compared and not why:
            why = "the online store has newer rows, or none, of all keys"
        return counts, why

    def _written(
        self, retrieval: Retrieval, view: ViewRequest, keys: Mapping[int, SampledKey]
    ) -> _Written | None:
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
            if not _EARLIEST < at <= key.at + _STEP or key.at > until or not _has(vector, number):
                continue
            if ttl and at + ttl <= now:
                continue
            # A store may keep whole seconds.
            same = key.at - at < timedelta(seconds=1)
            own[number] = key.at if same else at
            if same:
                nulls[number] = key.nulls
        return _Written(view, own, nulls, until)

    def _history(
        self, retrieval: Retrieval, pairs: tuple[tuple[int, datetime], ...]
    ) -> dict[tuple[int, datetime], dict[str, Any]]:
        """What training gets: row and moment → column → value."""
        rows = retrieval.asked.rows
        entities = pd.DataFrame(
            {**{k: v for k, v in rows[number].items() if k}, _TIME: moment, _ID: index}
            for index, (number, moment) in enumerate(pairs)
        )
        job = self._training.get_historical_features(
            entities, retrieval.features, full_feature_names=retrieval.context.full
        )
        answers = job.to_df().to_dict("records")
        return {pairs[int(answer[_ID])]: answer for answer in answers}

    def _compare_view(
        self,
        counts: _Counts,
        retrieval: Retrieval,
        each: _Written,
        found: Mapping[tuple[int, datetime], Mapping[str, Any]],
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
                if not _has(vector, number) or column not in own:
                    continue
                verdict = _verdict(
                    vector.values[number],
                    own[column],
                    last.get(column, own[column]),
                    was_null=feature in each.nulls[number] if number in each.nulls else None,
                )
                if verdict is not None:
                    counts.add(column, differs=verdict == "differs", late=verdict == "late")

    def _compare_computed(
        self,
        counts: _Counts,
        retrieval: Retrieval,
        written: list[_Written],
        found: Mapping[tuple[int, datetime], Mapping[str, Any]],
    ) -> str:
        """Compare what on-demand views compute; returns why some of it was not compared."""
        context = retrieval.context
        if len(written) < len(context.views):
            return "on-demand features read a view without written rows"
        for each in written:
            sampled = set(self._request.keys[each.view.view.name].features)
            if not {f.name for f in each.view.view.features} <= sampled:
                return f"on-demand features: some of {each.view.view.name} were not written"
        rows = [n for n in range(len(retrieval.asked.rows)) if all(n in w.own for w in written)]
        rounded = any(
            f.dtype in (Float32, Array(Float32)) for w in written for f in w.view.view.features
        )
        differing: list[tuple[str, int]] = []
        for column in sorted(context.computed):
            vector = retrieval.columns[column]
            for number in rows:
                moments = {m for w in written for m in w.moments(number)}
                answers = [found[number, m] for m in moments if (number, m) in found]
                if len(answers) < len(moments):
                    continue
                online = vector.values[number]
                kind = online.WhichOneof("val") or ""
                if rounded and not kind.startswith(("float", "double")):
                    continue
                same = [same_value(online, a.get(column), computed=True) for a in answers]
                if None in same:
                    continue
                if any(same):
                    counts.add(column, late=not all(same))
                elif len({repr(answer.get(column)) for answer in answers}) > 1:
                    counts.add(column, late=True)
                else:
                    differing.append((column, number))
        for column, _ in self._repeatable(retrieval, differing):
            counts.add(column, differs=True)
        return ""

    def _repeatable(
        self, retrieval: Retrieval, differing: list[tuple[str, int]]
    ) -> Iterator[tuple[str, int]]:
        """Those whose value is the same if the store is asked again."""
        if not differing:
            return
        again = self._ask(retrieval.features, retrieval.asked.rows, full=retrieval.context.full)
        for column, number in differing:
            first, second = (c[column].values[number] for c in (retrieval.columns, again))
            if first.SerializeToString() == second.SerializeToString():
                yield column, number

    def _asked_alone(self, view: ViewRequest, rows: list[dict[str, Any]]) -> Any:
        """The answer for any feature of a view."""
        feature = view.view.features[0].name
        keys = [{key: row[name] for key, name in view.columns.items()} or {"": 1} for row in rows]
        columns = self._ask([f"{view.view.name}:{feature}"], keys, full=False)
        return columns[feature]

    def _ask(self, features: Any, rows: list[dict[str, Any]], *, full: bool) -> dict[str, Any]:
        answer = self._store.get_online_features(features, rows, full_feature_names=full).proto
        return dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))


def _has(vector: Any, number: int) -> bool:
    """Whether the store has the value, or a null, that is not past its TTL."""
    return vector.statuses[number] in (FieldStatus.PRESENT, FieldStatus.NULL_VALUE)


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


def _answer(counts: _Counts, why: str) -> SkewAnswer:
    columns = sorted(counts.compared.values(), key=lambda each: -each.ratio)
    return SkewAnswer(
        at=datetime.now(UTC),
        compared=sum(each.compared for each in columns),
        differing=sum(each.differing for each in columns),
        late=sum(each.late for each in columns),
        worst=columns[0] if columns else None,
        why=why,
    )


def _large(path: str, repo: Path) -> str:
    """Why a file is not read with `Auto`; "" if it is small."""
    if "://" in path and not path.startswith("file://"):
        return "it is not a local file"
    place = Path(repo) / path.removeprefix("file://")
    files = place.rglob("*") if place.is_dir() else (place,)
    size = 0
    for each in files:
        size += each.stat().st_size if each.is_file() else 0
        if size > MAX_FILE_BYTES:
            return f"it has more than {MAX_FILE_BYTES // 2**20} MiB"
    return ""
