"""How a pass ends, and what the queue is told: one resource stops no other."""

import asyncio
from typing import Any

import pytest

from feature_lineage.api.project_status import RegistryStatus
from feature_lineage.decide.facts import Key
from feature_lineage.errors import NotFound, ServerUnavailable, TerminalError
from feature_lineage.kube import reconcile_worker as passes_module
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.client import Conflict
from feature_lineage.kube.reconcile_worker import CONFLICT_PAUSE, TRANSIENT_PAUSE, ReconcileWorker
from feature_lineage.reconcile.reconciler import ReconcileResult

KEY = Key("TrainedModel", "ml", "m")
BODY: dict[str, Any] = {
    "apiVersion": "featurelineage.io/v1alpha1",
    "kind": "TrainedModel",
    "metadata": {"name": "m", "namespace": "ml", "uid": "u", "resourceVersion": "1"},
    "spec": {"projectRef": {"name": "p"}, "model": {"name": "m", "alias": "champion"}},
}


class Queue:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float | None]] = []

    def done(self, key: Key) -> None:
        self.told.append(("done", None))

    def failed(self, key: Key, longest: float = 300.0) -> float:
        self.told.append(("failed", longest))
        return 1.0

    def forget(self, key: Key) -> None:
        self.told.append(("forget", None))

    def wake(self, key: Key) -> None:
        self.told.append((f"wake {key.name}", None))


class Scene:
    """One model, and a core that ends each pass as it is told to."""

    def __init__(self, error: BaseException, *, there: bool = True) -> None:
        self.error, self.there = error, there
        self.resources = ResourceCache(None)
        self.resources.take(BODY)
        self.gone: list[Key] = []
        self.passes = ReconcileWorker(self, self.resources, self, self, self.gone.append)
        self.queue = self.passes.queue = Queue()

    async def reconcile_model(self, model: Any) -> Any:
        raise self.error

    async def get(self, kind: Any, namespace: str, name: str) -> Any:
        if not self.there:
            raise NotFound("it is gone")
        return {**BODY, "metadata": {**BODY["metadata"], "resourceVersion": "2"}}

    def failed(self, key: Key, error: Exception) -> None: ...


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (ServerUnavailable("away"), TRANSIENT_PAUSE),
        (TerminalError("never"), 300.0),
        (KeyError("a defect"), 300.0),
    ],
)
async def test_an_error_is_the_pass_s_own_and_its_pause_is_by_its_kind(error, longest) -> None:
    scene = Scene(error)
    await scene.passes.work(KEY)

    assert scene.queue.told == [("failed", longest)]


async def test_after_a_conflict_the_resource_is_read_anew() -> None:
    scene = Scene(Conflict("changed"))
    await scene.passes.work(KEY)

    assert scene.queue.told == [("failed", CONFLICT_PAUSE)]
    entry = scene.resources.entry(KEY)
    assert entry is not None
    assert entry.version == "2"


@pytest.mark.parametrize("error", [Conflict("changed"), NotFound("status")])
async def test_a_resource_that_is_gone_is_told_of_before_the_watch_says_so(error) -> None:
    scene = Scene(error, there=False)
    await scene.passes.work(KEY)

    assert scene.gone == [KEY]
    assert scene.resources.entry(KEY) is None


async def test_what_was_not_found_but_is_no_deletion_is_a_failure_like_others() -> None:
    scene = Scene(NotFound("a secret"))
    await scene.passes.work(KEY)

    assert scene.gone == []
    assert scene.queue.told == [("failed", 300.0)]


async def test_something_shared_that_was_given_up_costs_no_worker() -> None:
    scene = Scene(asyncio.CancelledError())
    await scene.passes.work(KEY)

    assert scene.queue.told == [("failed", TRANSIENT_PAUSE)]


async def test_a_pass_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes_module, "PASS_SECONDS", 0.01)
    scene = Scene(RuntimeError("never raised"))

    async def hang(_: Any) -> None:
        await asyncio.Event().wait()

    scene.reconcile_model = hang  # type: ignore[method-assign]
    await scene.passes.work(KEY)

    assert scene.queue.told == [("failed", TRANSIENT_PAUSE)]


async def test_a_worker_that_is_cancelled_ends() -> None:
    scene = Scene(asyncio.CancelledError())
    waiting = asyncio.Event()

    async def hang(_: Any) -> None:
        waiting.set()
        await asyncio.Event().wait()

    scene.reconcile_model = hang  # type: ignore[method-assign]
    task = asyncio.create_task(scene.passes.work(KEY))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scene.queue.told == []


async def test_models_are_told_of_a_project_whose_first_write_nobody_was_told_of() -> None:
    scene = Scene(RuntimeError("of a model"))
    spec = {"project": "ranking", "source": {"image": {"path": "/repo"}}}
    scene.resources.take(
        {**BODY, "kind": "FeatureStoreProject", "spec": spec}
        | {"metadata": {**BODY["metadata"], "name": "p", "uid": "p"}}
    )
    key = Key("FeatureStoreProject", "ml", "p")
    digests = iter("abb")

    async def reconcile_project(project: Any) -> ReconcileResult:
        registry = RegistryStatus(digest=next(digests) * 64)
        status = project.status.model_copy(update={"registry": registry})
        written = project.model_copy(update={"status": status})
        wrote = written.status != project.status
        scene.resources._projects[key] = written
        if len(passes) == 1:
            raise ServerUnavailable("away, after the first write of two")
        return ReconcileResult(written, None, wrote=wrote)

    scene.reconcile_project = reconcile_project  # type: ignore[attr-defined]
    scene.passed = lambda *_: None  # type: ignore[attr-defined]
    passes: list[list[str]] = []
    for _ in range(3):
        scene.queue.told.clear()
        await scene.passes.work(key)
        passes.append([what for what, _ in scene.queue.told])

    assert passes == [["done", "wake m"], ["failed"], ["done", "wake m"]]
