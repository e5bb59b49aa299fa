"""Outages: MLflow during a whole apply, the node for a minute."""

import asyncio
import time

import pytest
from tests.cluster.host.polling import condition, says
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import MLFLOW_URL, E2eEnvironment
from tests.e2e.operator import LEASE_LOST, InstalledOperator
from tests.e2e.project_fixture import Holds, both, recorded, state
from tests.e2e.recovery import RECOVERY_SECONDS, in_time, recovered
from tests.local.scene import FEATURES

from feature_lineage.kube.api_client import Object
from feature_lineage.kube.kinds import JOBS, MODELS

STOPPED_SECONDS = 60.0
WIDER = FEATURES.replace(
    'Field(name="trips", dtype=Int64),',
    'Field(name="trips", dtype=Int64), Field(name="rating", dtype=Float32),',
)


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_mlflow_outage_blocks_applies_and_loses_no_record(
    create_tenant: CreateTenant, operator: InstalledOperator, environment: E2eEnvironment
) -> None:
    tenant = create_tenant("night")
    last_known = {"onGuardUnavailable": "UseLast", "maxGuardAge": "10m"}
    tenant.commit()
    await tenant.create_project(apply={"protection": last_known})
    await tenant.create_model()
    await tenant.until(both(recorded(1), says("Ready", "True")))
    tenant.train()
    model = await tenant.until_model(both(says("Ready", "True"), says("Tagged", "True")))
    assert model["status"]["lineage"]["verdict"] == "Verified"

    # An outage during a whole apply that may use the last facts: the apply is recorded later, also
    # after the operator that ran it is killed.
    with environment.without_mlflow():
        tenant.commit(WIDER)
        project = await tenant.until(both(says("Applied", "True"), ended(2)))
        await tenant.until(says("Recorded", "False", "MLflowUnavailable"))
        assert state(project, "Ready") == ("True", "Succeeded")
        operator.kill(await asyncio.to_thread(operator.leader))
        # The next change would need a guard, which is not available.
        await tenant.change(apply={"protection": {"onGuardUnavailable": "Block"}})
        refused = tenant.commit(FEATURES)
        project = await tenant.until(says("Applied", "False", "GuardUnavailable"))
        assert MLFLOW_URL in condition(project, "Applied")["message"]
        assert state(project, "Stalled") == ("", "")
        await tenant.until_model(says("Ready", "True"))
    answers = time.time()
    await tenant.until(says("Recorded", "True"), RECOVERY_SECONDS)
    project = await recovered(tenant, answers, both(says("Applied", "True"), recorded(3)))
    assert project["status"]["applied"]["revision"] == refused
    model = await tenant.until_model(both(says("Ready", "True"), says("Resolved", "True")))
    await in_time(tenant, answers)
    assert model["status"]["lineage"]["verdict"] == "Verified"
    assert await tenant.events("Unknown", MODELS) == []  # and it had no other state in between
    runs = tenant.ops_runs()
    ids = [run["tags"]["featurelineage.io/operation-id"] for run in runs]
    assert ids == [each["id"] for each in reversed(project["status"]["operations"])]
    assert all(run["tags"]["featurelineage.io/attempt"] == "1" for run in runs)
    assert len(await tenant.made(JOBS)) == 3


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.errors(LEASE_LOST)  # the clock of the node continues
async def test_a_node_that_stops_for_a_minute_in_the_middle_of_a_job(
    create_tenant: CreateTenant, environment: E2eEnvironment
) -> None:
    tenant = create_tenant("frozen")
    tenant.commit()
    await tenant.create_project()
    await tenant.until_in_phase("import_feast")

    with environment.node.stopped():
        await asyncio.sleep(STOPPED_SECONDS)
    goes_on = time.time()

    project = await recovered(tenant, goes_on, both(recorded(1), says("Ready", "True")))
    (operation,) = project["status"]["operations"]
    assert (operation["attempt"], operation["result"]) == (1, "Succeeded")
    assert await tenant.made(JOBS) == [operation["job"]]
    (run,) = tenant.ops_runs()
    assert run["tags"]["featurelineage.io/operation-id"] == operation["id"]


def ended(number: int) -> Holds:
    """Return when this number of operations has ended, recorded or not."""

    def holds(body: Object | None) -> bool:
        return len((body or {}).get("status", {}).get("operations", ())) == number

    return holds
