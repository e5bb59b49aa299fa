"""The pod of a job is deleted while it runs; its report is deleted, emptied or changed.

One attempt is lost and says so; the next one succeeds, and the operation has one record.
"""

import asyncio
import base64
import gzip
import time
from collections.abc import Awaitable, Callable

import pytest
from tests.cluster.host.polling import says
from tests.e2e.conftest import CreateTenant
from tests.e2e.operator import InstalledOperator
from tests.e2e.project_fixture import both, recorded, running
from tests.e2e.recovery import recovered
from tests.e2e.tenant import Tenant

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.names import report_names
from feature_lineage.kube.jobs.report import read_report
from feature_lineage.kube.kinds import CONFIG_MAPS, JOBS, PODS
from feature_lineage.operations.job_report import Outcome
from feature_lineage.reasons import Reason

OBJECTS = 4
"""Contents of the repo: entity, source, view and service."""

Spoil = Callable[[Api, Tenant, str], Awaitable[object]]


async def delete(admin: Api, tenant: Tenant, name: str) -> None:
    await admin.delete(CONFIG_MAPS, tenant.namespace, name)


async def empty(admin: Api, tenant: Tenant, name: str) -> None:
    body = {"data": None, "binaryData": None}
    await admin.patch(CONFIG_MAPS, tenant.namespace, name, body)


async def tamper(admin: Api, tenant: Tenant, name: str) -> None:
    """Replace the report by another one, under the same manifest."""
    found = await admin.get(CONFIG_MAPS, tenant.namespace, name)
    (key,) = found["binaryData"]
    other = base64.b64encode(gzip.compress(b"{}")).decode()
    await admin.patch(CONFIG_MAPS, tenant.namespace, name, {"binaryData": {key: other}})


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_damaged_report_costs_one_attempt(
    create_tenant: CreateTenant, operator: InstalledOperator, admin: Api
) -> None:
    spoilers: dict[str, Spoil] = {"deleted": delete, "emptied": empty, "tampered": tamper}
    tenants = {name: create_tenant(name) for name in spoilers}
    jobs = {}
    for name, tenant in tenants.items():
        tenant.commit()
        await tenant.create_project()
        project = await tenant.until(running)
        jobs[name] = f"{project['status']['operation']['id']}-1"
    operator.scale(0)
    try:
        for name, tenant in tenants.items():
            await tenant.until_made(JOBS, jobs[name], over)
            await spoilers[name](admin, tenant, report_names(jobs[name])[0])
    finally:
        operator.scale(2)
    back = time.time()

    right = both(recorded(1), says("Ready", "True"))
    projects = await asyncio.gather(
        *(recovered(tenant, back, right) for tenant in tenants.values())
    )
    for tenant, project in zip(tenants.values(), projects, strict=True):
        (operation,) = project["status"]["operations"]
        assert (operation["attempt"], operation["result"]) == (2, "Succeeded")
        lost = await tenant.until_event("JobFailed")
        assert "report" in lost["note"]
        assert len(tenant.ops_runs()) == 1
        assert await tenant.made(JOBS) == [f"{operation['id']}-1", f"{operation['id']}-2"]


@pytest.mark.timeout(600)
async def test_a_pod_that_is_deleted_in_the_middle(create_tenant: CreateTenant, admin: Api) -> None:
    tenant = create_tenant("deleted")
    tenant.commit()
    await tenant.create_project()
    pod = await tenant.until_in_phase("import_feast")
    deleted = time.time()
    await admin.delete(PODS, tenant.namespace, pod)

    project = await recovered(tenant, deleted, both(recorded(1), says("Ready", "True")))
    (operation,) = project["status"]["operations"]
    assert (operation["attempt"], operation["result"]) == (2, "Succeeded")
    jobs = [f"{operation['id']}-1", f"{operation['id']}-2"]
    assert await tenant.made(JOBS) == jobs
    first, second = [await read_report(admin, tenant.namespace, job) for job in jobs]
    # The second attempt did everything that the first one was about to do.
    assert first is not None
    assert (first.outcome, first.reason, first.counts) == (Outcome.FAILED, Reason.INTERRUPTED, {})
    assert second is not None
    assert (second.outcome, second.counts["created"]) == (Outcome.SUCCEEDED, OBJECTS)
    (run,) = tenant.ops_runs()
    assert run["tags"]["featurelineage.io/attempt"] == "2"


def over(job: Object | None) -> bool:
    conditions = (job or {}).get("status", {}).get("conditions", ())
    return any(each["type"] in ("Complete", "Failed") for each in conditions)
