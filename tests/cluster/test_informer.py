"""An informer without a watch finds every change by its relists."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.cluster.chaos.proxy import FaultProxy
from tests.cluster.host.conftest import chart_objects, operator_kubeconfig
from tests.cluster.test_relist import key, manifest

from feature_lineage.decide.facts import Key
from feature_lineage.kube.api_client import Api, connect
from feature_lineage.kube.cache.informer import Informer
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.kinds import MODELS

__all__ = ["chart_objects", "operator_kubeconfig"]

SOON = 0.1


class ChangeRecorder:
    """Records the changes that an informer reports.

    Attributes:
        enqueued: names, each time.
        forgotten: names.
    """

    def __init__(self) -> None:
        self.enqueued: list[str] = []
        self.forgotten: list[str] = []
        self._news = asyncio.Event()

    def enqueue(self, key: Key, spec_hash: object = None) -> None:
        self.enqueued.append(key.name)
        self._news.set()

    def forget(self, key: Key) -> None:
        self.forgotten.append(key.name)
        self._news.set()

    async def until_count(self, count: int) -> None:
        """Wait until this number of changes is recorded."""
        async with asyncio.timeout(30):
            while len(self.enqueued) + len(self.forgotten) < count:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def relisting(
    api: Api, namespace: str, changes: ChangeRecorder
) -> AsyncIterator[tuple[Informer, ResourceCache]]:
    """An informer that relists every `SOON`, and does not watch."""
    resources = ResourceCache(api)
    informer = Informer(api, resources, (namespace,), changes, every=SOON, retry=SOON)
    task = asyncio.create_task(informer.keep_relisting())
    try:
        yield informer, resources
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_change_without_an_event_is_found_by_the_next_relist(
    admin: Api, namespace: str
) -> None:
    changes = ChangeRecorder()
    for name in "ab":
        await admin.create(MODELS, namespace, manifest(MODELS, name))
    async with relisting(admin, namespace, changes) as (informer, resources):
        async with asyncio.timeout(30):
            await informer.synced.wait()
        assert sorted(changes.enqueued) == ["a", "b"]
        await admin.patch(MODELS, namespace, "a", {"spec": {"suspend": True}})
        await changes.until_count(3)
        await admin.delete(MODELS, namespace, "b")
        await changes.until_count(4)
        await admin.create(MODELS, namespace, manifest(MODELS, "c"))
        await changes.until_count(5)
        changed = resources.model(namespace, "a")

    assert changes.enqueued[2:] == ["a", "c"]
    assert changes.forgotten == ["b"]
    assert changed is not None
    assert changed.spec.suspend
    assert resources.entry(key(MODELS, namespace, "b")) is None


async def test_a_list_that_fails_is_logged_once_and_repeated(
    admin: Api,
    namespace: str,
    operator_kubeconfig: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "feature_lineage.kube.cache.informer")
    changes = ChangeRecorder()
    await admin.create(MODELS, namespace, manifest(MODELS, "a"))
    async with (
        FaultProxy(operator_kubeconfig, tmp_path) as proxy,
        await connect(str(proxy.kubeconfig)) as api,
    ):
        refused = proxy.fail("GET", "/trainedmodels", 503, 3)
        async with relisting(api, namespace, changes) as (informer, _):
            async with asyncio.timeout(30):
                await refused.spent.wait()
            before = informer.problem
            async with asyncio.timeout(30):
                await informer.synced.wait()
            after = informer.problem
            again = proxy.fail("GET", "/trainedmodels", 503, 3)
            async with asyncio.timeout(30):
                await again.spent.wait()
            await admin.delete(MODELS, namespace, "a")
            await changes.until_count(2)

    assert before == "a test answers 503"
    assert after == ""
    assert changes.forgotten == ["a"]
    assert informer.problem == ""  # the cache is kept while a list fails
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the resources cannot be listed: a test answers 503"] * 2
