"""The API server is unavailable for a minute, or only for the operator: no change is missed."""

import asyncio
import copy
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cluster.chaos import environment
from tests.cluster.chaos.pod import READY_SECONDS, RestartingPod, trouble
from tests.cluster.chaos.proxy import FaultProxy
from tests.cluster.chart.helm import NAMESPACE, RELEASE, Object
from tests.cluster.controlplane import CRDS, ControlPlane
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import until
from tests.cluster.host.process import Operator, grant_lease, grant_permissions

from feature_lineage.kube.api_client import Api, connect
from feature_lineage.kube.api_errors import ApiUnavailable
from feature_lineage.kube.cache.kopf_watch import WATCHED
from feature_lineage.kube.kinds import PROJECTS

AWAY_SECONDS = 60.0
ALL_SEEN_SECONDS = 60.0
SPACE = "away"


@pytest.fixture
def plane(
    start_control_plane: Callable[..., ControlPlane], chart_objects: list[Object]
) -> ControlPlane:
    """A control plane only for this test, with the permissions of the chart and a namespace."""
    plane = start_control_plane(CRDS)
    plane.kubectl("create", "namespace", SPACE)
    grant_permissions(plane, chart_objects)
    grant_lease(plane, copy.deepcopy(chart_objects), SPACE)
    return plane


async def test_what_happens_while_the_api_server_returns_is_all_seen(
    plane: ControlPlane, undisturbed: environment.State, tmp_path: Path
) -> None:
    kubeconfig = plane.service_account_kubeconfig(NAMESPACE, RELEASE)
    operator = Operator(kubeconfig, {"namespaces": [SPACE]}, tmp_path, SPACE)
    await operator.start()
    await operator.ready(READY_SECONDS)
    async with RestartingPod(operator) as pod, await connect(str(plane.kubeconfig)) as admin:
        await environment.begin(admin, SPACE)
        await environment.begun(admin, SPACE)
        went = time.monotonic()
        plane.kill_apiserver()
        await pod.restarted()
        first = operator.pid
        why = await trouble(operator)
        await asyncio.sleep(max(0.0, went + AWAY_SECONDS - time.monotonic()))
        starting = asyncio.create_task(asyncio.to_thread(plane.start_apiserver))
        for act in (environment.delete, environment.edit, environment.create):
            await _as_soon_as_it_answers(act, admin)
        await starting
        back = time.monotonic()
        await environment.becomes(admin, SPACE, undisturbed, ALL_SEEN_SECONDS)
        seconds = time.monotonic() - back
        await environment.until_scrape_shows(operator, SPACE, environment.names(undisturbed))
        exits, last = list(pod.exits), operator.pid
    assert await operator.end() == 0

    assert "featurestoreprojects" in why
    assert exits == [1]  # the operator ended because it lost the Lease; its next process waits
    assert last == first
    assert seconds < ALL_SEEN_SECONDS
    errors = [line["message"] for line in operator.errors()]
    assert [error for error in errors if not error.startswith("LeaseLost: ")] == []
    assert len(errors) == 1


async def test_disconnected_operator_finds_deletions(
    admin: Api,
    namespace: str,
    proxy: FaultProxy,
    undisturbed: environment.State,
    start_operator: StartOperator,
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    pid = operator.pid
    await environment.begin(admin, namespace)
    await environment.begun(admin, namespace)
    proxy.cut_off()
    await environment.change(admin, namespace)
    await until(admin, PROJECTS, namespace, "p2", environment.gone)
    proxy.heal()
    await environment.becomes(admin, namespace, undisturbed)
    await environment.until_scrape_shows(operator, namespace, environment.names(undisturbed))

    assert operator.process is not None
    assert (operator.pid, operator.process.returncode) == (pid, None)
    assert operator.errors() == []


async def test_all_objects_may_be_deleted_while_the_operator_is_away(
    admin: Api, namespace: str, proxy: FaultProxy, start_operator: StartOperator
) -> None:
    """A relist of nothing reports no change, and kopf ends when a watch is refused."""
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    async with asyncio.timeout(30):
        await proxy.opens(len(WATCHED))  # a replica is ready before it watches
    await admin.create(PROJECTS, namespace, environment.project("p0", "none"))
    await until(admin, PROJECTS, namespace, "p0", environment.seen)
    await environment.until_scrape_shows(operator, namespace, {"p0"})
    proxy.cut_streams()
    watches = proxy.fail("GET", "featurestoreprojects.*watch=true", 410, 1)
    proxy.lose = lambda event: event["type"] == "DELETED"
    await admin.delete(PROJECTS, namespace, "p0")
    await until(admin, PROJECTS, namespace, "p0", environment.gone)
    await environment.until_scrape_shows(operator, namespace, set())

    assert watches.hits == 1
    assert sum("is started again" in line["message"] for line in operator.lines()) == 1
    assert operator.errors() == []


async def _as_soon_as_it_answers(
    act: Callable[[Api, str], "asyncio.Future[None]"], admin: Api
) -> None:
    """Repeat an action until the API server accepts it."""
    async with asyncio.timeout(90):
        while True:
            with suppress(ApiUnavailable):
                await act(admin, SPACE)
                return
            await asyncio.sleep(0.1)
