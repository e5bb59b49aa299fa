"""Taking everything in where no watch tells of anything: names are compared now and then."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.cluster.chaos.proxy import FaultProxy
from tests.cluster.host.conftest import chart_objects, operator_kubeconfig
from tests.cluster.test_resync import key, manifest

from feature_lineage.decide.facts import Key
from feature_lineage.kube.cache.informer import Informer
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.client import Api, connect
from feature_lineage.kube.kinds import MODELS

__all__ = ["chart_objects", "operator_kubeconfig"]

SOON = 0.1


class Told:
    """Who is told.

    Attributes:
        woken: names, each time.
        forgotten: names.
    """

    def __init__(self) -> None:
        self.woken: list[str] = []
        self.forgotten: list[str] = []
        self._news = asyncio.Event()

    def wake(self, key: Key, cause: object = None) -> None:
        self.woken.append(key.name)
        self._news.set()

    def forget(self, key: Key) -> None:
        self.forgotten.append(key.name)
        self._news.set()

    async def of(self, count: int) -> None:
        """Return once it was told so often."""
        async with asyncio.timeout(30):
            while len(self.woken) + len(self.forgotten) < count:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def sweeping(
    api: Api, namespace: str, told: Told
) -> AsyncIterator[tuple[Informer, ResourceCache]]:
    """An intake that compares names every `SOON`, and watches nothing at all."""
    resources = ResourceCache(api)
    intake = Informer(api, resources, (namespace,), told, every=SOON, retry=SOON)
    task = asyncio.create_task(intake.keep_sweeping())
    try:
        yield intake, resources
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_what_no_watch_ever_told_of_is_seen_when_names_are_compared_next(
    admin: Api, namespace: str
) -> None:
    told = Told()
    for name in "ab":
        await admin.create(MODELS, namespace, manifest(MODELS, name))
    async with sweeping(admin, namespace, told) as (intake, resources):
        async with asyncio.timeout(30):
            await intake.synced.wait()
        assert sorted(told.woken) == ["a", "b"]
        await admin.patch(MODELS, namespace, "a", {"spec": {"suspend": True}})
        await told.of(3)
        await admin.delete(MODELS, namespace, "b")
        await told.of(4)
        await admin.create(MODELS, namespace, manifest(MODELS, "c"))
        await told.of(5)
        changed = resources.model(namespace, "a")

    assert told.woken[2:] == ["a", "c"]
    assert told.forgotten == ["b"]
    assert changed is not None
    assert changed.spec.suspend
    assert resources.entry(key(MODELS, namespace, "b")) is None


async def test_a_listing_that_fails_is_said_once_and_tried_again(
    admin: Api,
    namespace: str,
    operator_kubeconfig: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "feature_lineage.kube.cache.informer")
    told = Told()
    await admin.create(MODELS, namespace, manifest(MODELS, "a"))
    async with (
        FaultProxy(operator_kubeconfig, tmp_path) as proxy,
        await connect(str(proxy.kubeconfig)) as api,
    ):
        refused = proxy.fail("GET", "/trainedmodels", 503, 3)
        async with sweeping(api, namespace, told) as (intake, _):
            async with asyncio.timeout(30):
                await refused.spent.wait()
            before = intake.trouble
            async with asyncio.timeout(30):
                await intake.synced.wait()
            after = intake.trouble
            again = proxy.fail("GET", "/trainedmodels", 503, 3)
            async with asyncio.timeout(30):
                await again.spent.wait()
            await admin.delete(MODELS, namespace, "a")
            await told.of(2)

    assert before == "a test answers 503"
    assert after == ""
    assert told.forgotten == ["a"]
    assert intake.trouble == ""  # what is known stays known while a listing fails
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the resources cannot be listed: a test answers 503"] * 2
