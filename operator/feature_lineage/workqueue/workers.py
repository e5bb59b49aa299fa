"""Workers on a `Backlog`: a fixed number of them, each taking one key at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from feature_lineage.decide.facts import Key
from feature_lineage.workqueue.queue import LONGEST_PAUSE, WorkQueue

SHORTEST_LOOK: Final = 0.05


class WorkerPool:
    """Hands due keys to workers.

    Args:
        work: what is done with a key; it says `done` or `failed` when it is through.
        workers: how many keys are worked on at once.
    """

    def __init__(self, work: Callable[[Key], Awaitable[None]], workers: int) -> None:
        self.backlog: WorkQueue[Key] = WorkQueue()
        self._work = work
        self._workers = workers
        self._news = asyncio.Event()
        self._stopping = False
        self._busy = 0
        self._rest = asyncio.Event()
        self._rest.set()
        self._now = asyncio.get_running_loop().time

    def wake(self, key: Key, cause: object = None) -> None:
        """Look at this key at once."""
        self.backlog.wake(key, self._now(), cause)
        self._news.set()

    def look(self, key: Key, seconds: float) -> None:
        """Look at this key in so many seconds, unless it is woken before."""
        self.backlog.look(key, self._now() + max(seconds, SHORTEST_LOOK))
        self._news.set()

    def forget(self, key: Key) -> None:
        self.backlog.forget(key)

    def failed(self, key: Key, longest: float = LONGEST_PAUSE) -> float:
        """A pass failed; returns the seconds until the next one, `longest` at most."""
        pause = self.backlog.failed(key, self._now(), longest)
        self._news.set()
        return pause

    def done(self, key: Key) -> None:
        self.backlog.done(key, self._now())
        self._news.set()

    @property
    def depth(self) -> int:
        """Keys that are due and wait for a worker; for any thread."""
        return self.backlog.waiting(self._now())

    @property
    def failing(self) -> int:
        """Keys whose last pass failed; for any thread."""
        return self.backlog.failing()

    async def run(self) -> None:
        """Work until `stop`; returns once no worker has a key any more."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._worker(), name=f"worker {number}")

    def stop(self) -> None:
        """Take no more keys; what is being worked on is finished."""
        self._stopping = True
        self._news.set()

    async def _worker(self) -> None:
        while not self._stopping:
            key = self.backlog.take(self._now())
            if key is not None:
                await self._do(key)
                # A pass that has nothing to do waits for nothing: without this, thousands of them
                # in a row keep the loop, and the lease is not renewed.
                await asyncio.sleep(0)
                continue
            self._news.clear()
            due = self.backlog.next_due()
            pause = None if due is None else max(0.0, due - self._now())
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def idle(self) -> None:
        """Return once no worker has a key."""
        await self._rest.wait()

    async def quiet(self) -> None:
        """Return once no worker has a key and none is due."""
        while self._busy or self.depth:
            await self._rest.wait()
            await asyncio.sleep(0)

    async def _do(self, key: Key) -> None:
        self._busy += 1
        self._rest.clear()
        try:
            await self._work(key)
        finally:
            self._busy -= 1
            if not self._busy:
                self._rest.set()
