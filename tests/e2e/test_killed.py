"""The operator is killed after each of its writes, and at random moments of running jobs.

The end state is always that of an undisturbed run, and nothing exists twice.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
from tests.cluster.host.polling import says
from tests.e2e.conftest import CreateTenant
from tests.e2e.operator import InstalledOperator
from tests.e2e.project_fixture import JOB_SECONDS, ProjectFixture, both, recorded, running
from tests.e2e.recovery import in_time, recovered
from tests.local.scene import FEATURES, backfill

from feature_lineage.kube.api_client import Object
from feature_lineage.kube.kinds import CONFIG_MAPS, JOBS

SEED = 20261126
RANDOM_KILLS = 5

Point = Callable[[ProjectFixture], Awaitable[object]]


def job_of(project: Object) -> str:
    operation = project["status"]["operation"]
    return f"{operation['id']}-{operation['attempt']}"


def ended(job: Object | None) -> bool:
    conditions = (job or {}).get("status", {}).get("conditions", ())
    return any(each["type"] == "Complete" for each in conditions)


async def first_ops_run(fixture: ProjectFixture) -> None:
    """MLflow sends no events: the only way is to poll."""
    async with asyncio.timeout(JOB_SECONDS):
        while not await asyncio.to_thread(fixture.ops_runs):
            await asyncio.sleep(0.02)


def points(job: str) -> dict[str, Point]:
    """The writes of the operator during an apply, in order."""
    return {
        "its Job": lambda h: h.until_made(JOBS, job, lambda body: body is not None),
        "that the Job may go": lambda h: h.until_made(
            JOBS, job, lambda body: body is not None and not body["spec"]["suspend"]
        ),
        "the Job's end, which is not the operator's": lambda h: h.until_made(JOBS, job, ended),
        "the registry's snapshot": lambda h: h.until_made(
            CONFIG_MAPS, f"feature-lineage-registry-{h.name}", lambda body: body is not None
        ),
        "the ops run": first_ops_run,
        "how long the Job stays": lambda h: h.until_made(
            JOBS, job, lambda b: b is not None and "ttlSecondsAfterFinished" in b["spec"]
        ),
    }


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_kill_after_every_write_gives_the_same_end(
    create_tenant: CreateTenant, operator: InstalledOperator
) -> None:
    calm, fixture = create_tenant("calm"), create_tenant("driver")
    spec = {"backfills": [backfill()]}
    for tenant in (calm, fixture):
        tenant.commit()
    await calm.create_project(**spec)
    undisturbed = await calm.until(recorded(2))

    leader = await asyncio.to_thread(operator.leader)
    await fixture.create_project(**spec)
    project = await fixture.until(lambda body: "operation" in (body or {}).get("status", {}))
    for reach in points(job_of(project)).values():
        killed = time.time()
        operator.kill(leader)
        reached = asyncio.ensure_future(reach(fixture))
        leader = await asyncio.to_thread(operator.leader)
        await reached
        await in_time(fixture, killed)
    killed = time.time()
    operator.kill(leader)
    disturbed = await recovered(fixture, killed, recorded(2))

    assert shape(disturbed) == shape(undisturbed)
    jobs = await fixture.made(JOBS)
    assert jobs == sorted(each["job"] for each in disturbed["status"]["operations"])
    assert [run_summary(run) for run in fixture.ops_runs()] == [
        run_summary(run) for run in calm.ops_runs()
    ]
    assert len(fixture.ops_runs()) == 2
    assert len(await fixture.made(CONFIG_MAPS)) == len(await calm.made(CONFIG_MAPS))
    for reason in ("ApplySucceeded", "BackfillSucceeded"):
        assert all("series" not in each for each in await fixture.events(reason))


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_kill_at_five_random_moments(
    create_tenant: CreateTenant, operator: InstalledOperator
) -> None:
    moments = random.Random(SEED)
    tenant = create_tenant("random")
    tenant.commit()
    await tenant.create_project()
    project = await tenant.until(both(recorded(1), says("Ready", "True")))
    usual = seconds(project["status"]["operations"][0])

    for number in range(RANDOM_KILLS):
        leader = await asyncio.to_thread(operator.leader)
        if number % 2:
            name = f"fill-{number}"
            await tenant.change(backfills=[{**backfill(), "name": name}])
        else:
            tenant.commit(f"{FEATURES}\n# commit {number}\n")
        await tenant.until(running)
        # A moment of the job, from its start to some time after its end.
        await asyncio.sleep(moments.uniform(0, usual * 1.2))
        killed = time.time()
        operator.kill(leader)
        right = both(recorded(number + 2), says("Ready", "True"))
        project = await recovered(tenant, killed, right)

    operations = project["status"]["operations"]
    assert [each["attempt"] for each in operations] == [1] * (RANDOM_KILLS + 1)
    assert [each["result"] for each in operations] == ["Succeeded"] * (RANDOM_KILLS + 1)
    assert sorted(each["job"] for each in operations) == await tenant.made(JOBS)
    ids = [run["tags"]["featurelineage.io/operation-id"] for run in tenant.ops_runs()]
    assert sorted(ids) == sorted(each["id"] for each in operations)


def seconds(operation: dict[str, str]) -> float:
    """From its decision to its end."""
    began, ended = operation["startedAt"], operation["finishedAt"]
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


def shape(project: Object) -> dict[str, Any]:
    """A status without names, digests and times, so two runs of one scenario can be compared."""
    status = project["status"]
    return {
        "conditions": {
            each["type"]: (each["status"], each["reason"]) for each in status["conditions"]
        },
        "operations": [
            (each["kind"], each["result"], each["attempt"]) for each in status["operations"]
        ],
        "applied": {name: status["applied"][name] for name in ("created", "updated", "deleted")},
        "plan": (status["plan"]["verdict"], len(status["plan"]["changes"])),
        "views": [
            (each["name"], each["rows"], each["by"], each["lastResult"])
            for each in status["featureViews"]
        ],
        "backfills": [(each["name"], each["state"]) for each in status["backfills"]],
        "counts": status["counts"],
        "sequence": status["sequence"],
        "fields": sorted(status),
    }


def run_summary(run: dict[str, Any]) -> tuple[Any, ...]:
    """An ops run without names, digests and times."""
    operation = run["tags"]["feast.operation"], run["tags"]["featurelineage.io/attempt"]
    return operation, run["status"], *(sorted(run[part]) for part in ("tags", "params", "metrics"))
