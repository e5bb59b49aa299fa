"""The resync enqueues every resource, spread over time; probes are always answered."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import timedelta
from http.client import HTTPConnection
from itertools import count

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration
from tests.unit.http.serving import get

from feature_lineage.decide.facts import Key
from feature_lineage.http.server import HttpServer
from feature_lineage.kube import manager as module
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.config import OperatorConfig
from feature_lineage.kube.kinds import MODELS
from feature_lineage.kube.manager import Identity, Manager

INTERVAL = timedelta(milliseconds=100)
MODELS_THERE = 200

_versions: Iterator[int] = count(1)


def model(name: str) -> dict[str, object]:
    version = str(next(_versions))
    return {
        "apiVersion": MODELS.api_version,
        "kind": MODELS.kind,
        "metadata": {"name": name, "namespace": "ml", "uid": name, "resourceVersion": version},
        "spec": {"projectRef": {"name": "p"}, "model": {"name": name, "alias": "champion"}},
    }


class DelayRecorder:
    """A queue that records the delay of each key, one for each resync."""

    def __init__(self) -> None:
        self.delays: dict[Key, list[float]] = {}
        self._news = asyncio.Event()

    def enqueue_after(self, key: Key, seconds: float) -> None:
        self.delays.setdefault(key, []).append(seconds)
        self._news.set()

    async def rounds(self, number: int) -> None:
        async with asyncio.timeout(60):
            while len(self.delays) < MODELS_THERE or min(map(len, self.delays.values())) < number:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def host() -> AsyncIterator[Manager]:
    """A manager that knows many models, and whose API server is unavailable."""
    config = OperatorConfig.model_validate({"runner": {"image": "runner:1"}, "port": 0})
    hurried = config.model_copy(update={"resync_interval": INTERVAL})
    async with Api(Configuration(host="http://127.0.0.1:1")) as api:
        found = Manager(api, hurried, Identity("one", "ml", "operator"))
        for number in range(MODELS_THERE):
            found.resources.take(model(f"m{number}"))
        yield found
        found.server.stop()


async def test_a_resync_is_spread_over_the_interval(
    host: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = DelayRecorder()
    monkeypatch.setattr(host._leader_tasks, "_queue", queue)
    resync = asyncio.create_task(host._leader_tasks.resync())
    await queue.rounds(2)
    resync.cancel()
    await asyncio.wait({resync})

    interval = INTERVAL.total_seconds()
    first = [seconds[0] for seconds in queue.delays.values()]
    second = [seconds[1] for seconds in queue.delays.values()]
    tenths = [int(seconds / interval * 10) for seconds in first]
    assert set(queue.delays) == set(host.resources.all_keys())
    assert min(first) >= 0
    assert max(first) <= interval
    # Twenty are expected in each tenth; fewer than three happen once in 200,000 runs.
    assert all(tenths.count(each) >= 3 for each in range(10))
    assert first != second


async def test_a_probe_that_comes_when_the_port_opens_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[tuple[int, bytes]] = []

    def probed_at_once(
        routes: Iterable[web.AbstractRouteDef], port: int, address: str
    ) -> HttpServer:
        server = HttpServer(routes, port, address)
        connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        answers.extend(get(connection, path) for path in ("/healthz", "/readyz"))
        connection.close()
        return server

    monkeypatch.setattr(module, "HttpServer", probed_at_once)
    config = OperatorConfig.model_validate({"runner": {"image": "runner:1"}, "port": 0})
    async with Api(Configuration(host="http://127.0.0.1:1")) as api:
        Manager(api, config, Identity("one", "ml", "operator")).server.stop()

    assert answers == [
        (200, b"ok\n"),
        (503, b"featurestoreprojects and trainedmodels were not listed yet\n"),
    ]


async def test_the_list_of_feature_servers_is_used() -> None:
    listed = {"allowedFeatureServerUrls": ["http://features.ml:6566"]}
    config = OperatorConfig.model_validate({"runner": {"image": "runner:1"}, "port": 0, **listed})
    async with Api(Configuration(host="http://127.0.0.1:1")) as api:
        manager = Manager(api, config, Identity("one", "ml", "operator"))
        allows = manager.reconciler.ports.allows_feature_server
        manager.server.stop()

    assert allows("http://features.ml:6566")
    assert not allows("http://features.other:6566")
