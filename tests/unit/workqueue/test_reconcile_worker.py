"""The result of a reconcile, and what is enqueued next, on both hosts."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.meta import ObjectMeta
from feature_lineage.api.project_status import RegistryStatus
from feature_lineage.decide.facts import Key, Resource, key_of
from feature_lineage.errors import ServerUnavailable, StateUnusable, TerminalError
from feature_lineage.large_parses import NeedsTurn, may_parse_large
from feature_lineage.reconcile.listener import Listener
from feature_lineage.reconcile.reconciler import ReconcileResult
from feature_lineage.workqueue.queue import MAX_BACKOFF
from feature_lineage.workqueue.reconcile_worker import (
    MAX_CONFLICT_BACKOFF,
    MAX_TRANSIENT_BACKOFF,
    ReconcileWorker,
    Recovery,
)

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PROJECT = FeatureStoreProject.model_validate(
    {
        "metadata": {"name": "p", "namespace": "ml", "uid": "p"},
        "spec": {"project": "ranking", "source": {"image": {"path": "/repo"}}},
    }
)
MODEL = TrainedModel.model_validate(
    {
        "metadata": {"name": "m", "namespace": "ml", "uid": "m"},
        "spec": {"projectRef": {"name": "p"}, "model": {"name": "m", "alias": "champion"}},
    }
)
KEY = key_of(MODEL)


class RecordedQueue:
    """Records the calls of a worker."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    def done(self, key: Key) -> None:
        self.calls.append(("done", key.name))

    def failed(self, key: Key, max_backoff: float = MAX_BACKOFF) -> float:
        self.calls.append(("failed", max_backoff))
        return 1.5

    def enqueue(self, key: Key) -> None:
        self.calls.append(("enqueue", key.name))

    def enqueue_after(self, key: Key, seconds: float) -> None:
        self.calls.append(("enqueue_after", seconds))

    def forget(self, key: Key) -> None:
        self.calls.append(("forget", key.name))

    def give_back(self, key: Key) -> None:
        self.calls.append(("give_back", key.name))


class Failures(Listener):
    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []

    def failed(self, key: Key, error: Exception, retry_after: float) -> None:
        self.seen.append((str(error), retry_after))


class WorkerSetup:
    """Resources, and the hooks and the reconciler of a worker.

    Attributes:
        outcome: the result of each reconcile, or what each reconcile raises.
        recovery: from each error.
    """

    def __init__(
        self,
        outcome: ReconcileResult | BaseException | None = None,
        recovery: Recovery = Recovery.FAILED,
        deadline: float | None = None,
    ) -> None:
        self.resources: dict[Key, Resource] = {key_of(each): each for each in (PROJECT, MODEL)}
        self.outcome = outcome
        self.recovery = recovery
        self.requested: list[bool] = []
        self.failures = Failures()
        self.worker = ReconcileWorker(self, self, self, self.failures, deadline=deadline)
        self.queue = self.worker.queue = RecordedQueue()

    async def reconcile_model(self, model: TrainedModel) -> Any:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def reconcile_project(self, project: FeatureStoreProject, *, requested: bool) -> Any:
        self.requested.append(requested)
        return await self.reconcile_model(MODEL)

    def now(self) -> datetime:
        return NOW

    def forget(self, key: Key) -> None: ...

    async def prepare(self, key: Key) -> Resource | None:
        return self.resources.get(key)

    async def finish(self, key: Key, resource: Resource) -> None:
        """Nothing: in a cluster, the resource is in the cache until its deletion is reported."""

    async def recover(self, key: Key, error: Exception) -> Recovery:
        if isinstance(error, StateUnusable):
            raise error
        return self.recovery

    def get(self, key: Key) -> Resource | None:
        return self.resources.get(key)

    def projects(self) -> Iterable[FeatureStoreProject]:
        return [each for each in self.resources.values() if isinstance(each, FeatureStoreProject)]

    def models_of(self, project: Key) -> list[Key]:
        return [KEY] if project == key_of(PROJECT) else []


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (ServerUnavailable("away"), MAX_TRANSIENT_BACKOFF),
        (TerminalError("never"), MAX_BACKOFF),
        (KeyError("a defect"), MAX_BACKOFF),
    ],
)
async def test_the_back_off_of_a_failure_is_by_its_kind(error: Exception, longest: float) -> None:
    scene = WorkerSetup(error)
    await scene.worker.work(KEY)

    assert scene.queue.calls == [("failed", longest)]
    assert scene.failures.seen == [(str(error), 1.5)]


@pytest.mark.parametrize(
    ("recovery", "call"),
    [(Recovery.CONFLICT, ("failed", MAX_CONFLICT_BACKOFF)), (Recovery.GONE, ("done", "m"))],
)
async def test_an_error_that_the_host_recovers_from_is_no_failure(
    recovery: Recovery, call: tuple[str, object]
) -> None:
    scene = WorkerSetup(TerminalError("changed"), recovery)
    await scene.worker.work(KEY)

    assert scene.queue.calls == [call]
    assert scene.failures.seen == []


async def test_an_error_that_the_host_raises_ends_the_worker() -> None:
    scene = WorkerSetup(StateUnusable("the disk is full"))

    with pytest.raises(StateUnusable):
        await scene.worker.work(KEY)


async def test_a_cancelled_shared_request_fails_the_reconcile_only() -> None:
    scene = WorkerSetup(asyncio.CancelledError())
    await scene.worker.work(KEY)

    assert scene.queue.calls == [("failed", MAX_TRANSIENT_BACKOFF)]
    assert scene.failures.seen == [("a shared request was cancelled", 1.5)]


async def test_a_reconcile_that_hangs_fails_at_its_deadline() -> None:
    scene = WorkerSetup(deadline=0.01)

    async def hang(_: Any) -> None:
        await asyncio.Event().wait()

    scene.reconcile_model = hang  # type: ignore[method-assign]
    await scene.worker.work(KEY)

    assert scene.queue.calls == [("failed", MAX_TRANSIENT_BACKOFF)]
    assert scene.failures.seen == [("the reconcile did not end in 0 s", 1.5)]


async def test_a_cancelled_worker_ends() -> None:
    scene = WorkerSetup()
    waiting = asyncio.Event()

    async def hang(_: Any) -> None:
        waiting.set()
        await asyncio.Event().wait()

    scene.reconcile_model = hang  # type: ignore[method-assign]
    task = asyncio.create_task(scene.worker.work(KEY))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scene.queue.calls == []


async def test_nothing_is_enqueued_after_a_resource_is_finished() -> None:
    deleted = PROJECT.model_copy(update={"metadata": ObjectMeta(name="p", namespace="ml")})
    scene = WorkerSetup(ReconcileResult(deleted, NOW, requeue=True, wrote=True, finished=True))
    await scene.worker.work(key_of(PROJECT))

    assert scene.queue.calls == [("done", "p")]


async def test_a_project_is_enqueued_before_its_models_and_in_time() -> None:
    result = ReconcileResult(PROJECT, NOW.replace(minute=1), requeue=True)
    scene = WorkerSetup(result)
    await scene.worker.work(key_of(PROJECT))

    assert scene.queue.calls == [
        ("done", "p"),
        ("enqueue", "p"),
        ("enqueue_after", 60.0),
        ("enqueue", "m"),
    ]


async def test_a_request_holds_for_one_reconcile() -> None:
    scene = WorkerSetup(ReconcileResult(PROJECT, None))
    scene.worker.requested.add(key_of(PROJECT))
    for _ in range(2):
        await scene.worker.work(key_of(PROJECT))

    assert scene.requested == [True, False]


async def test_models_follow_a_partly_failed_reconcile() -> None:
    """The first of two status writes succeeded, so the next reconcile changes nothing."""
    scene = WorkerSetup()
    calls: list[list[str]] = []
    for digest, fails in (("a", False), ("b", True), ("b", False), ("b", False)):
        scene.queue.calls.clear()
        registry = RegistryStatus(digest=digest * 64)
        status = PROJECT.status.model_copy(update={"registry": registry})
        written = PROJECT.model_copy(update={"status": status})
        scene.resources[key_of(PROJECT)] = written
        scene.outcome = ServerUnavailable("away") if fails else ReconcileResult(written, None)
        await scene.worker.work(key_of(PROJECT))
        calls.append([f"{what} {of}" for what, of in scene.queue.calls])

    assert calls == [["done p", "enqueue m"], ["failed 30.0"], ["done p", "enqueue m"], ["done p"]]


class LargeSetup(WorkerSetup):
    """Projects whose texts are large; a reconcile that has a turn waits until `ends` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = asyncio.Event()
        self.holding = 0

    async def reconcile_model(self, model: TrainedModel) -> Any:
        if not may_parse_large():
            raise NeedsTurn
        self.holding += 1
        await self.ends.wait()
        return ReconcileResult(PROJECT, None)


def other_project(name: str) -> FeatureStoreProject:
    metadata = ObjectMeta(name=name, namespace="ml")
    return PROJECT.model_copy(update={"metadata": metadata})


async def test_a_second_large_reconcile_leaves_its_worker() -> None:
    scene = LargeSetup()
    second = other_project("q")
    scene.resources[key_of(second)] = second
    scene.worker.requested.add(key_of(second))
    first = asyncio.create_task(scene.worker.work(key_of(PROJECT)))
    while not scene.holding:
        await asyncio.sleep(0)
    await scene.worker.work(key_of(second))

    assert scene.queue.calls == [("give_back", "q")]
    assert scene.failures.seen == []
    assert scene.worker.requested == {key_of(second)}
    scene.ends.set()
    await first
    assert ("enqueue", "q") in scene.queue.calls
    await scene.worker.work(key_of(second))
    assert scene.holding == 2
    assert scene.queue.calls[-1] != ("give_back", "q")


async def test_a_deleted_project_keeps_its_turn_until_its_end() -> None:
    scene = LargeSetup()
    second = other_project("q")
    scene.resources[key_of(second)] = second
    first = asyncio.create_task(scene.worker.work(key_of(PROJECT)))
    while not scene.holding:
        await asyncio.sleep(0)
    scene.worker.forget(key_of(PROJECT))
    other = asyncio.create_task(scene.worker.work(key_of(second)))
    while not other.done() and scene.holding < 2:
        await asyncio.sleep(0)

    assert scene.holding == 1
    scene.ends.set()
    await asyncio.gather(first, other)
