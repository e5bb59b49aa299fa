"""SIGTERM during a reconcile: the operator waits for the reconcile, for a limited time."""

import asyncio
import signal
import sys
from typing import Final

from tests.cluster.chaos import environment
from tests.cluster.chaos.proxy import Fault, FaultProxy, Rule
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.process import Operator

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import LEASES, PROJECTS

LEASE: Final = "feature-lineage-operator"
HURRIED: Final = (
    "import feature_lineage.kube.manager as host; host.DRAIN_SECONDS = 2.0; "
    "from feature_lineage.cli.main import main; main()"
)
"""The operator with a shorter limit than 20 s for the reconciles in progress."""


async def hung(admin: Api, namespace: str, rule: Rule) -> None:
    """Return once the reconcile of a new project waits for its ConfigMap."""
    await admin.create(PROJECTS, namespace, environment.project("p0", "none"))
    async with asyncio.timeout(30):
        await rule.spent.wait()


async def terminate(operator: Operator) -> None:
    """Send SIGTERM, and return once the operator has logged it."""
    assert operator.process is not None
    operator.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        while not any("stopping;" in line["message"] for line in operator.lines()):
            await asyncio.sleep(0.05)  # there is no event for a growing file


def cancelled(operator: Operator) -> list[str]:
    """The log messages about cancelled reconciles."""
    return [line["message"] for line in operator.lines() if "cancelled" in line["message"]]


async def holder(admin: Api, namespace: str) -> str:
    lease: Object = await admin.get(LEASES, namespace, LEASE)
    return str(lease["spec"].get("holderIdentity"))


async def test_a_reconcile_in_progress_ends_before_the_process(
    admin: Api, namespace: str, proxy: FaultProxy, start_operator: StartOperator
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    rule = proxy.fail("GET", "/configmaps/none", Fault.HELD)
    await hung(admin, namespace, rule)
    await terminate(operator)
    await admin.create(PROJECTS, namespace, environment.project("later", "none"))
    while_held = await admin.get(PROJECTS, namespace, "p0")
    rule.let_go.set()
    assert operator.process is not None
    async with asyncio.timeout(30):
        code = await operator.process.wait()

    assert code == 0
    assert not environment.seen(while_held)
    assert environment.seen(await admin.get(PROJECTS, namespace, "p0"))
    assert not environment.seen(await admin.get(PROJECTS, namespace, "later"))  # the next leader
    assert cancelled(operator) == []
    assert await holder(admin, namespace) == ""
    assert operator.errors() == []


async def test_a_long_reconcile_is_cancelled_and_the_lease_released(
    admin: Api, namespace: str, proxy: FaultProxy, start_operator: StartOperator
) -> None:
    program = (sys.executable, "-c", HURRIED)
    operator = await start_operator(kubeconfig=proxy.kubeconfig, program=program)
    await hung(admin, namespace, proxy.fail("GET", "/configmaps/none", Fault.HANG))
    await terminate(operator)
    assert operator.process is not None
    async with asyncio.timeout(10):  # the request itself would wait for 15 s
        code = await operator.process.wait()

    assert code == 0
    assert cancelled(operator) == ["a reconcile did not end in 2 s; it is cancelled"]
    assert not environment.seen(await admin.get(PROJECTS, namespace, "p0"))
    assert await holder(admin, namespace) == ""
    assert operator.errors() == []
