"""The reconcile of one key, for both hosts: errors, back-off, and what is enqueued next.

The steps of one host only are in its `Hooks`: finalizers and conflicts in a cluster, the state
folder on a single machine. The one broad ``except`` of both hosts is here: the failure of one
resource does not affect another.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from typing import Final, Protocol

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key, Resource
from feature_lineage.errors import TransientError
from feature_lineage.large_parses import NeedsTurn, parsing
from feature_lineage.reconcile.dependents import Dependents, References
from feature_lineage.reconcile.listener import Listener
from feature_lineage.reconcile.reconciler import Reconciler, ReconcileResult
from feature_lineage.workqueue.large_turns import LargeTurns
from feature_lineage.workqueue.queue import MAX_BACKOFF
from feature_lineage.workqueue.workers import WorkerPool

MAX_TRANSIENT_BACKOFF: Final = 30.0
"""In seconds: within a minute of the end of an outage, every resource is reconciled."""
MAX_CONFLICT_BACKOFF: Final = 2.0

current_key: ContextVar[Key | None] = ContextVar("current_key", default=None)
"""The resource that is being reconciled in this context, for log records."""


class Recovery(Enum):
    """What follows from an error of a reconcile."""

    FAILED = auto()
    """The listener receives the failure; the key is retried with back-off."""
    CONFLICT = auto()
    """The resource was outdated and is read again; the key is retried soon."""
    GONE = auto()
    """The resource was deleted meanwhile; the key is done."""


class Hooks(Protocol):
    """The steps that only one of the hosts does around a reconcile."""

    async def prepare(self, key: Key) -> Resource | None:
        """The resource to reconcile; None: there is nothing to reconcile."""
        ...

    async def finish(self, key: Key, resource: Resource) -> None:
        """Remove a resource that is being deleted: no work is left for the reconciler."""
        ...

    async def recover(self, key: Key, error: Exception) -> Recovery:
        """Decide what follows from an error; an error that it raises ends the process."""
        ...


class ResourceLookup(References, Protocol):
    def get(self, key: Key) -> Resource | None:
        """One resource; None: there is none that validates."""
        ...


class ReconcileWorker:
    """Reconciles keys of a queue of its own.

    Args:
        listener: receives the outcome of each reconcile.
        workers: how many keys are reconciled at once.
        deadline: seconds until a reconcile fails; None: without limit.

    Attributes:
        queue: the keys to reconcile.
        requested: projects whose next reconcile ignores the back-off of their operation.
    """

    def __init__(
        self,
        hooks: Hooks,
        resources: ResourceLookup,
        reconciler: Reconciler,
        listener: Listener,
        *,
        workers: int = 1,
        deadline: float | None = None,
    ) -> None:
        self._hooks = hooks
        self._resources = resources
        self._reconciler = reconciler
        self._listener = listener
        self._deadline = deadline
        self._dependents = Dependents(resources)
        self.queue = WorkerPool(self.work, workers)
        self.requested: set[Key] = set()
        self._turns = LargeTurns()
        self._working: set[Key] = set()

    def forget(self, key: Key) -> None:
        """The resource is deleted."""
        self.queue.forget(key)
        self._dependents.forget(key)
        self._reconciler.forget(key)
        if key not in self._working:  # else its worker holds what it has parsed until it ends
            self._end_turn(key)

    async def work(self, key: Key) -> None:
        """Reconcile one key, and give it back to the queue.

        A reconcile that meets a large text begins again when the key has its turn.
        """
        self._working.add(key)
        try:
            while await self._needs_turn(key):
                if not self._turns.ask(key):
                    self.queue.give_back(key)
                    return
            self._end_turn(key)
        finally:
            self._working.discard(key)

    def _end_turn(self, key: Key) -> None:
        for other in self._turns.give_back(key):
            self.queue.enqueue(other)

    async def _needs_turn(self, key: Key) -> bool:
        """Reconcile one key; whether nothing was concluded, for want of a turn."""
        requested = key in self.requested
        with reconciling(key), parsing(large=self._turns.has(key)):
            try:
                async with asyncio.timeout(self._deadline) as limit:
                    await self._reconcile(key)
            except NeedsTurn:
                if requested:
                    self.requested.add(key)
                return True
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Cancelled was a request that several reconciles share, not this reconcile.
                self._failed(key, TransientError("a shared request was cancelled"))
            except Exception as error:  # noqa: BLE001 - the boundary between resources
                if isinstance(error, TimeoutError) and limit.expired():
                    error = TimeoutError(f"the reconcile did not end in {self._deadline:.0f} s")
                await self._recover(key, error)
        return False

    async def _reconcile(self, key: Key) -> None:
        began = time.perf_counter()
        requested = key in self.requested
        self.requested.discard(key)
        resource = await self._hooks.prepare(key)
        if resource is None:
            self.queue.done(key)
            return
        if isinstance(resource, FeatureStoreProject):
            result = await self._reconciler.reconcile_project(resource, requested=requested)
        else:
            result = await self._reconciler.reconcile_model(resource)
        self._listener.reconciled(key, resource, result, time.perf_counter() - began)
        if result.finished:
            await self._hooks.finish(key, result.resource)
        self.queue.done(key)
        if not result.finished and self._resources.get(key) is not None:
            self._enqueue_next(key, result)

    def _enqueue_next(self, key: Key, result: ReconcileResult) -> None:
        if result.requeue:
            self.queue.enqueue(key)
        if result.requeue_at is not None:
            delay = result.requeue_at - self._reconciler.now()
            self.queue.enqueue_after(key, delay.total_seconds())
        after = result.resource
        if isinstance(after, FeatureStoreProject):
            for other in self._dependents.after(after):
                self.queue.enqueue(other)

    async def _recover(self, key: Key, error: Exception) -> None:
        match await self._hooks.recover(key, error):
            case Recovery.GONE:
                self.queue.done(key)
            case Recovery.CONFLICT:
                self.queue.failed(key, MAX_CONFLICT_BACKOFF)
            case Recovery.FAILED:
                self._failed(key, error)

    def _failed(self, key: Key, error: Exception) -> None:
        transient = isinstance(error, TransientError | TimeoutError)
        backoff = self.queue.failed(key, MAX_TRANSIENT_BACKOFF if transient else MAX_BACKOFF)
        self._listener.failed(key, error, backoff)


@contextmanager
def reconciling(key: Key) -> Iterator[None]:
    """Set `current_key` inside, and in tasks that are started inside."""
    token = current_key.set(key)
    try:
        yield
    finally:
        current_key.reset(token)
