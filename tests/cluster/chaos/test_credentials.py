"""The API server revokes a token: the watch continues with the new token."""

import asyncio
from pathlib import Path

from kubernetes.aio.client import Configuration
from tests.cluster.chaos import environment
from tests.cluster.chaos.proxy import FaultProxy
from tests.cluster.chart.helm import NAMESPACE, RELEASE
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import until
from tests.cluster.kubectl import Kubectl

from feature_lineage.kube.api_client import Api, connect
from feature_lineage.kube.cache.kopf_watch import WATCHED, KopfWatch, WatchEvent
from feature_lineage.kube.kinds import PROJECTS


class WatchRecorder:
    """Records the names of the objects that a watch reports, and its restarts."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.restarts = 0
        self._news = asyncio.Event()

    def event(self, event: WatchEvent) -> None:
        self.names.add(event.body["metadata"]["name"])
        self._news.set()

    def restarted(self) -> None:
        self.restarts += 1

    async def seen(self, name: str) -> None:
        """Return after an object of this name was reported."""
        async with asyncio.timeout(30):
            while name not in self.names:
                self._news.clear()
                await self._news.wait()


async def test_watch_continues_with_a_rotated_token(
    admin: Api, kubectl: Kubectl, namespace: str, proxy: FaultProxy, tmp_path: Path
) -> None:
    """As in a pod: the kubelet replaces the file, and a hook reads the file before each request."""
    old, new = (
        kubectl("create", "token", RELEASE, f"--namespace={NAMESPACE}").strip() for _ in range(2)
    )
    mounted = tmp_path / "token"
    mounted.write_text(old)

    def read(configuration: Configuration) -> None:
        configuration.api_key["BearerToken"] = f"bearer {mounted.read_text()}"

    recorder = WatchRecorder()
    async with await connect(str(proxy.kubeconfig)) as api:
        api.configuration.refresh_api_key_hook = read
        watcher = KopfWatch(api.configuration, (namespace,), recorder.event, recorder.restarted)
        ended = watcher.start()
        async with asyncio.timeout(30):
            await proxy.opens(len(WATCHED))
        await admin.create(PROJECTS, namespace, environment.project("before", "none"))
        await recorder.seen("before")
        mounted.write_text(new)
        proxy.revoked.add(old)
        proxy.cut_streams()
        async with asyncio.timeout(30):
            await proxy.opens(2 * len(WATCHED))
        await admin.create(PROJECTS, namespace, environment.project("after", "none"))
        await recorder.seen("after")
        asked_for = await api.get(PROJECTS, namespace, "after")
        going_on = not ended.done()
        watcher.stop()
        await ended

    assert old != new
    assert any(asked.status == 401 for asked in proxy.asked)
    assert asked_for["metadata"]["name"] == "after"
    assert going_on
    assert recorder.restarts == 0  # kopf continued, and was not started again


async def test_refused_token_costs_no_event_and_no_restart(
    admin: Api, namespace: str, proxy: FaultProxy, start_operator: StartOperator
) -> None:
    """kopf ends when a token is refused once; it is started again, with the same token."""
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    async with asyncio.timeout(30):
        await proxy.opens(len(WATCHED))  # a replica is ready before it watches
    await admin.create(PROJECTS, namespace, environment.project("p0", "none"))
    await until(admin, PROJECTS, namespace, "p0", environment.seen)
    refused = proxy.fail("GET", "featurestoreprojects.*watch=true", 401)
    proxy.cut_streams()
    async with asyncio.timeout(30):
        await refused.spent.wait()
    await admin.patch(PROJECTS, namespace, "p0", {"spec": {"suspend": True}})
    await admin.create(PROJECTS, namespace, environment.project("p1", "none"))
    for name in ("p0", "p1"):
        await until(admin, PROJECTS, namespace, name, environment.seen)

    assert operator.process is not None
    assert operator.process.returncode is None
    assert sum("is started again" in line["message"] for line in operator.lines()) == 1
    assert operator.errors() == []
