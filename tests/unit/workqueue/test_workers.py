"""Workers on the backlog: each key once at a time, and an end that leaves nothing half done."""

import asyncio

from feature_lineage.decide.facts import Key
from feature_lineage.workqueue.workers import WorkerPool


def key(name: str) -> Key:
    return Key("TrainedModel", "ml", name)


class Floor:
    """A queue with its workers; what is worked on waits until it is let go.

    Attributes:
        begun: keys in the order in which workers took them.
    """

    def __init__(self, workers: int = 2) -> None:
        self.begun: list[str] = []
        self.let = asyncio.Event()
        self.queue = WorkerPool(self.work, workers)

    async def work(self, key: Key) -> None:
        self.begun.append(key.name)
        await self.let.wait()
        self.queue.done(key)

    async def __aenter__(self) -> "Floor":
        self.running = asyncio.create_task(self.queue.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.let.set()
        self.queue.stop()
        await self.running


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_workers_limit_concurrent_keys() -> None:
    async with Floor(workers=2) as floor:
        for name in "abc":
            floor.queue.enqueue(key(name))
        await turns()
        assert floor.begun == ["a", "b"]
        assert floor.queue.depth == 1

        floor.let.set()
        await floor.queue.quiet()
        assert floor.begun == ["a", "b", "c"]


async def test_quiet_is_when_nothing_is_due_and_no_worker_has_a_key() -> None:
    floor = Floor()
    floor.queue.enqueue(key("a"))
    quiet = asyncio.create_task(floor.queue.quiet())
    await turns()
    assert not quiet.done(), "a key is due, though no worker has begun yet"

    async with floor:
        await turns()
        assert not quiet.done(), "a worker has it"
        floor.let.set()
        await quiet


async def test_stop_finishes_running_work_and_takes_no_new_key() -> None:
    floor = Floor(workers=1)
    async with floor:
        floor.queue.enqueue(key("a"))
        floor.queue.enqueue(key("b"))
        await turns()
        floor.queue.stop()
        idle = asyncio.create_task(floor.queue.idle())
        await turns()
        assert not idle.done()
        floor.let.set()
        await idle
    assert floor.begun == ["a"]


async def test_a_delayed_look_wakes_a_sleeping_worker() -> None:
    async with Floor() as floor:
        floor.let.set()
        await turns()
        floor.queue.enqueue_after(key("a"), 0.05)
        async with asyncio.timeout(5):
            while not floor.begun:
                await asyncio.sleep(0)
    assert floor.begun == ["a"]


async def test_reconciles_without_await_yield_to_others() -> None:
    """The lease is renewed in the same loop, whatever thousands of models have just come due."""
    others_turns: list[int] = []
    done: list[str] = []

    async def work(key: Key) -> None:
        done.append(key.name)
        queue.done(key)

    async def other() -> None:
        while len(done) < 1000:
            others_turns.append(len(done))
            await asyncio.sleep(0)

    queue = WorkerPool(work, workers=2)
    for number in range(1000):
        queue.enqueue(key(str(number)))
    running = asyncio.create_task(queue.run())
    await other()
    queue.stop()
    await running

    assert len(others_turns) >= 500
