"""One reading of the model registry, shared by all resources with the same server and credential.

Only one reading is in progress at a time; concurrent callers wait for it. Aliases and new versions
are read as often as callers need them. All of the registry is read every ten minutes, or for a
caller that needs it in `full`, because MLflow does not report changed tags or deleted versions. A
caller that does not wait gets the last good view; changed models are reported when the reading
ends. A failed reading keeps the last good view, and the next reading is delayed.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Set
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from traceback import clear_frames
from typing import Final

from feature_lineage.errors import FeatureLineageError
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.tracking.cache_budget import (
    TENANTS_BYTES,
    CacheBudget,
    GivenUp,
    Share,
    memory_of,
)
from feature_lineage.tracking.circuit_breaker import MAX_PROBE_INTERVAL
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.mlflow_errors import closed, no_room, unavailable
from feature_lineage.tracking.paging import RegistryListing, read_all, read_changes
from feature_lineage.tracking.registry_view import assembled, changed_models, with_changes
from feature_lineage.tracking.run_resolver import RunResolver
from feature_lineage.tracking.training_records import TrainingRecords

FULL_REFRESH_INTERVAL: Final = timedelta(minutes=10)
"""Age of the last full reading at which the next reading is full."""
PAUSE_FACTOR: Final = 4
"""The pause between two readings that only age makes due, in durations of the last reading."""
MAX_PAUSE: Final = timedelta(minutes=2)
MAX_WAIT: Final = 150.0
"""Seconds that a caller waits for a reading; the reading goes on."""

_log = logging.getLogger(__name__)

OnRegistryChange = Callable[[Set[str]], None]
"""Called with the names of changed registered models, in the event loop, once the view is new."""


@dataclass(frozen=True, slots=True)
class _TagWrite:
    """Tags written by this process: part of the view at once, until the next full reading."""

    at: datetime
    version: ModelVersion
    changes: Mapping[str, str | None]


class RegistryCache:
    """The model registry of one server, workspace and credential.

    Args:
        client: of that server and credential.
        now: the current time, aware, in UTC.
        on_change: called with the names of registered models that differ from the last view.
        share: of the memory for all readings; without it, the cache has a budget of its own.
        max_wait: seconds that a caller waits for a reading.
    """

    def __init__(
        self,
        client: MLflowClient,
        *,
        now: Callable[[], datetime],
        on_change: OnRegistryChange = lambda _: None,
        share: Share | None = None,
        max_wait: float = MAX_WAIT,
    ) -> None:
        self._max_wait = max_wait
        self._share = share or CacheBudget(TENANTS_BYTES).share("")
        self._share.on_given_up.append(self._drop)
        self._client = client
        self._now = now
        self._on_change = on_change
        self._run_resolver = RunResolver(client)
        self._training = TrainingRecords(client)
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

    async def view(
        self, *, max_age: timedelta, full: bool = False, wait: bool = True
    ) -> RegistryView:
        """The registry, read at most `max_age` before this call.

        Args:
            max_age: of aliases and new versions; with `full`, of everything. Without `full`, a
                `max_age` above 0 is raised where readings are slow, so that they take at most a
                fifth of the time: MLflow serves other clients, too.
            full: tags and deletions must be that fresh, too, as protection needs it.
            wait: for the reading; else the last good view is returned while the reading goes on,
                unless that view is twice as old or the last reading failed.

        Raises:
            FeatureLineageError: no reading is that fresh; `last` is kept.
            ServerUnavailable: also where this cache was closed in the meantime, or where the
                reading takes longer than a caller waits.
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
        """Cancel a reading in progress; callers that wait get `ServerUnavailable`."""
        if (refresh := self._refresh_task) is not None:
            refresh.cancel()
            await asyncio.wait({refresh})
        self._share.close()

    def _drop(self) -> None:
        """Free the memory: other readings need it more.

        So the next reading reports all of its models; models that were deleted in the meantime are
        seen when their projects are due.
        """
        self._reading = self._last = self._reported = None
        self._run_resolver = RunResolver(self._client)
        self._training = TrainingRecords(self._client)

    def record_tag_write(self, version: ModelVersion, changes: Mapping[str, str | None]) -> None:
        """Add tags that this process wrote (None: removed) to the view until the next full reading.

        The change is reported with the next reading, not now: two resources with different verdicts
        on one version would otherwise overwrite each other's tags without a pause.
        """
        self._writes.append(_TagWrite(self._now(), version, dict(changes)))
        if self._reading is not None and self._last is not None:
            self._reading = self._with_writes(self._reading)
            old = self._last.version(version.name, version.version)
            if old is not None and old.created_at == version.created_at:
                model = self._last.versions[version.name]
                new = replace(old, tags=with_changes(old.tags, changes))
                versions = {**self._last.versions, old.name: {**model, old.version: new}}
                self._last = replace(self._last, versions=versions)

    async def _wait_for(self, refresh: "asyncio.Task[None]") -> None:
        """Wait for a reading that any caller started.

        It is shielded: a caller's timeout must not cancel the reading of the others. And a
        cancelled reading must not cancel its callers.
        """
        try:
            async with asyncio.timeout(self._max_wait):
                await asyncio.shield(refresh)
        except TimeoutError:
            fact = f"its registry was not read within {self._max_wait:g} s; the reading goes on"
            raise unavailable(self._client.server, fact) from None
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if not refresh.cancelled() or caller is None or caller.cancelling():
                raise
            raise closed(self._client.server) from None

    @property
    def _failing(self) -> bool:
        """Whether the last reading failed, which callers must learn."""
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
            with self._share.reading():
                await self._read_registry(full)
            self._failure = None
        except GivenUp as given_up:
            error = no_room(self._client.server, str(given_up))
            _clear(given_up)
            self._failure = (copy(error), self._now())
            raise error from None
        except FeatureLineageError as error:
            # During an outage the circuit breaker decides, which probes earlier than this.
            kept = (_without_frames(error), self._now())
            self._failure = None if self._client.circuit.is_open else kept
            raise
        finally:
            self._refresh_task = None

    async def _read_registry(self, full: bool) -> None:
        began = self._now()
        before = self._reading
        whole = full or before is None or not _within(before.read_at, began, FULL_REFRESH_INTERVAL)
        if whole or before is None:
            reading = await read_all(self._client, began, before)
        else:
            reading = await read_changes(self._client, before)
        named = await self._run_resolver.with_runs(reading, full=whole)
        promoted = {(m.name, n) for m in reading.models.values() for n in m.aliases.values()}
        trained, runs = await self._training.of(named, now=began, full=whole, promoted=promoted)
        # No await from here on: concurrent tag writes must not get lost. A full reading contains
        # the writes from before it began.
        if whole:
            self._writes = [write for write in self._writes if write.at >= began]
        self._reading = reading = self._with_writes(reading)
        self._refreshed_at = began
        if not whole:
            self._refresh_duration = self._now() - began
        versions = assembled(reading, trained, self._last)
        last, reported = self._last, self._reported
        same = last is not None and last.versions == versions and last.runs == runs
        # Not so after a tag write, whose view is neither counted nor reported yet.
        known = same and last is reported
        if last is None or not same or last.read_at != reading.read_at:
            self._last = last = RegistryView(reading.read_at, versions, runs, began)
        if not known or before is None or before.models != reading.models:
            self._share.hold(memory_of(last, reading.models.values(), self._training.logged))
        self._reported = last
        if not known and (changed := changed_models(reported, last)):
            self._on_change(changed)

    def _with_writes(self, reading: RegistryListing) -> RegistryListing:
        versions = dict(reading.versions)
        for write in self._writes:
            name, number = write.version.name, write.version.version
            known = versions.get(name, {}).get(number)
            if known is not None and known.created_at == write.version.created_at:
                tagged = replace(known, tags=with_changes(known.tags, write.changes))
                versions[name] = {**versions[name], number: tagged}
        return replace(reading, versions=versions)


def _without_frames(error: FeatureLineageError) -> FeatureLineageError:
    """A copy to keep."""
    _clear(error)
    kept = copy(error)
    kept.__traceback__ = kept.__cause__ = kept.__context__ = None
    return kept


def _clear(error: BaseException) -> None:
    """Clear the frames of an error and its causes, which have all rows that were read.

    The error and its frames refer to each other, and such garbage is collected late.
    """
    each: BaseException | None = error
    while each is not None:
        clear_frames(each.__traceback__)
        each = each.__context__


def _log_unexpected(refresh: "asyncio.Task[None]") -> None:
    """Retrieve the error of a reading, which its callers handle; log an unexpected one."""
    error = None if refresh.cancelled() else refresh.exception()
    if error is not None and not isinstance(error, FeatureLineageError):
        _log.error("reading MLflow failed unexpectedly", exc_info=error)


def _within(at: datetime, now: datetime, age: timedelta) -> bool:
    """Whether `at` is at most `age` ago and, after a clock was set back, not in the future."""
    return now - age <= at <= now
