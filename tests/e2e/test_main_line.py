"""The main scenario of a team: from `helm install` to the last record of a deletion.

It uses real pods, a real Git server, an SQL registry and online store in PostgreSQL, an MLflow
server that checks hosts and passwords, and a Prometheus that scrapes the operator.
"""

import asyncio
import time

import httpx
import pytest
from tests.cluster.host.polling import condition, gone, says, until
from tests.cluster.kubectl import Kubectl
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import ADMIN, E2eEnvironment
from tests.e2e.phases import FAILED, GOING, READY, WORKING, words
from tests.e2e.project_fixture import (
    ALLOW,
    MADE,
    REFS,
    TRIPS,
    WITHOUT_TRIPS,
    Holds,
    both,
    recorded,
    running,
    state,
)
from tests.e2e.prometheus_queries import columns, samples, until_prometheus_says
from tests.e2e.tenant import SERVICE, VIEW, Tenant
from tests.local.scene import FEATURES

from feature_lineage.api.annotations import FINALIZER
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import MODELS, PROJECTS

EVERY_MINUTE = {"name": "every-minute", "cron": "* * * * *", "incremental": {}}
WITH_ANOTHER_SERVICE = (
    FEATURES
    + """
driver_acceptance = FeatureService(
    name="driver_acceptance", features=[driver_hourly_stats[["acc_rate"]]]
)
"""
)
INTERVAL_SECONDS = 2.0
JOB_SECONDS = 60.0
"""Limit for one interval and one job on a busy machine; the benchmarks measure them."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_from_helm_install_to_the_last_record_of_a_deletion(
    create_tenant: CreateTenant, kubectl: Kubectl, admin: Api, environment: E2eEnvironment
) -> None:
    checks_hosts_and_passwords(environment)
    tenant = create_tenant()
    first = tenant.commit()
    project = await tenant.create_project(
        deletionPolicy="Delete", schedules=[EVERY_MINUTE], freshness={"maxAge": "2h"}
    )
    model = await tenant.create_model(readyRequires=["Lineage", "Freshness"])
    assert words(project) == words(model) == WORKING

    # The commit is applied, then the schedule fills the online store.
    assert words(await tenant.until(running)) == WORKING
    project = await tenant.until(both(recorded_at_least(1), says("Ready", "True")))
    assert words(project) == READY
    assert words(await tenant.until_model(says("Ready", "False", "ModelNotFound"))) == WORKING
    assert project["status"]["applied"]["revision"] == first
    assert project["metadata"]["finalizers"] == [FINALIZER]
    # Before the next tick, a pod trains a model on the applied features, with Feast's own
    # integration.
    async with asyncio.TaskGroup() as meanwhile:
        meanwhile.create_task(asyncio.to_thread(tenant.train_in_a_pod))
        await tenant.until(both(recorded_at_least(2), says("Fresh", "True")), 180)
    await tenant.change(schedules=[{**EVERY_MINUTE, "suspend": True}])
    project = await tenant.until(both(quiet, observed))
    materialized(project)
    assert tenant.online_rows() == 5
    materializations = f'feast_materialization_result_total{{namespace="{tenant.namespace}"}}'
    await until_prometheus_says(environment, f"sum({materializations})", lambda value: value >= 1)

    # The model is linked to the applied features, and verified.
    model = await tenant.until_model(both(says("Ready", "True"), says("Tagged", "True")))
    verified(model)
    assert words(model) == READY
    tags = tenant.tags()
    assert tags["feast.feature_refs"] == ",".join(REFS)
    assert tags["featurelineage.io/revision"] == first
    assert tags["featurelineage.io/verdict"] == "Verified"
    await tenant.until(lambda body: _counts(body).get("linkedModels") == 1)

    # A good commit is in effect within an interval and a job.
    number = len((await tenant.until(quiet))["status"]["operations"])
    pushed, second = time.monotonic(), tenant.commit(WITH_ANOTHER_SERVICE)
    await tenant.until(lambda body: _applied(body).get("revision") == second)
    assert time.monotonic() - pushed < INTERVAL_SECONDS + JOB_SECONDS
    project = await tenant.until(recorded(number + 1))
    await tenant.until_model(says("Ready", "True"))

    # A breaking commit is blocked, and condition, Event and metric name it.
    applied, third = project["status"]["applied"], tenant.commit(WITHOUT_TRIPS)
    project = await tenant.until(both(says("Applied", "False", "Blocked"), recorded(number + 2)))
    assert words(project) == FAILED
    assert words(await tenant.until_model(says("Ready", "True"))) == READY
    plan = project["status"]["plan"]
    message = condition(project, "Applied")["message"]
    for part in (third[:12], TRIPS, f"{tenant.model} v1", "@champion", plan["digest"][:12]):
        assert part in message
    assert state(project, "Stalled") == ("True", "Blocked")
    assert project["status"]["applied"] == applied
    event = await tenant.until_event("Blocked")
    assert (event["type"], event["note"]) == ("Warning", message)
    of_tenant = f'{{namespace="{tenant.namespace}",name="{tenant.name}"}}'
    await until_prometheus_says(
        environment, f"feature_lineage_plan_blocked{of_tenant}", lambda value: value == 1
    )
    blocked = f'namespace="{tenant.namespace}",type="Applied",reason="Blocked"'
    assert len(await samples(environment, f"feature_lineage_condition{{{blocked}}}")) == 1
    output = kubectl("-n", tenant.namespace, "describe", "fsp", tenant.name)
    for part in (TRIPS, tenant.model, ALLOW, plan["digest"][:12]):
        assert part in output

    # A permission for exactly this plan permits it once, and its reason is recorded.
    await tenant.annotate(allow_breaking=f"{plan['digest'][:12]}: the ranker is retired")
    project = await tenant.until(both(says("Applied", "True"), recorded(number + 3)))
    assert project["status"]["applied"]["revision"] == third
    run = tenant.ops_runs()[-1]
    assert run["tags"]["featurelineage.io/override"] == "allow-breaking: the ranker is retired"
    assert words(project) == READY
    event = await tenant.until_event("ModelsHurt")
    assert event["type"] == "Warning"
    for part in (third[:12], TRIPS, f"{tenant.model} v1", "@champion", "the ranker is retired"):
        assert part in event["note"]
    assert words(await tenant.until_model(says("Ready", "False", "Broken"))) == FAILED
    await until_prometheus_says(
        environment,
        f'feature_lineage_model_verdict{{namespace="{tenant.namespace}",verdict="Broken"}}',
        lambda value: value == 1,
    )
    shown_by_kubectl(kubectl, tenant, third)

    # A project with deletionPolicy Delete deletes its objects, and leaves only a record.
    tenant.mlflow.delete("registered-models/alias", name=tenant.model, alias="champion")
    await tenant.until_model(says("Ready", "False", "AliasNotFound"))
    await admin.delete(MODELS, tenant.namespace, tenant.name)
    await admin.delete(PROJECTS, tenant.namespace, tenant.name)
    assert words(await tenant.until(both(running, says("Ready", "False", "Deleting")))) == GOING
    await tenant.until(gone)
    runs = tenant.ops_runs()
    assert runs[-1]["tags"]["featurelineage.io/operation"] == "delete"
    ids = [run["tags"]["featurelineage.io/operation-id"] for run in runs]
    assert len(set(ids)) == len(ids) == number + 4
    for table in ("feature_views", "feature_services", "entities", "data_sources"):
        assert environment.rows(tenant.project, f"SELECT * FROM {table}") == [], table
    for kind in MADE:
        for name in await tenant.made(kind):
            await until(admin, kind, tenant.namespace, name, gone)


def checks_hosts_and_passwords(environment: E2eEnvironment) -> None:
    """Return the result of a query on MLflow, the state that the operator must write."""
    url, login = f"{environment.mlflow.url}/api/2.0/mlflow/experiments/get?experiment_id=0", ADMIN
    asked = {
        "as it should be": httpx.get(url, auth=login),
        "by another name": httpx.get(url, auth=login, headers={"Host": "mlflow.example"}),
        "without a password": httpx.get(url),
    }

    assert {how: answer.status_code for how, answer in asked.items()} == {
        "as it should be": 200,
        "by another name": 403,
        "without a password": 401,
    }


def recorded_at_least(number: int) -> Holds:
    """Return when this number of operations has ended, and all are in MLflow."""

    def holds(body: Object | None) -> bool:
        operations = (body or {}).get("status", {}).get("operations", ())
        return len(operations) >= number and all("mlflowRunId" in each for each in operations)

    return holds


def quiet(body: Object | None) -> bool:
    """Return when no operation is in flight, and all are in MLflow."""
    status = (body or {}).get("status", {})
    return "operation" not in status and recorded_at_least(1)(body)


def observed(body: Object | None) -> bool:
    assert body is not None
    return body["status"]["observedGeneration"] == body["metadata"]["generation"]


def materialized(project: Object) -> None:
    (view,) = project["status"]["featureViews"]
    shown = (view["name"], view["by"], view["lastResult"], view["rows"], view["fresh"])
    assert shown == (VIEW, "Operator", "Succeeded", 5, True)
    (schedule,) = project["status"]["schedules"]
    assert schedule["last"]
    for name in ("SourceReady", "Applied", "Fresh", "Recorded", "FactsCurrent"):
        assert condition(project, name)["status"] == "True", name


def verified(model: Object) -> None:
    lineage = model["status"]["lineage"]
    assert lineage["verdict"] == "Verified"
    assert lineage["features"] == list(REFS)
    assert lineage["featureService"] == SERVICE
    assert lineage["origin"] == "RunTag"
    assert lineage["schemaDigest"]["baselineFrom"] == "Training"
    assert model["status"]["resolved"]["version"] == "1"


def shown_by_kubectl(kubectl: Kubectl, tenant: Tenant, revision: str) -> None:
    project, model = (
        columns(kubectl("-n", tenant.namespace, "get", kind, tenant.name))
        for kind in ("fsp", "ftm")
    )
    assert (project["PROJECT"], project["READY"]) == (tenant.project, "True")
    assert revision.startswith(project["REVISION"]) or project["REVISION"] == revision
    assert project["BROKEN"] == "1"
    assert (model["MODEL"], model["VERSION"], model["VERDICT"]) == (tenant.model, "1", "Broken")


def _applied(body: Object | None) -> dict[str, str]:
    return dict((body or {}).get("status", {}).get("applied", {}))


def _counts(body: Object | None) -> dict[str, int]:
    return dict((body or {}).get("status", {}).get("counts", {}))
