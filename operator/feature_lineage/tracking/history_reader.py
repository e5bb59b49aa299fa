"""Reads the history of a project by time: aliases, registry and operations.

Each question takes a fixed number of requests, however long the history is. The runs are untrusted,
because other users may write to the experiments: texts have limits, and only complete runs of the
resource count.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from feature_lineage.errors import InvalidReport, NotFound
from feature_lineage.operations.alias_history import (
    ALIASES,
    HISTORY_TAG,
    WHOLE_EVERY,
    WHOLE_TAG,
    AliasFold,
    AliasRecord,
    AliasState,
    read_record,
)
from feature_lineage.operations.past import FIRST, Entry, Place, RegistryState, Unreadable
from feature_lineage.operations.past_operations import PastOperation, read_operation
from feature_lineage.operations.records import REGISTRY_DIGEST_TAG, RESOURCE_TAG
from feature_lineage.tracking import parsing
from feature_lineage.tracking.client import MLflowClient, quoted
from feature_lineage.tracking.ops import RECORDED_TAG
from feature_lineage.tracking.oversized_runs import OversizedRun, runs_of

PAGE: Final = 100
"""Entries of a page: one with all aliases may have a megabyte."""
MAX_DELTAS: Final = 10 * WHOLE_EVERY
"""Records of moves between two with all aliases; the operator writes `WHOLE_EVERY`."""
Run = dict[str, Any] | OversizedRun
_EARLIEST: Final = datetime(1, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)
OLDEST_FIRST: Final = ("attributes.start_time ASC",)


class HistoryReader:
    """Reads the history on one server."""

    def __init__(self, client: MLflowClient) -> None:
        self._client = client

    async def aliases_at(self, place: Place, at: datetime | None = None) -> AliasState | None:
        """The aliases at a time, or as of the last record; None if no record is that old.

        Raises:
            InvalidReport: a record is missing, has another form or is too late, or there are too
                many, so the aliases are not known.
        """
        base = f"tags.`{HISTORY_TAG}` = '{ALIASES}'"
        until = f"attributes.start_time <= {parsing.milliseconds(at)}" if at is not None else ""
        whole = await self._first(
            place.aliases,
            _all(base, f"tags.`{WHOLE_TAG}` = 'true'", until),
            place,
            "attributes.start_time DESC",
        )
        if whole is None:
            return None
        first, read = self._record(whole, at), 0
        fold = AliasFold(first)
        since = f"attributes.start_time > {parsing.milliseconds(first.at)}"
        deltas = _all(base, f"tags.`{WHOLE_TAG}` = 'false'", since, until)
        async for raw in self._runs([place.aliases], deltas, place, OLDEST_FIRST):
            read += 1
            if read > MAX_DELTAS:
                raise InvalidReport(
                    f"experiment {place.aliases} of MLflow at {self._client.server.tracking_uri} "
                    f"has more than {MAX_DELTAS} records of aliases since {first.at}; the "
                    "aliases are not known until the next record with all aliases"
                )
            try:
                record = self._record(raw, at)
            except InvalidReport:
                continue  # If it was a link of the chain, the record after it shows the gap.
            fold.add(record)
        return fold.state

    async def registry_at(self, place: Place, at: datetime) -> RegistryState | None:
        """The registry in force at a time; None if no operation had read it by then."""
        base = "attributes.status = 'FINISHED'"
        ended = f"attributes.end_time <= {parsing.milliseconds(at)}"
        newest_first, oldest_first = "attributes.end_time DESC", "attributes.end_time ASC"
        known = f"tags.`{REGISTRY_DIGEST_TAG}` != ''"
        raw = await self._first(place.operations, _all(base, ended, known), place, newest_first)
        if raw is None:
            return None
        last = self._operation(raw)
        digest = quoted(last.registry)
        other = f"tags.`{REGISTRY_DIGEST_TAG}` != {digest}"
        before = await self._first(
            place.operations, _all(base, ended, known, other), place, newest_first
        )
        same = _all(base, ended, f"tags.`{REGISTRY_DIGEST_TAG}` = {digest}")
        if before is not None:
            after = parsing.milliseconds(self._operation(before).ended_at)
            same = _all(same, f"attributes.end_time >= {after}")
        raw = await self._first(place.operations, same, place, oldest_first)
        first = self._operation(raw) if raw is not None else last
        return RegistryState(
            last.registry, first.ended_at, last.ended_at, first.operation, first.revision
        )

    async def operations_at(self, place: Place, at: datetime) -> tuple[PastOperation, ...]:
        """The operations that ran at a time, and the last one that had ended; oldest first."""
        now = parsing.milliseconds(at)
        ended = await self._first(
            place.operations,
            f"attributes.end_time <= {now}",
            place,
            "attributes.end_time DESC",
        )
        found = [] if ended is None else [self._operation(ended)]
        ran = f"attributes.start_time <= {now} AND attributes.end_time > {now}"
        running = self._runs([place.operations], ran, place, OLDEST_FIRST)
        return (*found, *[self._operation(raw) async for raw in running])

    async def entries(
        self,
        place: Place,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: tuple[int, str] = FIRST,
    ) -> AsyncIterator[Entry]:
        """All entries that began within a time, oldest first.

        Args:
            since, until: inclusive; None: without limit.
            after: start in ms since 1970 and run of the last entry that is known: `cursor_of`.
        """
        least = max(after[0], parsing.milliseconds(since) if since is not None else -1)
        wanted = _all(
            f"attributes.start_time >= {least}" if least >= 0 else "",
            f"attributes.start_time <= {parsing.milliseconds(until)}" if until is not None else "",
        )
        experiments = [place.operations, place.aliases]
        async for raw in self._runs(experiments, wanted, place, OLDEST_FIRST):
            entry = self._entry(raw)
            if cursor_of(entry) > after:
                yield entry

    async def _first(self, experiment: str, wanted: str, place: Place, order: str) -> Run | None:
        async for raw in self._runs([experiment], wanted, place, [order], most=1):
            return raw
        return None

    async def _runs(
        self,
        experiments: Sequence[str],
        wanted: str,
        place: Place,
        order: Sequence[str],
        *,
        most: int = PAGE,
    ) -> AsyncIterator[Run]:
        """The complete runs of the resource; also of a deleted experiment, as a timeline's."""
        ids, deleted_too = [], False
        for experiment in experiments:
            try:
                found, deleted = await self._client.experiment(experiment)
            except NotFound:
                continue
            ids.append(found)
            deleted_too = deleted_too or deleted
        if not ids:
            return
        own = f"tags.`{RESOURCE_TAG}` = {quoted(place.resource)}"
        filter_string = _all(f"tags.`{RECORDED_TAG}` = 'true'", own, wanted)

        def search(
            wanted: str, size: int, token: str
        ) -> Awaitable[tuple[list[dict[str, Any]], str]]:
            return self._client.search_runs(
                ids,
                wanted,
                page_size=size,
                order_by=order,
                deleted_too=deleted_too,
                token=token,
            )

        with self._client.parsing_answer("runs/search"):
            async for run in runs_of(search, filter_string, most):
                yield run

    def _entry(self, run: Run) -> Entry:
        run_id, start_ms = self._known_by(run)
        try:
            at, ended, tags = self._parts(run)
            if tags.get(HISTORY_TAG) == ALIASES:
                return read_record(run_id, at, tags)
            return read_operation(run_id, at, ended, tags)
        except InvalidReport as error:
            return Unreadable(run_id, start_ms, _nearest(start_ms), error.message)

    def _record(self, run: Run, until: datetime | None) -> AliasRecord:
        run_id, (at, _, tags) = self._known_by(run)[0], self._parts(run)
        if until is not None and at > until:  # a server may ignore what it was asked for
            raise InvalidReport(
                f"MLflow at {self._client.server.tracking_uri} answers with run {run_id} of {at}, "
                f"and was asked for runs up to {until}"
            )
        return read_record(run_id, at, tags)

    def _operation(self, run: Run) -> PastOperation:
        return read_operation(self._known_by(run)[0], *self._parts(run))

    def _known_by(self, run: Run) -> tuple[str, int]:
        """Id and start of a run, the start in ms since 1970."""
        if isinstance(run, OversizedRun):
            return run.run_id, run.start_ms
        with self._client.parsing_answer("runs/search"):
            return str(run["info"]["run_id"]), int(run["info"].get("start_time") or 0)

    def _parts(self, run: Run) -> tuple[datetime, datetime, dict[str, str]]:
        """Start, end and tags of a run.

        Raises:
            InvalidReport: it is too large, or its start or end is no time.
        """
        run_id, start = self._known_by(run)
        if isinstance(run, OversizedRun):
            raise InvalidReport(
                f"MLflow run {run_id} is larger than the operator reads, by its tags or its name; "
                "delete the run"
            )
        with self._client.parsing_answer("runs/search"):
            end = int(run["info"].get("end_time") or start)
            tags = parsing.pairs(run["data"].get("tags", ()))
        try:
            return parsing.moment(start), parsing.moment(end), tags
        except OverflowError:
            raise InvalidReport(
                f"MLflow run {run_id} has a start ({start} ms) or an end ({end} ms) that is no "
                "time; delete the run"
            ) from None


def cursor_of(entry: Entry) -> tuple[int, str]:
    """Where an entry is in the order of all entries."""
    if isinstance(entry, Unreadable):
        return entry.start_ms, entry.run_id
    at = entry.started_at if isinstance(entry, PastOperation) else entry.at
    return parsing.milliseconds(at), entry.run_id


def _nearest(milliseconds: int) -> datetime:
    try:
        return parsing.moment(milliseconds)
    except OverflowError:
        return _LATEST if milliseconds > 0 else _EARLIEST


def _all(*conditions: str) -> str:
    return " AND ".join(condition for condition in conditions if condition)
