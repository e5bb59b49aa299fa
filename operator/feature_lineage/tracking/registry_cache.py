"""One reading of the model registry for all who share a server and a credential.

However many resources ask, one reading is under way at a time, and those who come while it runs
wait for it. Aliases and new versions are read as often as asked for; the whole every ten minutes
or when asked for in `full`, because nothing in MLflow tells that a tag changed or a version went.
Who need not have the newest is not kept waiting for it: the last good view will do, and what a
reading finds to be new is told by model. A failed reading keeps the last good view, and is not
tried again at once by the next who asks.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.errors import FeatureLineageError
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.tracking.circuit_breaker import MAX_PROBE_INTERVAL
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.mlflow_errors import closed
from feature_lineage.tracking.paging import RegistryListing, read_all, read_changes
from feature_lineage.tracking.run_resolver import RunResolver, VersionKey
from feature_lineage.tracking.training import TrainingRuns

FULL_REFRESH_INTERVAL: Final = timedelta(minutes=10)
PAUSE_FACTOR: Final = 4
"""How many times as long as it took a reading is not repeated just because time has passed."""
MAX_PAUSE: Final = timedelta(minutes=2)

_log = logging.getLogger(__name__)

OnRegistryChange = Callable[[Set[str]], None]
"""Told of the names of registered models, in the event loop, once the view shows what is new."""


@dataclass(frozen=True, slots=True)
class _TagWrite:
    """What we wrote on a version: true at once, read back at the next whole reading."""

    at: datetime
    version: ModelVersion
    changes: Mapping[str, str | None]


class RegistryCache:
    """The registry view of one (server, workspace, credential).

    Args:
        client: of that server and credential.
        now: the present, aware, in UTC.
        full_every: how old a whole reading may get before the next reading is a whole one.
        on_news: told of registered models that are not what they were in the view before.
    """

    def __init__(
        self,
        client: MLflowClient,
        *,
        now: Callable[[], datetime],
        full_refresh_interval: timedelta = FULL_REFRESH_INTERVAL,
        on_change: OnRegistryChange = lambda _: None,
    ) -> None:
        self._client = client
        self._now = now
        self._full_refresh_interval = full_refresh_interval
        self._on_change = on_change
        self._run_resolver = RunResolver(client)
        self._training = TrainingRuns(client)
        self._reading: RegistryListing | None = None
        self._last: RegistryView | None = None
        self._reported: RegistryView | None = None
        self._refreshed_at: datetime | None = None
        self._refresh_duration = timedelta(0)
        self._refresh_task: asyncio.Task[None] | None = None
        self._failure: tuple[FeatureLineageError, datetime] | None = None
        self._writes: list[_TagWrite] = []

    @property
    def last(self) -> RegistryView | None:
        """The last good view, however old; survives an outage."""
        return self._last

    @property
    def refreshed_at(self) -> datetime | None:
        """When aliases and new versions were last read; `RegistryView.read_at` is of the whole."""
        return self._refreshed_at

    async def view(
        self, *, max_age: timedelta, full: bool = False, wait: bool = True
    ) -> RegistryView:
        """The registry, read at most `max_age` before this call.

        Args:
            max_age: of aliases and new versions; with `full`, of everything. Where a reading
                takes long, more is allowed, without `full` and unless it is nothing: MLflow has
                others to serve, so readings take a fifth of the time at most.
            full: tags and deletions must be that fresh too, as a guard needs it.
            wait: for the reading; else it goes on by itself and the last good view is returned,
                where that is not twice as old and the last reading did not fail.

        Raises:
            FeatureLineageError: no reading that fresh can be had; `last` is kept.
            ServerUnavailable: also when this view was closed meanwhile.
        """
        began = self._now()
        if not full and max_age:
            max_age = max(max_age, min(PAUSE_FACTOR * self._refresh_duration, MAX_PAUSE))
        while True:
            read_at, now = self._read_at(full), self._now()
            if self._last is not None and read_at and began - max_age <= read_at <= now:
                return self._last
            refresh = self._refresh_task
            if started_here := refresh is None:
                self._raise_recent_failure()
                refresh = self._refresh_task = asyncio.create_task(self._run_refresh(full))
                refresh.add_done_callback(_log_unexpected)
            recent_enough = read_at is not None and began - 2 * max_age <= read_at <= now
            if not wait and self._last is not None and recent_enough and not self._failing:
                return self._last
            await self._wait_for(refresh)
            if started_here and self._last is not None:
                return self._last

    async def close(self) -> None:
        """Stop a reading that is under way; who waits for it is told that the server is out."""
        if (refresh := self._refresh_task) is not None:
            refresh.cancel()
            await asyncio.wait({refresh})

    def record_tag_write(self, version: ModelVersion, changes: Mapping[str, str | None]) -> None:
        """Tags were written (None: removed) by us: show them before the next whole reading does.

        Whom they concern is told with the next reading, not now: two who see one version
        differently would write over each other without a pause.
        """
        self._writes.append(_TagWrite(self._now(), version, dict(changes)))
        if self._reading is not None and self._last is not None:
            self._reading = self._with_writes(self._reading)
            old = self._last.version(version.name, version.version)
            if old is not None and old.created_at == version.created_at:
                model = self._last.versions[version.name]
                new = replace(old, tags=_changed(old.tags, changes))
                versions = {**self._last.versions, old.name: {**model, old.version: new}}
                self._last = replace(self._last, versions=versions)

    async def _wait_for(self, refresh: "asyncio.Task[None]") -> None:
        """Wait for a reading, whoever began it.

        Shielded: one caller's timeout must not take the reading from the others. Nor may the end
        of the reading pass for an end of its callers, which nobody asked for.
        """
        try:
            await asyncio.shield(refresh)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if not refresh.cancelled() or caller is None or caller.cancelling():
                raise
            raise closed(self._client.server) from None

    @property
    def _failing(self) -> bool:
        """Whether the last reading failed: then who asks is to know it."""
        return self._failure is not None or self._client.circuit.is_open

    def _read_at(self, full: bool) -> datetime | None:
        if full or self._reading is None:
            return self._reading.read_at if self._reading else None
        return self._refreshed_at

    def _raise_recent_failure(self) -> None:
        if self._failure is None:
            return
        error, at = self._failure
        if at <= self._now() < at + MAX_PROBE_INTERVAL:
            raise error.with_traceback(None)

    async def _run_refresh(self, full: bool) -> None:
        try:
            await self._read_registry(full)
            self._failure = None
        except FeatureLineageError as error:
            # An outage is the circuit's business, which looks again sooner than this would.
            self._failure = None if self._client.circuit.is_open else (error, self._now())
            raise
        finally:
            self._refresh_task = None

    async def _read_registry(self, full: bool) -> None:
        began = self._now()
        before = self._reading
        whole = (
            full
            or before is None
            or not _within(before.read_at, began, self._full_refresh_interval)
        )
        if whole or before is None:
            reading = await read_all(self._client, began, before)
        else:
            reading = await read_changes(self._client, before)
        runs_of = await self._run_resolver.runs_of(reading, full=whole)
        run_ids = {v.run_id for named in reading.versions.values() for v in named.values()}
        runs = await self._training.of(run_ids | set(runs_of.values()), now=began, full=whole)
        # No await from here on: what was written meanwhile must not get lost. What was written
        # before a whole reading began is in it.
        if whole:
            self._writes = [write for write in self._writes if write.at >= began]
        self._reading = reading = self._with_writes(reading)
        self._refreshed_at = began
        if not whole:
            self._refresh_duration = self._now() - began
        versions = _assembled(reading, runs_of, self._last)
        last = self._last
        same = last is not None and last.versions == versions and last.runs == runs
        if last is None or not same or last.read_at != reading.read_at:
            self._last = last = RegistryView(reading.read_at, versions, runs)
        reported, self._reported = self._reported, last
        if reported is not last and (changed := _changed_models(reported, last)):
            self._on_change(changed)

    def _with_writes(self, reading: RegistryListing) -> RegistryListing:
        versions = dict(reading.versions)
        for write in self._writes:
            name, number = write.version.name, write.version.version
            known = versions.get(name, {}).get(number)
            if known is not None and known.created_at == write.version.created_at:
                tagged = replace(known, tags=_changed(known.tags, write.changes))
                versions[name] = {**versions[name], number: tagged}
        return replace(reading, versions=versions)


def _assembled(
    reading: RegistryListing, runs_of: Mapping[VersionKey, str], last: RegistryView | None
) -> dict[str, dict[str, ModelVersion]]:
    """Versions with their aliases and resolved runs; those unchanged stay the same objects."""
    view: dict[str, dict[str, ModelVersion]] = {}
    for name, versions in reading.versions.items():
        model = reading.models.get(name)
        by_version: dict[str, list[str]] = {}
        for alias, number in model.aliases.items() if model else ():
            by_version.setdefault(number, []).append(alias)
        named = view[name] = {}
        for number, version in versions.items():
            aliases = tuple(sorted(by_version.get(number, ())))
            run_id = version.run_id or runs_of.get((name, number), "")
            whole = version
            if aliases or run_id != version.run_id:
                whole = replace(version, aliases=aliases, run_id=run_id)
            old = last.version(name, number) if last else None
            named[number] = old if old is not None and old == whole else whole
    return view


def _changed_models(before: RegistryView | None, after: RegistryView) -> Set[str]:
    """Models with other versions, aliases, tags or training runs than before."""
    if before is None:
        return after.versions.keys()

    def same(name: str) -> bool:
        was, now = before.versions.get(name, {}), after.versions.get(name, {})
        return was == now and all(before.run_of(v) == after.run_of(v) for v in now.values())

    return {name for name in {*before.versions, *after.versions} if not same(name)}


def _log_unexpected(refresh: "asyncio.Task[None]") -> None:
    """Its error belongs to those who wait for it; that all of them left is no news."""
    error = None if refresh.cancelled() else refresh.exception()
    if error is not None and not isinstance(error, FeatureLineageError):
        _log.error("reading MLflow failed in a way nobody thought of", exc_info=error)


def _changed(tags: Mapping[str, str], changes: Mapping[str, str | None]) -> Mapping[str, str]:
    merged = {**tags, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def _within(at: datetime, now: datetime, age: timedelta) -> bool:
    """Not older than `age`, and not from a future that a clock set back has left behind."""
    return now - age <= at <= now
