"""Requests that are refused, never answered, or whose answer is lost: the end state is the same."""

import asyncio
import time

from tests.cluster.chaos import environment
from tests.cluster.chaos.proxy import Fault, FaultProxy
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import until

from feature_lineage.kube.api_client import REQUEST_SECONDS, Api
from feature_lineage.kube.kinds import PROJECTS

REFUSALS = (429, 500, 503)
NO_LEASE = r"^(?!.*/leases)"
"""Any path except that of the Lease: its loss ends the process, see `test_two_replicas`."""


async def test_conflicts_in_a_row_are_read_again_and_written_at_last(
    admin: Api,
    namespace: str,
    proxy: FaultProxy,
    undisturbed: environment.State,
    start_operator: StartOperator,
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    in_a_row = proxy.fail("PATCH", "/featurestoreprojects/p0/status", 409, 5)
    scattered = proxy.fail("PATCH", "/status", 409, 6)
    await environment.begin(admin, namespace)
    await environment.begun(admin, namespace)
    then = proxy.fail("PATCH", "/status", 409, 4)
    await environment.change(admin, namespace)
    await environment.becomes(admin, namespace, undisturbed)

    assert [rule.left for rule in (in_a_row, scattered, then)] == [0] * 3
    assert operator.errors() == []


async def test_bursts_of_refusals_change_nothing_of_the_end(
    admin: Api,
    namespace: str,
    proxy: FaultProxy,
    undisturbed: environment.State,
    start_operator: StartOperator,
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    pid = operator.pid
    first = [proxy.fail("POST|PATCH", NO_LEASE, status, 10) for status in REFUSALS]
    first += [proxy.fail("GET", NO_LEASE, status, 4) for status in REFUSALS]
    await environment.begin(admin, namespace)
    await environment.begun(admin, namespace)
    then = [proxy.fail("PATCH", "/status", status, 2) for status in REFUSALS]
    then += [proxy.fail("GET", "watch=true", status, 2) for status in REFUSALS]
    proxy.cut_streams()
    await environment.change(admin, namespace)
    await environment.becomes(admin, namespace, undisturbed)

    assert [rule.left for rule in first + then] == [0] * 12
    assert operator.pid == pid
    assert operator.process is not None
    assert operator.process.returncode is None
    assert operator.errors() == []


async def test_hanging_requests_time_out_alone(
    admin: Api,
    namespace: str,
    proxy: FaultProxy,
    undisturbed: environment.State,
    start_operator: StartOperator,
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    paths = ("/featurestoreprojects/p0/status", "/trainedmodels/m1/status")
    hung = [proxy.fail("PATCH", path, Fault.HANG) for path in paths]
    began = time.monotonic()
    await environment.begin(admin, namespace)
    for rule in hung:
        async with asyncio.timeout(30):
            await rule.spent.wait()
    for name in ("p1", "p2", "p3"):
        await until(admin, PROJECTS, namespace, name, environment.seen)
    other = time.monotonic() - began
    await environment.change(admin, namespace)  # also the model whose status request is held
    await until(admin, PROJECTS, namespace, "p0", environment.seen)
    hanging = time.monotonic() - began
    await environment.becomes(admin, namespace, undisturbed)

    assert other < REQUEST_SECONDS
    assert REQUEST_SECONDS <= hanging < REQUEST_SECONDS + 15
    assert operator.errors() == []


async def test_what_was_done_and_never_answered_is_not_done_twice(
    admin: Api,
    namespace: str,
    proxy: FaultProxy,
    undisturbed: environment.State,
    start_operator: StartOperator,
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    statuses = proxy.fail("PATCH", "/status", Fault.LOST, 5)
    # These are two projects: a start that failed is repeated after half a minute.
    creates = [proxy.fail("POST", f"/{kind}", Fault.LOST) for kind in ("jobs", "configmaps")]
    cuts = proxy.fail("PATCH", "/status", Fault.CUT, 5)
    await environment.begin(admin, namespace)
    await environment.begun(admin, namespace)
    await environment.change(admin, namespace)
    await environment.becomes(admin, namespace, undisturbed)

    assert [rule.left for rule in (statuses, *creates, cuts)] == [0] * 4
    assert operator.errors() == []
