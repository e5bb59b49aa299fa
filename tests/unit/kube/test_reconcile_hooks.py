"""How the cluster host handles errors of a reconcile, and deleted resources."""

from typing import Any

import pytest

from feature_lineage.decide.facts import Key
from feature_lineage.errors import NotFound, ServerUnavailable, TerminalError
from feature_lineage.kube.api_errors import Conflict
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.reconcile_hooks import DELETED_SECONDS, ClusterHooks
from feature_lineage.workqueue.reconcile_worker import Recovery

KEY = Key("TrainedModel", "ml", "m")
BODY: dict[str, Any] = {
    "apiVersion": "featurelineage.io/v1alpha1",
    "kind": "TrainedModel",
    "metadata": {"name": "m", "namespace": "ml", "uid": "u", "resourceVersion": "1"},
    "spec": {"projectRef": {"name": "p"}, "model": {"name": "m", "alias": "champion"}},
}


class HookSetup:
    """A cached model, and an API server that has the next version of the model, or none."""

    def __init__(self, *, exists: bool = True) -> None:
        self.exists = exists
        self.resources = ResourceCache(None)
        self.resources.take(BODY)
        self.forgotten: list[Key] = []
        self.delayed: list[tuple[Key, float]] = []
        self.hooks = ClusterHooks(
            self, self.resources, self.forgotten.append, lambda *call: self.delayed.append(call)
        )

    async def get(self, kind: Any, namespace: str, name: str) -> Any:
        if not self.exists:
            raise NotFound("deleted")
        return {**BODY, "metadata": {**BODY["metadata"], "resourceVersion": "2"}}


async def test_after_a_conflict_the_resource_is_read_again() -> None:
    scene = HookSetup()

    assert await scene.hooks.recover(KEY, Conflict("changed")) is Recovery.CONFLICT
    entry = scene.resources.entry(KEY)
    assert entry is not None
    assert entry.version == "2"


@pytest.mark.parametrize(
    ("error", "recovery"),
    [(Conflict("changed"), Recovery.CONFLICT), (NotFound("status"), Recovery.GONE)],
)
async def test_a_deletion_is_found_before_the_watch_reports_it(
    error: Exception, recovery: Recovery
) -> None:
    scene = HookSetup(exists=False)

    assert await scene.hooks.recover(KEY, error) is recovery
    assert scene.forgotten == [KEY]
    assert scene.resources.entry(KEY) is None


@pytest.mark.parametrize(
    "error", [NotFound("a secret"), ServerUnavailable("away"), TerminalError("no"), KeyError("bug")]
)
async def test_any_other_error_is_a_failure(error: Exception) -> None:
    scene = HookSetup()

    assert await scene.hooks.recover(KEY, error) is Recovery.FAILED
    assert scene.forgotten == []


async def test_a_key_without_a_resource_is_forgotten() -> None:
    scene = HookSetup()
    scene.resources.drop(KEY)

    assert await scene.hooks.prepare(KEY) is None
    assert scene.forgotten == [KEY]


async def test_deleted_resource_is_reconciled_without_an_event() -> None:
    scene = HookSetup()
    assert await scene.hooks.prepare(KEY) is not None
    assert scene.delayed == []
    deletion = {"resourceVersion": "3", "deletionTimestamp": "2026-11-30T00:00:00Z"}
    scene.resources.take({**BODY, "metadata": {**BODY["metadata"], **deletion}})

    assert await scene.hooks.prepare(KEY) is not None
    assert scene.delayed == [(KEY, DELETED_SECONDS)]
