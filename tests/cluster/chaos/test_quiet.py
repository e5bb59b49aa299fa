"""Without changes nothing is written, whatever the operator did before."""

import asyncio
import time

from tests.cluster.chaos import environment
from tests.cluster.chaos.proxy import FaultProxy
from tests.cluster.host.conftest import StartOperator

from feature_lineage.kube.api_client import Api

QUIET_SECONDS = 12.0


async def test_quiet_time_and_restart_write_only_the_lease(
    admin: Api, namespace: str, proxy: FaultProxy, start_operator: StartOperator
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    await environment.begin(admin, namespace)
    await environment.begun(admin, namespace)
    before = await environment.quiet_state(admin, namespace)
    assert list(proxy.writes())
    quiet = time.monotonic()
    await asyncio.sleep(QUIET_SECONDS)
    asked = [each for each in proxy.asked if each.at >= quiet]
    assert await operator.end() == 0
    again = await start_operator(kubeconfig=proxy.kubeconfig)
    await environment.until_scrape_shows(again, namespace, environment.names(before))
    after = await environment.quiet_state(admin, namespace)

    renewals = [each for each in asked if "/leases/" in each.path]
    assert QUIET_SECONDS / 2 - 1 <= len(renewals) <= QUIET_SECONDS
    assert list(proxy.writes(quiet)) == []
    assert after == before
    assert operator.errors() == again.errors() == []
