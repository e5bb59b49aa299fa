"""Two replicas: one leads, the follower has a current cache and takes over when the leader ends."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.cluster.chaos import environment
from tests.cluster.chaos.proxy import Fault, FaultProxy
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import until
from tests.cluster.host.process import Operator

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import LEASES, PROJECTS

TAKEOVER_SECONDS = 15.0
HANDOVER_SECONDS = 5.0
LEASE = "feature-lineage-operator"


@pytest.fixture
async def ways(operator_kubeconfig: Path, tmp_path: Path) -> AsyncIterator[list[FaultProxy]]:
    """A proxy for each replica, so a test knows which replica sent a request."""
    async with (
        FaultProxy(operator_kubeconfig, tmp_path) as one,
        FaultProxy(operator_kubeconfig, tmp_path) as two,
    ):
        yield [one, two]


@pytest.fixture
async def replicas(
    admin: Api, namespace: str, ways: list[FaultProxy], start_operator: StartOperator
) -> list[Operator]:
    """A leader that has written statuses, and a follower that is ready."""
    leader = await start_operator(kubeconfig=ways[0].kubeconfig)
    await environment.begin(admin, namespace)
    await environment.begun(admin, namespace)
    follower = await start_operator(kubeconfig=ways[1].kubeconfig)
    lease = await admin.get(LEASES, namespace, LEASE)
    assert lease["spec"]["holderIdentity"] == leader.name
    return [leader, follower]


async def test_a_follower_is_ready_and_exports_no_resource(
    namespace: str, ways: list[FaultProxy], replicas: list[Operator]
) -> None:
    leader, follower = replicas
    exported = [environment.names_in(await each.metrics(), namespace) for each in replicas]

    assert exported[0] == {*environment.PROJECT_NAMES, *environment.MODEL_NAMES}
    assert exported[1] == set()
    assert list(ways[0].writes())
    assert list(ways[1].writes()) == []
    assert leader.errors() == follower.errors() == []


async def test_follower_acts_15_seconds_after_a_kill(
    admin: Api,
    namespace: str,
    ways: list[FaultProxy],
    undisturbed: environment.State,
    replicas: list[Operator],
) -> None:
    leader, follower = replicas
    killed = time.monotonic()
    assert await leader.end(signal.SIGKILL) == -signal.SIGKILL
    await environment.change(admin, namespace)
    await until(admin, PROJECTS, namespace, "p4", environment.seen)
    seconds = time.monotonic() - killed
    await environment.becomes(admin, namespace, undisturbed)
    await environment.until_scrape_shows(follower, namespace, environment.names(undisturbed))

    assert seconds < TAKEOVER_SECONDS
    assert min(each.at for each in ways[1].writes()) > killed
    assert follower.errors() == []


async def test_stopped_leader_hands_over_within_5_seconds(
    admin: Api, namespace: str, ways: list[FaultProxy], replicas: list[Operator]
) -> None:
    leader, follower = replicas
    await admin.create(PROJECTS, namespace, environment.project("late", "none"))
    asked = time.monotonic()
    ending = asyncio.create_task(leader.end())
    await until(admin, LEASES, namespace, LEASE, lambda lease: not _holds(leader, lease))
    await admin.create(PROJECTS, namespace, environment.project("later", "none"))
    await until(admin, PROJECTS, namespace, "later", environment.seen)
    seconds = time.monotonic() - asked

    assert await ending == 0
    assert await follower.end() == 0  # so that all its writes were answered
    assert seconds < HANDOVER_SECONDS
    assert max(each.at for each in ways[0].writes()) < min(each.at for each in ways[1].writes())
    assert leader.errors() == follower.errors() == []


async def test_suspended_leader_ends_without_a_write(
    admin: Api, namespace: str, ways: list[FaultProxy], replicas: list[Operator]
) -> None:
    leader, follower = replicas
    assert leader.process is not None
    hung = ways[0].fail("GET", "/configmaps/none", Fault.HANG, 1)
    await admin.create(PROJECTS, namespace, environment.project("hangs", "none"))
    async with asyncio.timeout(30):
        await hung.spent.wait()
    leader.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    await admin.create(PROJECTS, namespace, environment.project("new", "none"))
    await until(admin, PROJECTS, namespace, "new", environment.seen)
    for name in ("hangs", "new"):
        await admin.patch(PROJECTS, namespace, name, {"spec": {"suspend": True}})
        await until(admin, PROJECTS, namespace, name, environment.seen)
    await asyncio.sleep(max(0.0, stopped + 20 - time.monotonic()))
    awake = time.monotonic()
    leader.process.send_signal(signal.SIGCONT)
    async with asyncio.timeout(40):
        code = await leader.process.wait()

    assert code == 1
    assert list(ways[0].writes(awake)) == []
    assert [each for each in ways[0].writes() if each.at > stopped + 1] == []
    assert ["LeaseLost" in line["message"] for line in leader.errors()] == [True]
    lease = await admin.get(LEASES, namespace, LEASE)
    assert lease["spec"]["holderIdentity"] == follower.name
    assert lease["spec"]["leaseTransitions"] == 1
    assert follower.errors() == []


def _holds(replica: Operator, lease: Object | None) -> bool:
    return lease is not None and lease["spec"].get("holderIdentity") == replica.name
