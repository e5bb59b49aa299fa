"""Events are lost, repeated or sent in the wrong order: the cache is correct in the end."""

import asyncio

import pytest
from tests.cluster.chaos import environment
from tests.cluster.chaos.proxy import FaultProxy
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import until

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.cache.kopf_watch import WATCHED
from feature_lineage.kube.kinds import MODELS, PROJECTS


@pytest.mark.parametrize("trouble", ["twice", "late"])
async def test_repeated_or_late_events_change_nothing(
    admin: Api,
    namespace: str,
    proxy: FaultProxy,
    undisturbed: environment.State,
    start_operator: StartOperator,
    trouble: str,
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    setattr(proxy, trouble, True)
    await environment.begin(admin, namespace)
    await environment.begun(admin, namespace)
    await environment.change(admin, namespace)
    await environment.becomes(admin, namespace, undisturbed)
    scraped = environment.names_in(await operator.metrics(), namespace)

    assert proxy.repeated > 10 if trouble == "twice" else proxy.delayed > 5
    assert scraped == environment.names(undisturbed)
    assert operator.errors() == []


async def test_late_event_does_not_restore_a_deleted_object(
    admin: Api, namespace: str, proxy: FaultProxy, start_operator: StartOperator
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    async with asyncio.timeout(30):
        await proxy.opens(len(WATCHED))  # a replica is ready before it watches
    await admin.create(PROJECTS, namespace, environment.project("stays", "none"))
    await admin.create(PROJECTS, namespace, environment.project("goes", "none"))
    for name in ("stays", "goes"):
        await until(admin, PROJECTS, namespace, name, environment.seen)
    proxy.late = True
    label = {"metadata": {"labels": {"team": "ml"}}}
    await admin.patch(PROJECTS, namespace, "goes", label)
    await admin.delete(PROJECTS, namespace, "goes")
    async with asyncio.timeout(30):
        await proxy.delivered_late.wait()
    proxy.late = False
    # This event comes after the two events of the other object, which came in the wrong order.
    await admin.patch(PROJECTS, namespace, "stays", {"spec": {"suspend": True}})
    await until(admin, PROJECTS, namespace, "stays", environment.seen)
    scraped = environment.names_in(await operator.metrics(), namespace)

    assert proxy.delayed == 1
    assert scraped == {"stays"}
    assert operator.errors() == []


async def test_lost_watch_events_are_made_up_for(
    admin: Api,
    namespace: str,
    proxy: FaultProxy,
    undisturbed: environment.State,
    start_operator: StartOperator,
) -> None:
    """A renewal of the Lease fails too, and the operator compares the names.

    A network that loses events loses other packets too. Without any such sign the comparison takes
    minutes: see `test_informer`.
    """
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    pid = operator.pid
    await environment.begin(admin, namespace)
    await environment.begun(admin, namespace)
    proxy.lose = lambda _: True
    await environment.change(admin, namespace)
    await until(admin, PROJECTS, namespace, "p2", environment.gone)
    proxy.fail("PATCH", "/leases/", 503, 1)
    await environment.becomes(admin, namespace, undisturbed)
    scraped = environment.names_in(await operator.metrics(), namespace)

    assert proxy.lost > 8
    assert scraped == environment.names(undisturbed)
    assert operator.pid == pid
    assert operator.errors() == []


async def test_an_error_in_every_watch_ends_nothing(
    admin: Api, namespace: str, proxy: FaultProxy, start_operator: StartOperator
) -> None:
    operator = await start_operator(kubeconfig=proxy.kubeconfig)
    await admin.create(PROJECTS, namespace, environment.project("p0", "none"))
    await until(admin, PROJECTS, namespace, "p0", environment.seen)
    for code in (410, 500):  # kopf lists again after the first error, and ends after the second
        opened = proxy.opened
        proxy.send_error(code)
        async with asyncio.timeout(60):
            await proxy.opens(opened + len(WATCHED))
    await admin.delete(PROJECTS, namespace, "p0")
    await admin.create(MODELS, namespace, environment.model("m0", "p0"))
    await until(admin, MODELS, namespace, "m0", environment.seen)
    await environment.until_scrape_shows(operator, namespace, {"m0"})

    assert operator.process is not None
    assert operator.process.returncode is None
    assert sum("is started again" in line["message"] for line in operator.lines()) == 1
    assert operator.errors() == []
