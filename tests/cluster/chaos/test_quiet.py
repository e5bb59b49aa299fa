"""Where nothing happens nothing is written, however much was known before."""

import asyncio
import time

from tests.cluster.chaos import world
from tests.cluster.chaos.proxy import FaultProxy
from tests.cluster.host.conftest import StartOperator

from feature_lineage.kube.client import Api

QUIET_SECONDS = 20.0


async def test_a_quiet_time_writes_nothing_but_the_lease(
    admin: Api, namespace: str, proxy: FaultProxy, start_operator: StartOperator
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    await world.begin(admin, namespace)
    await world.begun(admin, namespace)
    await world.settled(admin, namespace)
    quiet = time.monotonic()
    await asyncio.sleep(QUIET_SECONDS)
    asked = [each for each in proxy.asked if each.at >= quiet]

    assert [each for each in asked if each.writes] == []
    renewals = [each for each in asked if "/leases/" in each.path]
    assert QUIET_SECONDS / 2 - 1 <= len(renewals) <= QUIET_SECONDS
    assert operator.errors() == []


async def test_a_restart_writes_nothing_where_all_is_right(
    admin: Api, namespace: str, proxy: FaultProxy, start_operator: StartOperator
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    await world.begin(admin, namespace)
    await world.begun(admin, namespace)
    before = await world.settled(admin, namespace)
    assert await operator.end() == 0
    restarted = time.monotonic()
    again = await start_operator(kubeconfig=proxy.kubeconfig)
    await world.scrape_tells(again, namespace, world.names(before))
    after = await world.settled(admin, namespace)

    assert after == before
    assert list(proxy.writes(restarted)) == []
    assert again.errors() == []
