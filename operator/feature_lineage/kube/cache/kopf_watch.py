"""Runs kopf in a separate thread: it lists and watches, and reports changes as `WatchEvent`s.

kopf reconnects and authenticates. It has no handlers that change anything, so it writes nothing: no
annotations, finalizers or progress. It has its own event loop, because it cancels every task of its
loop when it ends, and sets the signal handlers of the process if it can.

- An error other than 410 in a watch stream ends kopf: it is started again.
- Many of kopf's log records of level ERROR are not errors: see `kopf_logs`.
- kopf gets no ``stop_flag``, but is cancelled: it would await a `threading.Event` in an executor
  that never ends, so that kopf could not end, and any other flag delays its end by 5 s.
- When kopf ends, it cancels its tasks once and waits for them without limit; a task that asks for
  new credentials at that moment ignores the cancellation. So they are cancelled until they end.
- kopf does not report deletions that happened while it was not connected: see `relist`.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import kopf
from kubernetes.aio.client import Configuration

from feature_lineage.errors import TransientError
from feature_lineage.kube.cache.cache_entry import trimmed
from feature_lineage.kube.cache.kopf_logs import filter_logs
from feature_lineage.kube.cache.kopf_settings import connection_info, kopf_settings
from feature_lineage.kube.kinds import JOBS, MODELS, PROJECTS, Kind
from feature_lineage.reasons import Reason

WATCHED: Final = (PROJECTS, MODELS, JOBS)
STOP_SECONDS: Final = 5.0
CANCEL_SECONDS: Final = 1.0
SLICE_SECONDS: Final = 0.01
MAX_ENDS: Final = 5
"""After this number of ends in a row, each within `STABLE_SECONDS`, kopf is not started again."""
STABLE_SECONDS: Final = 60.0
RESTART_SECONDS: Final = 3.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A change of an object, or an object of a list.

    Attributes:
        kind: kind of the object.
        body: the object with the part of its metadata that is read; its last state if it was
            deleted. Of a Job, only the metadata.
        deleted: the object was deleted.
        listed: the object is of a list, so it may not have changed.
    """

    kind: Kind
    body: dict[str, Any]
    deleted: bool = False
    listed: bool = False


class WatchingEnded(TransientError):
    """kopf has ended without a call of `stop`: the process must end, too."""

    reason = Reason.WATCHING_ENDED


class KopfWatch:
    """Reports changes of the custom resources and of the operator's Jobs.

    Args:
        configuration: of the API server.
        namespaces: to watch; empty: all.
        on_event: called in the loop that called `start`, in the order of the events.
        on_restart: called in that loop when kopf was started again: events may have been lost.
    """

    def __init__(
        self,
        configuration: Configuration,
        namespaces: tuple[str, ...],
        on_event: Callable[[WatchEvent], None],
        on_restart: Callable[[], None],
    ) -> None:
        self._configuration = configuration
        self._namespaces = namespaces
        self._on_event = on_event
        self._on_restart = on_restart
        self._events: deque[WatchEvent] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._cancel: Callable[[], object] = lambda: None

    def start(self) -> "asyncio.Future[None]":
        """Start kopf; the future ends when kopf does, with `WatchingEnded` unless stopped."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def end(error: BaseException | None) -> None:
            if ended.done():
                return
            if self._stop.is_set():
                ended.set_result(None)
            else:
                ended.set_exception(WatchingEnded(f"the watch of the API server ended: {error}"))

        def run() -> None:
            error = self._run_kopf(loop)
            try:
                loop.call_soon_threadsafe(end, error)
            except RuntimeError:
                _log.debug("the watch ended after the event loop")

        self._thread = threading.Thread(target=run, name="kopf", daemon=True)
        self._thread.start()
        return ended

    def stop(self) -> None:
        """Stop kopf, and wait for its end for `STOP_SECONDS` at most."""
        self._stop.set()
        with suppress(RuntimeError):  # kopf's loop has ended
            self._cancel()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _run_kopf(self, loop: asyncio.AbstractEventLoop) -> BaseException | None:
        """Run kopf, and start it again when it ends; returns the last error."""
        error: BaseException | None = None
        ends = 0
        while ends < MAX_ENDS and not self._stop.is_set():
            started = time.monotonic()
            try:
                asyncio.run(self._watch(loop))
            except BaseException as caught:  # noqa: BLE001 - nobody else sees an error of a thread
                error = caught
            if self._stop.is_set():
                break
            ends = ends + 1 if time.monotonic() - started < STABLE_SECONDS else 1
            _log.warning("the watch ended and is started again: %s", error)
            self._stop.wait(RESTART_SECONDS)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._on_restart)
        return error

    async def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        filter_logs()
        own = asyncio.get_running_loop()
        own.set_exception_handler(_log_leftover)
        ending: asyncio.Future[None] = own.create_future()
        registry = self._registry(loop)

        @kopf.on.cleanup(registry=registry)
        async def ends(**_: Any) -> None:
            if not ending.done():
                ending.set_result(None)

        running = asyncio.create_task(
            kopf.operator(
                registry=registry,
                settings=kopf_settings(),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                standalone=True,
            )
        )

        def cancel() -> None:
            running.cancel()
            if not ending.done():
                ending.set_result(None)

        self._cancel = partial(own.call_soon_threadsafe, cancel)
        if self._stop.is_set():  # `stop` was called before `_cancel` was set
            cancel()
        await asyncio.wait({running, ending}, return_when=asyncio.FIRST_COMPLETED)
        await _ended(running)

    def _registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return await connection_info(self._configuration)

        for kind in WATCHED:
            self._watch_kind(registry, kind, loop)
        return registry

    def _watch_kind(
        self, registry: kopf.OperatorRegistry, kind: Kind, loop: asyncio.AbstractEventLoop
    ) -> None:
        # The handler only appends: kopf would log an error that it raises, and not call it again.
        async def received(event: Any, **_: Any) -> None:
            type_, whole = event["type"], event["object"]
            body = {"metadata": whole["metadata"]} if kind is JOBS else trimmed(whole)
            self._events.append(
                WatchEvent(kind, body, deleted=type_ == "DELETED", listed=type_ is None)
            )
            if len(self._events) == 1:
                loop.call_soon_threadsafe(self._report)

        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(received)

    def _report(self) -> None:
        """Report events for `SLICE_SECONDS`, then yield: a list may have ten thousand objects."""
        until = time.monotonic() + SLICE_SECONDS
        pause = False
        while self._events and not pause:
            pause = True
            try:
                self._on_event(self._events[0])
                pause = time.monotonic() > until
            finally:
                # An event is removed last: only the first one of an empty queue schedules a call.
                # After an error, the events behind it are reported by another call.
                self._events.popleft()
                if self._events and pause:
                    asyncio.get_running_loop().call_soon(self._report)


async def _ended(running: "asyncio.Task[None]") -> None:
    """Wait for the end of kopf, cancelling its tasks until they end; raises what ended kopf."""
    while not running.done():
        await asyncio.wait({running}, timeout=CANCEL_SECONDS)
        for task in asyncio.all_tasks() - {running, asyncio.current_task()}:
            task.cancel()
    await running


def _log_leftover(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what kopf's cancelled tasks leave in its loop; there is nothing to repair."""
    _log.debug("kopf: %s", context["message"], exc_info=context.get("exception"))
