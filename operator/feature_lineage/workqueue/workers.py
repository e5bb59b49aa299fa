"""Workers on a `WorkQueue`: a fixed number of them, each with one key at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from feature_lineage.decide.facts import Key
from feature_lineage.workqueue.queue import MAX_BACKOFF, WorkQueue

SHORTEST_DELAY: Final = 0.05


class WorkerPool:
    """Hands due keys to workers.

    Args:
        work: processes one key, and calls `done` or `failed` when it has finished.
        workers: how many keys `run` processes at once.
    """

    def __init__(self, work: Callable[[Key], Awaitable[None]], workers: int = 1) -> None:
        # A quarter of the workers, at least one, is free of the keys of any one namespace.
        places = max(1, workers - max(1, workers // 4))
        self.keys: WorkQueue[Key] = WorkQueue(group=lambda key: key.namespace, places=places)
        self._work = work
        self._workers = workers
        self._changed = asyncio.Event()
        self._stopping = False
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._now = time.monotonic

    def enqueue(self, key: Key, spec_hash: object = None) -> None:
        """Process a key now, or at the end of its back-off; see `WorkQueue.enqueue`."""
        self.keys.enqueue(key, self._now(), spec_hash)
        self._changed.set()

    def enqueue_after(self, key: Key, seconds: float) -> None:
        """Process a key in so many seconds, unless the key is enqueued before."""
        self.keys.enqueue_after(key, self._now() + max(seconds, SHORTEST_DELAY))
        self._changed.set()

    def forget(self, key: Key) -> None:
        """Remove a key; the worker that has the key may finish."""
        self.keys.forget(key)

    def failed(self, key: Key, max_backoff: float = MAX_BACKOFF) -> float:
        """Take a key back after a failure; returns the seconds until the retry."""
        backoff = self.keys.failed(key, self._now(), max_backoff)
        self._changed.set()
        return backoff

    def done(self, key: Key) -> None:
        """Take a key back after a success."""
        self.keys.done(key, self._now())
        self._changed.set()

    def give_back(self, key: Key) -> None:
        """Take a key back without a result: the key waits for something else."""
        self.keys.give_back(key, self._now())
        self._changed.set()

    @property
    def depth(self) -> int:
        """How many keys are due and wait for a worker; for any thread."""
        return self.keys.depth(self._now())

    @property
    def failing(self) -> int:
        """How many keys failed the last time that they were processed; for any thread."""
        return self.keys.failing()

    async def run(self) -> None:
        """Process keys until `stop`; returns when no worker has a key."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self.run_one(), name=f"worker {number}")

    async def run_one(self) -> None:
        """Process keys, one at a time, until `stop`; an error of `work` ends it."""
        while not self._stopping:
            await self.drain()
            if not self._stopping:
                await self.wait()

    async def drain(self) -> None:
        """Process keys, one at a time, until no key is due."""
        while not self._stopping and (key := self.keys.take(self._now())) is not None:
            await self._process(key)
            # Work without an await does not yield: thousands of such keys would block the event
            # loop, and the Lease would not be renewed.
            await asyncio.sleep(0)

    async def wait(self) -> None:
        """Return when a key is due or the queue has changed."""
        self._changed.clear()
        due = self.keys.next_due()
        delay = None if due is None else max(0.0, due - self._now())
        try:
            async with asyncio.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            return

    def stop(self) -> None:
        """Take no more keys; workers finish the keys that they have."""
        self._stopping = True
        self._changed.set()

    async def idle(self) -> None:
        """Return when no worker has a key."""
        await self._idle.wait()

    async def quiet(self) -> None:
        """Return when no worker has a key and no key is due."""
        while self._busy or self.depth:
            await self._idle.wait()
            await asyncio.sleep(0)

    async def _process(self, key: Key) -> None:
        self._busy += 1
        self._idle.clear()
        try:
            await self._work(key)
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()
