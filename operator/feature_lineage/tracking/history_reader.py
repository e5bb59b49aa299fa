"""Reads the history of a project by time: aliases, registry and operations.

Each question takes a fixed number of requests, however long the history is. The runs are untrusted,
because other users may write to the experiments: texts have limits, and only complete runs of the
resource count.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import datetime
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
from feature_lineage.operations.past import Entry, Place, RegistryState, Unreadable
from feature_lineage.operations.past_operations import PastOperation, read_operation
from feature_lineage.operations.records import REGISTRY_DIGEST_TAG, RESOURCE_TAG
from feature_lineage.tracking import parsing
from feature_lineage.tracking.client import MLflowClient, quoted
from feature_lineage.tracking.ops import RECORDED_TAG
from feature_lineage.tracking.page_walk import pages

PAGE: Final = 100
"""Entries of a page: one with all aliases may have a megabyte."""
MAX_DELTAS: Final = 10 * WHOLE_EVERY
"""Records of moves between two with all aliases; the operator writes `WHOLE_EVERY`."""
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
        after: tuple[int, str] = (-1, ""),
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

    async def _first(
        self, experiment: str, wanted: str, place: Place, order: str
    ) -> dict[str, Any] | None:
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
    ) -> AsyncIterator[dict[str, Any]]:
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

        def ask(size: int, token: str) -> Awaitable[tuple[list[dict[str, Any]], str]]:
            return self._client.search_runs(
                ids,
                filter_string,
                page_size=size,
                order_by=order,
                deleted_too=deleted_too,
                token=token,
            )

        async for page in pages(ask, most):
            for raw in page:
                yield raw

    def _entry(self, raw: dict[str, Any]) -> Entry:
        run_id, at, ended, tags = self._parts(raw)
        try:
            if tags.get(HISTORY_TAG) == ALIASES:
                return read_record(run_id, at, tags)
            return read_operation(run_id, at, ended, tags)
        except InvalidReport as error:
            return Unreadable(run_id, at, error.message)

    def _record(self, raw: dict[str, Any], until: datetime | None) -> AliasRecord:
        run_id, at, _, tags = self._parts(raw)
        if until is not None and at > until:  # a server may ignore what it was asked for
            raise InvalidReport(
                f"MLflow at {self._client.server.tracking_uri} answers with run {run_id} of {at}, "
                f"and was asked for runs up to {until}"
            )
        return read_record(run_id, at, tags)

    def _operation(self, raw: dict[str, Any]) -> PastOperation:
        return read_operation(*self._parts(raw))

    def _parts(self, raw: dict[str, Any]) -> tuple[str, datetime, datetime, dict[str, str]]:
        """Id, start, end and tags of a run."""
        with self._client.parsing_answer("runs/search"):
            info = raw["info"]
            start = parsing.moment(info["start_time"])
            end = parsing.moment(info["end_time"]) if info.get("end_time") else start
            return str(info["run_id"]), start, end, parsing.pairs(raw["data"].get("tags", ()))


def cursor_of(entry: Entry) -> tuple[int, str]:
    """Where an entry is in the order of all entries."""
    at = entry.started_at if isinstance(entry, PastOperation) else entry.at
    return parsing.milliseconds(at), entry.run_id


def _all(*conditions: str) -> str:
    return " AND ".join(condition for condition in conditions if condition)
