"""Leader election on a real API server, with the durations of the operator."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from tests.cluster.controlplane import ControlPlane
from tests.cluster.existing import Cluster
from tests.cluster.kubectl import Kubectl

from feature_lineage.kube.api_client import Api, connect
from feature_lineage.kube.kinds import LEASES
from feature_lineage.kube.lease import DURATION, RENEW, RETRY, LeaderElector, LeaseLost

NAME = "operator"
SLACK = 1.0
"""Seconds for requests and a busy machine."""


async def lead(leadership: LeaderElector) -> None:
    await leadership.acquire()
    await leadership.hold()


async def kill(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def timed(event: Awaitable[object], limit: float) -> float:
    """Return the seconds until it happened."""
    started = time.monotonic()
    async with asyncio.timeout(limit):
        await event
    return time.monotonic() - started


@pytest.fixture
async def another(admin: Api) -> AsyncIterator[Api]:
    """A client of a second process, with its own connections."""
    async with Api(admin.configuration) as api:
        yield api


async def leader_and_follower(
    one: LeaderElector, two: LeaderElector
) -> tuple["asyncio.Task[None]", "asyncio.Task[None]"]:
    """Run both, and return when the follower has seen the leader."""
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    waiting = asyncio.create_task(two.acquire())
    async with asyncio.timeout(10):
        while not two.holder:
            await asyncio.sleep(0.05)
    return holding, waiting


async def test_a_leader_that_is_killed_is_followed(
    admin: Api, another: Api, namespace: str
) -> None:
    one = LeaderElector(admin, namespace, NAME, "one")
    two = LeaderElector(another, namespace, NAME, "two")
    holding, waiting = await leader_and_follower(one, two)
    await asyncio.sleep(RETRY + 1)  # the leader has renewed once, and the Lease was not taken
    assert not waiting.done()
    await kill(holding)
    taken_in = await timed(waiting, 60)

    assert DURATION - RETRY - SLACK <= taken_in <= DURATION + RETRY + SLACK
    spec = (await admin.get(LEASES, namespace, NAME))["spec"]
    assert spec["holderIdentity"] == "two"
    assert spec["leaseTransitions"] == 1
    assert spec["leaseDurationSeconds"] == 10
    assert spec["acquireTime"] == spec["renewTime"]


async def test_a_lease_that_is_released_is_taken_at_once(
    admin: Api, another: Api, namespace: str, kubectl: Kubectl
) -> None:
    one = LeaderElector(admin, namespace, NAME, "one")
    two = LeaderElector(another, namespace, NAME, "two")
    holding, waiting = await leader_and_follower(one, two)
    await kill(holding)
    await one.release()
    spec = (await admin.get(LEASES, namespace, NAME))["spec"]
    taken_in = await timed(waiting, 30)

    assert spec["leaseDurationSeconds"] == 1
    assert not spec.get("holderIdentity") or spec["holderIdentity"] == "two"
    assert taken_in <= RETRY + SLACK
    assert "two" in kubectl("get", "lease", NAME, f"--namespace={namespace}")


async def test_of_many_that_start_at_once_one_leads(admin: Api, namespace: str) -> None:
    all_ = [LeaderElector(admin, namespace, NAME, str(number)) for number in range(10)]
    tasks = [asyncio.create_task(lead(each)) for each in all_]
    for _ in range(20):
        await asyncio.sleep(0.2)
        assert [each.leading for each in all_].count(True) <= 1
    leading = [each for each in all_ if each.leading]
    spec = (await admin.get(LEASES, namespace, NAME))["spec"]
    for task in tasks:
        await kill(task)

    assert len(leading) == 1
    assert leading[0].holder == spec["holderIdentity"]
    assert spec["leaseTransitions"] == 0


async def test_a_user_who_writes_another_holder_ends_the_leader(
    admin: Api, namespace: str, kubectl: Kubectl
) -> None:
    one = LeaderElector(admin, namespace, NAME, "one")
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    patch = json.dumps({"spec": {"holderIdentity": "mallory"}})
    kubectl("patch", "lease", NAME, f"--namespace={namespace}", "--type=merge", f"--patch={patch}")
    with pytest.raises(LeaseLost, match="was taken by mallory"):
        await timed(holding, RETRY + SLACK)

    assert not one.leading


async def test_a_deleted_or_labelled_lease_ends_no_leader(
    admin: Api, namespace: str, kubectl: Kubectl
) -> None:
    one = LeaderElector(admin, namespace, NAME, "one")
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    kubectl("label", "lease", NAME, f"--namespace={namespace}", "team=ml")
    await asyncio.sleep(RETRY + SLACK)
    labelled = not holding.done() and one.leading
    kubectl("delete", "lease", NAME, f"--namespace={namespace}")
    await asyncio.sleep(RETRY + SLACK)
    spec = (await admin.get(LEASES, namespace, NAME))["spec"]
    still = not holding.done() and one.leading
    await kill(holding)

    assert labelled
    assert still
    assert spec["holderIdentity"] == "one"


ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: elector}
rules:
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [operator]
  verbs: [get, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: elector}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: elector}
subjects: [{kind: ServiceAccount, name: elector}]
"""


async def test_lease_permissions_are_get_patch_and_create(cluster: Cluster, namespace: str) -> None:
    kubectl = cluster.kubectl
    kubectl("create", "serviceaccount", "elector", f"--namespace={namespace}")
    kubeconfig = cluster.service_account_kubeconfig(namespace, "elector")
    async with await connect(str(kubeconfig)) as api:
        one = LeaderElector(api, namespace, NAME, "one")
        leading = asyncio.create_task(lead(one))
        async with asyncio.timeout(30):
            while not one.problem:
                await asyncio.sleep(0.05)
        refused = one.problem
        kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=ROLE)
        async with asyncio.timeout(30):
            while not one.leading:
                await asyncio.sleep(0.05)
        await asyncio.sleep(RETRY + SLACK)
        trouble = one.problem
        await kill(leading)
        await one.release()
        follower = LeaderElector(api, namespace, NAME, "two")
        await follower.acquire()

    assert 'cannot get resource "leases" in API group "coordination.k8s.io"' in refused
    assert trouble == ""
    assert follower.leading


async def test_stopped_api_server_ends_the_leader(
    start_control_plane: Callable[[], ControlPlane],
) -> None:
    plane = start_control_plane()
    ends: list[float] = []
    async with await connect(str(plane.kubeconfig)) as api:
        one = LeaderElector(
            api, "default", NAME, "one", on_outage_end=lambda: ends.append(time.monotonic())
        )
        await one.acquire()
        holding = asyncio.create_task(one.hold())
        await asyncio.to_thread(plane.kill_apiserver)
        killed = time.monotonic()
        with pytest.raises(LeaseLost, match="was not renewed for 6 s"):
            await timed(holding, 30)
        lost_in = time.monotonic() - killed
        await one.release()  # the Lease does not exist: no error
        await asyncio.to_thread(plane.start_apiserver)
        began = time.monotonic()
        await one.acquire()
        again_in = time.monotonic() - began

    assert RENEW - RETRY - SLACK <= lost_in <= RENEW + SLACK
    assert ends == []
    assert again_in <= RETRY + 2 * SLACK


async def test_hanging_api_server_ends_the_leader(
    start_control_plane: Callable[[], ControlPlane],
) -> None:
    plane = start_control_plane()
    apiserver = plane.pids["kube-apiserver"]
    ended = asyncio.Event()
    async with await connect(str(plane.kubeconfig)) as api:
        one = LeaderElector(api, "default", NAME, "one", on_outage_end=ended.set)
        await one.acquire()
        holding = asyncio.create_task(one.hold())
        os.kill(apiserver, signal.SIGSTOP)
        try:
            async with asyncio.timeout(RENEW):
                while not one.problem:
                    await asyncio.sleep(0.05)
        finally:
            os.kill(apiserver, signal.SIGCONT)
        await timed(ended.wait(), RENEW)
        survived = one.leading
        os.kill(apiserver, signal.SIGSTOP)
        paused = time.monotonic()
        try:
            with pytest.raises(LeaseLost, match="did not answer in time"):
                await timed(holding, 30)
        finally:
            os.kill(apiserver, signal.SIGCONT)
        lost_in = time.monotonic() - paused

    assert survived
    assert RENEW - RETRY - SLACK <= lost_in <= RENEW + SLACK
