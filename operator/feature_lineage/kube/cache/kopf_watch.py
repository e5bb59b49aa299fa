"""kopf, confined: what it notices becomes `Change`s, and all that is peculiar about it lives here.

kopf lists and watches, reconnects and authenticates; it handles nothing, so it writes nothing: no
annotations, no finalizers, no progress. It runs in a thread and an event loop of its own, because
it cancels whatever tasks it finds in its loop when it ends, and takes the process's signals where
it can. Its memory and its patience are set by measurement:

- ``idle_timeout``: kopf keeps a task, a queue and a whole body for each object that long.
- the diffbase storage does nothing: kopf would compute a digest of every object for handlers that
  are not there.
- ``error_backoffs`` never ends: when it does, kopf ends with it, for one server that was away.
- an error that a server tells in a watch ends kopf unless it is a 410: it is begun again then.
- much of what it logs as an ERROR is none: see `kopf_logs`.
- it is given no ``stop_flag``, but cancelled: a `threading.Event` would be awaited in an executor
  that never ends, so that kopf could not end by itself, and any other flag delays that by 5 s.
- when it ends it cancels its tasks once and waits for ever: one that asks for new credentials just
  then takes no notice. They are cancelled until they do.

kopf loses deletions that happen while it is not connected: see `sweep`.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import kopf
from kubernetes.aio.client import Configuration

from feature_lineage.api import GROUP
from feature_lineage.errors import TransientError
from feature_lineage.kube.cache.kopf_logs import calm
from feature_lineage.kube.kinds import JOBS, MANAGED_BY, MANAGER, MODELS, PROJECTS, Kind
from feature_lineage.reasons import Reason

WATCHED: Final = (PROJECTS, MODELS, JOBS)
STOP_SECONDS: Final = 5.0
CANCEL_SECONDS: Final = 1.0
SLICE_SECONDS: Final = 0.01
INACTIVITY_SECONDS: Final = 70.0
"""A server sends a bookmark a minute; a stream that is silent for longer is dead."""
ENDINGS: Final = 5
"""So many in a row, each within `STEADY_SECONDS`, and watching is given up."""
STEADY_SECONDS: Final = 60.0
RESTART_SECONDS: Final = 3.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to an object, or that it is there (``replayed``).

    Attributes:
        kind: kind of the object.
        body: the whole object; its last state when it is gone.
        gone: it was deleted.
        replayed: told by a listing, not by an event.
    """

    kind: Kind
    body: dict[str, Any]
    gone: bool = False
    replayed: bool = False


class WatchingEnded(TransientError):
    """kopf has ended although nobody asked it to: the process must end, too."""

    reason = Reason.WATCHING_ENDED


class _Patiently:
    """Seconds between attempts, without end; kopf iterates over it anew for each request."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1.0, 2.0)
        while True:
            yield 3.0


class _NoDiffBase(kopf.DiffBaseStorage):
    """Remembers nothing, and so writes nothing."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:  # noqa: ARG002
        return {}

    def fetch(self, *, body: Any) -> None:  # noqa: ARG002
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Nothing to store."""


class KopfWatch:
    """Tells what happens to the custom resources and to our Jobs.

    Args:
        configuration: of the API server.
        namespaces: to watch; empty: all.
        tell: called in the loop that called `start`, in the order in which things were noticed.
        missed: called in that loop when watching begins again: something may have been missed.
    """

    def __init__(
        self,
        configuration: Configuration,
        namespaces: tuple[str, ...],
        tell: Callable[[Change], None],
        missed: Callable[[], None],
    ) -> None:
        self._configuration = configuration
        self._namespaces = namespaces
        self._tell = tell
        self._missed = missed
        self._changes: deque[Change] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._cancel: Callable[[], object] = lambda: None

    def start(self) -> "asyncio.Future[None]":
        """Begin; the future ends when watching does, with `WatchingEnded` unless it was stopped."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def settle(error: BaseException | None) -> None:
            if ended.done():
                return
            if self._stop.is_set():
                ended.set_result(None)
            else:
                ended.set_exception(WatchingEnded(f"watching the API server ended: {error}"))

        def run() -> None:
            error: BaseException | None = None
            endings = 0
            while endings < ENDINGS and not self._stop.is_set():
                began = time.monotonic()
                try:
                    asyncio.run(self._watch(loop))
                except BaseException as caught:  # noqa: BLE001 - a thread's only way to tell
                    error = caught
                if self._stop.is_set():
                    break
                endings = endings + 1 if time.monotonic() - began < STEADY_SECONDS else 1
                _log.warning("watching ended and begins again: %s", error)
                self._stop.wait(RESTART_SECONDS)
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._missed)
            try:
                loop.call_soon_threadsafe(settle, error)
            except RuntimeError:
                _log.debug("watching ended after the loop did")

        self._thread = threading.Thread(target=run, name="kopf", daemon=True)
        self._thread.start()
        return ended

    def stop(self) -> None:
        """End it, and wait for that a little."""
        self._stop.set()
        with suppress(RuntimeError):  # kopf's loop has ended
            self._cancel()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    async def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        calm()
        own = asyncio.get_running_loop()
        own.set_exception_handler(_left_behind)
        ending: asyncio.Future[None] = own.create_future()
        registry = self._registry(loop)

        @kopf.on.cleanup(registry=registry)
        async def ends(**_: Any) -> None:
            if not ending.done():
                ending.set_result(None)

        running = asyncio.create_task(
            kopf.operator(
                registry=registry,
                settings=_settings(),
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
        if self._stop.is_set():  # meanwhile
            cancel()
        await asyncio.wait({running, ending}, return_when=asyncio.FIRST_COMPLETED)
        await _ended(running)

    def _registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return await _connection(self._configuration)

        for kind in WATCHED:
            self._watch_kind(registry, kind, loop)
        return registry

    def _watch_kind(
        self, registry: kopf.OperatorRegistry, kind: Kind, loop: asyncio.AbstractEventLoop
    ) -> None:
        # A handler only enqueues: what it raised would be logged and never tried again.
        async def noticed(event: Any, **_: Any) -> None:
            type_, body = event["type"], event["object"]
            change = Change(kind, body, gone=type_ == "DELETED", replayed=type_ is None)
            self._changes.append(change)
            if len(self._changes) == 1:
                loop.call_soon_threadsafe(self._hand_over)

        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(noticed)

    def _hand_over(self) -> None:
        """Tell for a moment, then let others have the loop: a listing may be ten thousand long."""
        until = time.monotonic() + SLICE_SECONDS
        pause = False
        while self._changes and not pause:
            pause = True
            try:
                self._tell(self._changes[0])
                pause = time.monotonic() > until
            finally:
                # Taken out last: an empty queue is what makes the other thread call again. And
                # whatever one change leads to, the ones behind it are told.
                self._changes.popleft()
                if self._changes and pause:
                    asyncio.get_running_loop().call_soon(self._hand_over)


async def _ended(running: "asyncio.Task[None]") -> None:
    """Have kopf end, which was told to or has begun to; raises what ended it."""
    while not running.done():
        await asyncio.wait({running}, timeout=CANCEL_SECONDS)
        for task in asyncio.all_tasks() - {running, asyncio.current_task()}:
            task.cancel()
    await running


def _left_behind(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What kopf's tasks leave behind in its loop when they are cancelled; not ours to mend."""
    _log.debug("kopf: %s", context["message"], exc_info=context.get("exception"))


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # asks for no list of namespaces and definitions
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/never-set"
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    settings.queueing.idle_timeout = 0.05
    settings.queueing.exit_timeout = 1.0
    settings.watching.chunk_size = 500
    settings.watching.inactivity_timeout = INACTIVITY_SECONDS
    settings.watching.reconnect_backoff = 1.0
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = _Patiently()
    settings.watching.label_selectors[JOBS.group, JOBS.version, JOBS.plural] = (
        f"{MANAGED_BY}={MANAGER}"
    )
    return settings


async def _connection(configuration: Configuration) -> kopf.ConnectionInfo:
    """The server, proxy, certificates and token of our own requests; asked for again on 401."""
    header = await configuration.get_api_key_with_prefix("BearerToken")
    token = header.split(" ", 1)[-1].strip() if header else None
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        token=token,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )
