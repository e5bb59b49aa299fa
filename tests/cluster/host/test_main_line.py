"""The main line on a cluster: from a repo and two manifests to the last record of a deletion.

A real control plane, jobs that really run, real Feast, a real MLflow server, and an operator that
may do what the chart lets it do.
"""

from pathlib import Path

import pytest
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.scene import (
    ALLOW,
    MADE,
    REFS,
    TRIPS,
    WITHOUT_TRIPS,
    House,
    both,
    kept_up,
    mistakes,
    node_for,
    recorded,
    state,
)
from tests.cluster.host.waiting import condition, gone, says, until
from tests.cluster.kubectl import Kubectl
from tests.local.scene import MLflow, backfill
from tests.servers.fixtures import shared_mlflow

from feature_lineage.api.annotations import FINALIZER
from feature_lineage.kube.client import Api, Object
from feature_lineage.kube.kinds import CONFIG_MAPS, JOBS, MODELS, PROJECTS

pytestmark = pytest.mark.slow


@pytest.fixture
def house(admin: Api, kubectl: Kubectl, namespace: str, tmp_path: Path) -> House:
    return House(admin, kubectl, namespace, MLflow(shared_mlflow().url), tmp_path)


@pytest.mark.timeout(1200)
async def test_from_a_repo_to_the_last_record_of_a_deletion(
    house: House, start_operator: StartOperator, kubectl: Kubectl, admin: Api
) -> None:
    operator = await start_operator()
    async with kept_up(operator), node_for(house):
        # A repo and two manifests: it is applied, then filled.
        await house.push()
        spec = {"backfills": [backfill()], "freshness": {"maxAge": "2h"}}
        await house.create_project(deletionPolicy="Delete", **spec)
        await house.create_model(readyRequires=["Lineage", "Freshness"])
        project = await house.until(recorded(2))
        applied_and_materialized(project)
        model = await house.until_model(says("Ready", "False", "ModelNotFound"))
        apply, fill = house.ops_runs()
        assert [run["tags"]["feast.operation"] for run in (apply, fill)] == ["apply", "materialize"]
        assert {run["run_id"] for run in (apply, fill)} == {
            each["mlflowRunId"] for each in project["status"]["operations"]
        }
        assert fill["metrics"]["featurelineage.io/rows/driver_hourly_stats"] == 5
        assert house.mlflow.artifacts(apply["run_id"]) == ["plan.json", "registry_snapshot.json"]
        jobs = await house.made(JOBS)
        assert sorted(each["job"] for each in project["status"]["operations"]) == jobs

        # A version is registered and promoted: it is found, verified and tagged.
        house.train()
        model = await house.until_model(both(says("Ready", "True"), says("Tagged", "True")))
        verified(model)
        tags = house.tags()
        assert tags["feast.feature_refs"] == ",".join(REFS)
        assert tags["feast.project"] == house.project
        assert tags["featurelineage.io/verdict"] == "Verified"
        applied = project["status"]["applied"]
        assert tags["featurelineage.io/registry-digest"] == applied["registryDigest"]
        assert tags["featurelineage.io/revision"] == applied["revision"]
        project = await house.until(lambda body: _counts(body).get("linkedModels") == 1)
        shown_by_kubectl(kubectl, house, ready="True", reason="Succeeded", verdict="Verified")

        # A change that the champion would not survive is stopped, and says whom it would hurt.
        await house.push(WITHOUT_TRIPS)
        project = await house.until(both(says("Applied", "False", "Blocked"), recorded(3)))
        plan = blocked(project, house, applied)
        event = await house.told("Blocked")
        message = condition(project, "Applied")["message"]
        assert (event["type"], event["note"]) == ("Warning", message)
        metrics = await operator.metrics()
        assert sample(metrics, "feature_lineage_plan_blocked", house) == 1
        assert sample(metrics, "feature_lineage_plan_impacts", house) == 1
        run = house.ops_runs()[-1]
        assert (run["status"], run["tags"]["featurelineage.io/result"]) == ("FAILED", "Blocked")
        shown_by_kubectl(kubectl, house, ready="False", reason="Blocked", verdict="Verified")
        told = kubectl("-n", house.namespace, "describe", "fsp", house.name)
        for part in (TRIPS, house.model, ALLOW, plan["digest"][:12]):
            assert part in told

        # A permission for this very plan lets it through, once, with a reason on record.
        await house.annotate(allow_breaking=f"{plan['digest'][:12]}: the ranker is retired")
        project = await house.until(both(says("Applied", "True"), recorded(4)))
        assert state(project, "Stalled") == ("", "")
        assert project["status"]["plan"]["verdict"] == "Allowed"
        override = project["status"]["operations"][0]["override"]
        assert override == {"kind": "allow-breaking", "why": "the ranker is retired"}
        tags = house.ops_runs()[-1]["tags"]
        assert tags["featurelineage.io/override"] == "allow-breaking: the ranker is retired"
        model = await house.until_model(
            both(says("LineageVerified", "False", "Broken"), says("Ready", "False", "Broken"))
        )
        lineage = model["status"]["lineage"]
        assert lineage["verdict"] == "Broken"
        assert [each["feature"] for each in lineage["problems"]] == [TRIPS]
        event = await house.told("Broken", MODELS)
        assert TRIPS in event["note"]
        metrics = await operator.metrics()
        assert sample(metrics, "feature_lineage_plan_blocked", house) == 0
        assert sample(metrics, "feature_lineage_model_verdict", house, 'verdict="Broken"') == 1
        shown_by_kubectl(kubectl, house, ready="True", reason="Succeeded", verdict="Broken")

        # What is asked to take its objects along does, and leaves a record and nothing else.
        await admin.delete(MODELS, house.namespace, house.name)
        house.mlflow.delete("registered-models/alias", name=house.model, alias="champion")
        await admin.delete(PROJECTS, house.namespace, house.name)
        await house.until(gone)
    runs = house.ops_runs()
    assert len(runs) == 5
    assert runs[-1]["tags"]["featurelineage.io/operation"] == "delete"
    assert runs[-1]["status"] == "FINISHED"
    ids = [run["tags"]["featurelineage.io/operation-id"] for run in runs]
    assert len(set(ids)) == 5
    for kind in MADE:
        for name in await house.made(kind):
            await until(admin, kind, house.namespace, name, gone)
    await until(admin, CONFIG_MAPS, house.namespace, house.repo_name, lambda body: body is not None)
    assert mistakes(operator) == []


def applied_and_materialized(project: Object) -> None:
    status = project["status"]
    assert state(project, "Ready") == ("True", "Succeeded")
    for name in ("SourceReady", "Applied", "Materialized", "Fresh", "Recorded", "FactsCurrent"):
        assert condition(project, name)["status"] == "True", name
    assert state(project, "Reconciling") == state(project, "Stalled") == ("", "")
    assert status["observedGeneration"] == project["metadata"]["generation"] == 1
    assert status["applied"]["registryDigest"] == status["registry"]["digest"]
    assert [each["kind"] for each in status["operations"]] == ["Backfill", "Apply"]
    (view,) = status["featureViews"]
    assert (view["name"], view["by"], view["lastResult"], view["rows"], view["fresh"]) == (
        "driver_hourly_stats",
        "Operator",
        "Succeeded",
        5,
        True,
    )
    assert view["materializedUntil"]
    assert project["metadata"]["finalizers"] == [FINALIZER]


def verified(model: Object) -> None:
    lineage = model["status"]["lineage"]
    for name in ("Resolved", "LineageVerified", "FeaturesFresh"):
        assert condition(model, name)["status"] == "True", name
    assert lineage["verdict"] == "Verified"
    assert lineage["features"] == list(REFS)
    assert lineage["featureService"] == "driver_activity_v1"
    assert lineage["schemaDigest"]["baselineFrom"] == "Training"
    assert model["status"]["resolved"]["version"] == "1"


def blocked(project: Object, house: House, applied: Object) -> Object:
    """Nothing is applied, and the condition names all there is to know; returns the plan."""
    status = project["status"]
    plan: Object = status["plan"]
    revision = status["source"]["revision"]
    assert state(project, "Ready") == ("False", "Blocked")
    assert state(project, "Stalled") == ("True", "Blocked")
    assert state(project, "Reconciling") == ("", "")
    assert plan["revision"] == revision != applied["revision"]
    for part in (revision[:19], TRIPS, f"{house.model} v1", "@champion", plan["digest"][:12]):
        assert part in condition(project, "Applied")["message"]
    assert [(each["model"], each["verdict"]) for each in plan["impacts"]] == [
        (house.model, "Broken")
    ]
    assert status["applied"] == applied
    return plan


def shown_by_kubectl(
    kubectl: Kubectl, house: House, *, ready: str, reason: str, verdict: str
) -> None:
    """The columns say it, for the project and for the model."""
    project, model = (
        columns(kubectl("-n", house.namespace, "get", kind, house.name)) for kind in ("fsp", "ftm")
    )
    assert (project["PROJECT"], project["READY"], project["REASON"]) == (
        house.project,
        ready,
        reason,
    )
    assert project["REVISION"].startswith("sha256:")
    assert project["STALE"] == "0"
    assert project["BROKEN"] == str(int(verdict == "Broken"))
    assert (model["MODEL"], model["VERSION"], model["VERDICT"]) == (house.model, "1", verdict)
    assert model["SERVICE"] == "driver_activity_v1"


def columns(table: str) -> dict[str, str]:
    """The one row that kubectl prints, by the names of its columns."""
    header, row = (line.split() for line in table.splitlines())
    return dict(zip(header, row, strict=True))


def sample(metrics: str, name: str, house: House, label: str = "") -> float:
    """The value of the one sample of a metric about this house."""
    (found,) = (
        line
        for line in metrics.splitlines()
        if line.startswith(f"{name}{{")
        and f'namespace="{house.namespace}"' in line
        and f'name="{house.name}"' in line
        and label in line
    )
    return float(found.rpartition(" ")[2])


def _counts(body: Object | None) -> dict[str, int]:
    return dict((body or {}).get("status", {}).get("counts", {}))
