"""kopf is started again when it ends, for a limited number of times."""

import asyncio
from contextlib import suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from feature_lineage.kube.cache import kopf_watch as watching
from feature_lineage.kube.cache.kopf_watch import MAX_ENDS, KopfWatch, WatchingEnded, _ended


class FailingWatch(KopfWatch):
    """Watches nothing and ends this number of times; then it keeps running."""

    endings = 1
    runs = 0
    stays: asyncio.Event | None = None

    async def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self.runs += 1
        if self.runs <= self.endings:
            raise RuntimeError("an error in the stream")
        if self.stays is not None:
            loop.call_soon_threadsafe(self.stays.set)
        await asyncio.to_thread(self._stop.wait)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "RESTART_SECONDS", 0.0)


async def test_kopf_restarts_and_a_relist_follows() -> None:
    missed = asyncio.Event()
    watcher = FailingWatch(Configuration(), (), lambda _: None, missed.set)
    watcher.stays = asyncio.Event()
    ended = watcher.start()
    async with asyncio.timeout(60):
        await missed.wait()
        await watcher.stays.wait()
    assert not ended.done()
    watcher.stop()
    async with asyncio.timeout(60):
        await ended

    assert watcher.runs == 2


async def test_kopf_that_ends_repeatedly_ends_the_watch() -> None:
    watcher = FailingWatch(Configuration(), (), lambda _: None, lambda: None)
    watcher.endings = 100
    with pytest.raises(WatchingEnded, match="an error in the stream"):
        async with asyncio.timeout(60):
            await watcher.start()

    assert watcher.runs == MAX_ENDS


async def test_kopf_restarts_after_a_permanent_failure() -> None:
    """Nothing that kopf waits for may prevent the end of its loop."""
    asked: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=410)

    application = web.Application()
    application.router.add_get("/{path:.*}", refuse)
    async with TestServer(application) as server:
        missed = asyncio.Event()
        configuration = Configuration(host=str(server.make_url("")).rstrip("/"))
        watcher = KopfWatch(configuration, ("team",), lambda _: None, missed.set)
        ended = watcher.start()
        async with asyncio.timeout(60):
            await missed.wait()
        watcher.stop()
        async with asyncio.timeout(60):
            await ended

    assert asked


def test_task_that_ignores_a_cancel_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "CANCEL_SECONDS", 0.01)

    async def deaf_once() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def kopfs_end() -> None:
        left = asyncio.create_task(deaf_once())
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait({left})
        raise RuntimeError("what ended it")

    async def end() -> None:
        async with asyncio.timeout(60):
            await _ended(asyncio.create_task(kopfs_end()))

    with pytest.raises(RuntimeError, match="what ended it"):
        asyncio.run(end())
