"""A hostile tenant writes the reports of its jobs: only its own conditions change."""

import asyncio

import pytest
from tests.cluster.chart.helm import RELEASE
from tests.cluster.existing import Cluster
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.hostile import hostile_tenant
from tests.cluster.host.hostile_reports import HOSTILE_REPORTS
from tests.cluster.host.polling import until
from tests.cluster.host.process import peak_mib
from tests.cluster.host.resources import has_condition

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import LEASES, PROJECTS

GROWTH_MIB = 128
"""A report in memory, its JSON and the values of it; the chart's limit is 512 MiB."""


@pytest.mark.timeout(300)
async def test_hostile_reports_cost_only_their_author(
    cluster: Cluster, admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    operator = await start_operator()
    async with hostile_tenant(cluster, admin, namespace) as tenant:
        before = peak_mib(operator.pid)

        async def attack(name: str) -> None:
            report, (reason, words) = HOSTILE_REPORTS[name]
            await tenant.forge(name, report)
            expected = has_condition("Applied", reason, words)
            await until(admin, PROJECTS, namespace, name, expected, 120)

        async with asyncio.TaskGroup() as attacks:
            for name in HOSTILE_REPORTS:
                attacks.create_task(attack(name))

        assert peak_mib(operator.pid) - before < GROWTH_MIB
    assert operator.process is not None
    assert operator.process.returncode is None
    assert operator.errors() == []
    lease = await admin.get(LEASES, namespace, RELEASE)
    assert lease["spec"]["leaseTransitions"] == 0
    assert lease["spec"]["holderIdentity"]
