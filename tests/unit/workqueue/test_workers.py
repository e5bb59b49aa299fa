"""Workers: one key is processed by one worker at a time; a stop finishes keys in progress."""

import asyncio

from feature_lineage.decide.facts import Key
from feature_lineage.workqueue.workers import WorkerPool


def key(name: str, namespace: str = "ml") -> Key:
    return Key("TrainedModel", namespace, name)


class BlockedPool:
    """Workers whose work waits until `let` is set.

    Attributes:
        begun: keys in the order in which workers started them.
    """

    def __init__(self, workers: int = 2) -> None:
        self.begun: list[str] = []
        self.let = asyncio.Event()
        self.queue = WorkerPool(self.work, workers)

    async def work(self, key: Key) -> None:
        self.begun.append(key.name)
        await self.let.wait()
        self.queue.done(key)

    async def __aenter__(self) -> "BlockedPool":
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
    async with BlockedPool(workers=2) as pool:
        for name in "abc":
            pool.queue.enqueue(key(name, f"of-{name}"))
        await turns()
        assert pool.begun == ["a", "b"]
        assert pool.queue.depth == 1

        pool.let.set()
        await pool.queue.quiet()
        assert pool.begun == ["a", "b", "c"]


async def test_a_namespace_leaves_a_quarter_of_the_workers() -> None:
    async with BlockedPool(workers=4) as pool:
        for name in "abcd":
            pool.queue.enqueue(key(name))
        await turns()
        assert pool.begun == ["a", "b", "c"]

        pool.queue.enqueue(key("other", "fraud"))
        await turns()
        assert pool.begun == ["a", "b", "c", "other"]


async def test_a_namespace_leaves_one_of_few_workers() -> None:
    async with BlockedPool(workers=2) as pool:
        for name in "ab":
            pool.queue.enqueue(key(name))
        pool.queue.enqueue(key("other", "fraud"))
        await turns()
        assert pool.begun == ["a", "other"]


async def test_quiet_waits_for_due_keys_and_for_workers() -> None:
    pool = BlockedPool()
    pool.queue.enqueue(key("a"))
    quiet = asyncio.create_task(pool.queue.quiet())
    await turns()
    assert not quiet.done(), "a key is due, though no worker has begun yet"

    async with pool:
        await turns()
        assert not quiet.done(), "a worker has it"
        pool.let.set()
        await quiet


async def test_stop_finishes_running_work_and_takes_no_new_key() -> None:
    pool = BlockedPool(workers=1)
    async with pool:
        pool.queue.enqueue(key("a"))
        pool.queue.enqueue(key("b"))
        await turns()
        pool.queue.stop()
        idle = asyncio.create_task(pool.queue.idle())
        await turns()
        assert not idle.done()
        pool.let.set()
        await idle
    assert pool.begun == ["a"]


async def test_a_waiting_worker_takes_a_delayed_key() -> None:
    async with BlockedPool() as pool:
        pool.let.set()
        await turns()
        pool.queue.enqueue_after(key("a"), 0.05)
        async with asyncio.timeout(60):
            while not pool.begun:
                await asyncio.sleep(0)
    assert pool.begun == ["a"]


async def test_reconciles_without_await_yield_to_others() -> None:
    """The Lease is renewed in the same loop, also when thousands of models are due."""
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
