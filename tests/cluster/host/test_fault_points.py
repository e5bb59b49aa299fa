"""The cluster host crashes at each of its writes, and another one takes over: same end state.

One scenario contains all writes: an apply that asks for a newer guard, a backfill, a model whose
alias moves, and a deletion that deletes the objects of the project. Each host crashes at the first
write at which no host has crashed yet.
"""

import copy
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.access import opened
from tests.cluster.chart.helm import RELEASE
from tests.cluster.chart.helm import Object as Manifest
from tests.cluster.existing import Cluster
from tests.cluster.host.crash_injection import CrashPlan, Moment, crashing_mlflow, restarting_hosts
from tests.cluster.host.gateway import gateway
from tests.cluster.host.polling import gone, says, until
from tests.cluster.host.process import grant_lease
from tests.cluster.host.project_fixture import POD_GUARD_SECONDS, HostProject
from tests.cluster.kubectl import Kubectl
from tests.cluster.node import NodeStandIn
from tests.e2e.project_fixture import MADE, both, recorded
from tests.local.scene import FEATURES, MLflow, backfill, guard_age, slow_import
from tests.servers.fixtures import shared_mlflow

from feature_lineage.decide.model.tags import VERDICT_TAG
from feature_lineage.kube.api_client import Api, Object, connect
from feature_lineage.kube.config import OperatorConfig
from feature_lineage.kube.kinds import EVENTS, JOBS, MODELS, PROJECTS
from feature_lineage.kube.manager import Identity
from feature_lineage.models.baseline import REGISTRY_DIGEST_TAG
from feature_lineage.operations.records import OPERATION_ID_TAG

TOLD: Final = ("ApplySucceeded", "BackfillSucceeded", "DeleteSucceeded")
"""Events; each is the last write of its reconcile, so a host that always crashes sends none."""

AROUND_EVENTS: Final[dict[str, Moment]] = {
    "Event ApplySucceeded of a FeatureStoreProject": "before",
    "Event BackfillSucceeded of a FeatureStoreProject": "after",
    "Event DeleteSucceeded of a FeatureStoreProject": "after",
}

WRITES: Final = """
finalizer set
project's status: apply-1 Pending
Job apply-1-1
a job's request
a job's report
ServiceAccount feature-lineage-runner-driver
Role feature-lineage-runner-driver
RoleBinding feature-lineage-runner-driver
Job apply-1-1: suspend
project's status: apply-1 Running
a newer guard
snapshot 1
timeline of 1
project's status: materialize-2 Pending, 0 of 1 recorded
Job materialize-2-1
Job materialize-2-1: suspend
project's status: materialize-2 Running
experiment
run of apply-1
a run's metrics
artifact registry_snapshot.json
artifact plan.json
a run's end
run 1 is recorded
Job apply-1-1: ttlSecondsAfterFinished
run of materialize-2
a run's params
artifact views.json
run 2 is recorded
project's status: 2 of 2 recorded
Job materialize-2-1: ttlSecondsAfterFinished
model's status: Resolved True, LineageVerified True, Tagged False, FeaturesFresh Unknown, Ready True
tag featurelineage.io/baseline-from
tag featurelineage.io/baseline-digest
tag featurelineage.io/revision
tag featurelineage.io/registry-digest
tag featurelineage.io/verdict
tag feast.project
tag feast.feature_views
tag feast.feature_count
tag feast.feature_refs
tag feast.feature_service
model's status: Resolved True, LineageVerified True, Tagged True, FeaturesFresh Unknown, Ready True
tag featurelineage.io/verdict removed
project's status: delete-3 Pending
Job delete-3-1
Job delete-3-1: suspend
project's status: delete-3 Running
snapshot 2
timeline of 2
project's status: 2 of 3 recorded
run of delete-3
run 3 is recorded
project's status: 3 of 3 recorded
Job delete-3-1: ttlSecondsAfterFinished
finalizer removed
"""
"""The writes that must happen, about in this order; how many changes one status contains varies."""

APPLIED: Final = {
    "conditions": {
        "SourceReady": ("True", "Succeeded"),
        "Applied": ("True", "Succeeded"),
        "Materialized": ("True", "Succeeded"),
        "Fresh": ("Unknown", "NoObjective"),
        "FactsCurrent": ("True", "Succeeded"),
        "Recorded": ("True", "Succeeded"),
        "Ready": ("True", "Succeeded"),
    },
    "operations": [("Backfill", "Succeeded", 1), ("Apply", "Succeeded", 1)],
    "views": [("driver_hourly_stats", "Succeeded", 5)],
    "backfills": [("initial", "Succeeded")],
    "sequence": 2,
}
RUNS: Final = [
    ("apply", "FINISHED", "1", "true", ["plan.json", "registry_snapshot.json"]),
    ("materialize", "FINISHED", "1", "true", ["views.json"]),
    ("delete", "FINISHED", "1", "true", ["registry_snapshot.json"]),
]
TAGS: Final = {
    *("featurelineage.io/baseline-from", "featurelineage.io/baseline-digest"),
    *("featurelineage.io/revision", REGISTRY_DIGEST_TAG, VERDICT_TAG),
    *("feast.project", "feast.feature_views", "feast.feature_count"),
    *("feast.feature_refs", "feast.feature_service"),
}


@pytest.fixture
def crash_plan(moments: Moment | dict[str, Moment]) -> CrashPlan:
    """Hosts crash at one moment of every write, or each at its own moment of the named writes."""
    if isinstance(moments, str):
        return CrashPlan(lambda _: moments)
    return CrashPlan(lambda write: moments.get(write, "never"))


@pytest.fixture
async def host_project(
    admin: Api, kubectl: Kubectl, namespace: str, tmp_path: Path, crash_plan: CrashPlan
) -> AsyncIterator[HostProject]:
    """A project whose MLflow is the shared server, behind a gateway at which hosts may crash."""
    mlflow = MLflow(shared_mlflow().url)
    async with gateway(mlflow.url, middlewares=[crashing_mlflow(crash_plan)]) as gateway_:
        host_project = HostProject(
            admin, kubectl, namespace, mlflow, folder=tmp_path, mlflow_url=gateway_.url
        )
        host_project.prepare(slow_import(FEATURES, POD_GUARD_SECONDS + 1))
        yield host_project


@pytest.fixture
async def node(
    host_project: HostProject,
    crash_plan: CrashPlan,
    operator_kubeconfig: Path,
    cluster: Cluster,
    chart_objects: list[Manifest],
) -> AsyncIterator[NodeStandIn]:
    """A node that runs jobs, and hosts that lead one after the other."""
    namespace = host_project.namespace
    grant_lease(cluster, copy.deepcopy(chart_objects), namespace)
    config = OperatorConfig.model_validate(
        opened(
            {"namespaces": [namespace], "runner": {"image": "runner.example/runner:1"}, "port": 0}
        )
    )
    identity = Identity("host", namespace, RELEASE)
    async with (
        await connect(str(operator_kubeconfig)) as api,
        NodeStandIn(host_project.admin, namespace, claims={"stores": host_project.stores}) as node,
        restarting_hosts(api.configuration, config, identity, crash_plan),
    ):
        yield node


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moments", "crashed_at", "events"),
    [
        pytest.param("never", set(), {*TOLD}, id="no crash"),
        pytest.param("before", {*WRITES.strip().splitlines()}, set(), id="before"),
        pytest.param("after", {*WRITES.strip().splitlines()}, set(), id="after"),
        pytest.param(AROUND_EVENTS, {*AROUND_EVENTS}, {*TOLD[1:]}, id="around Events"),
    ],
)
async def test_crashes_at_every_write_give_the_same_end(
    host_project: HostProject,
    node: NodeStandIn,
    crash_plan: CrashPlan,
    crashed_at: set[str],
    events: set[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await host_project.create_project(
        deletionPolicy="Delete", backfills=[backfill()], apply=guard_age(POD_GUARD_SECONDS)
    )
    project = await host_project.until(both(recorded(2), says("Ready", "True")))
    assert shape(project) == APPLIED
    operations = [each["id"] for each in reversed(project["status"]["operations"])]
    assert await host_project.made(JOBS) == sorted(f"{each}-1" for each in operations)
    assert host_project.online_rows() == {f"{host_project.project}_driver_hourly_stats": 15}

    host_project.train()
    await host_project.create_model()
    await host_project.until_tagged({"1": TAGS})
    await host_project.until_model(says("Tagged", "True"))
    host_project.train()
    await host_project.until_tagged({"1": TAGS - {VERDICT_TAG}, "2": TAGS})
    await host_project.until_model(says("Tagged", "True"))
    tags = host_project.tags("2")
    assert tags[VERDICT_TAG] == "Verified"
    assert tags[REGISTRY_DIGEST_TAG] == project["status"]["applied"]["registryDigest"]
    for job in await host_project.made(JOBS):
        await host_project.until_made(JOBS, job, lambda b: "ttlSecondsAfterFinished" in b["spec"])

    await host_project.admin.delete(MODELS, host_project.namespace, host_project.name)
    await host_project.annotate(allow_delete="the ranker is retired")
    await host_project.admin.delete(PROJECTS, host_project.namespace, host_project.name)
    await host_project.until(gone)
    for kind in MADE:
        for name in await host_project.made(kind):
            await until(host_project.admin, kind, host_project.namespace, name, gone)
    assert host_project.online_rows() == {}

    runs = host_project.ops_runs()
    assert [run_summary(host_project, run) for run in runs] == RUNS
    ids = [run["tags"][OPERATION_ID_TAG] for run in runs]
    assert ids[:2] == operations
    assert sorted(pod.rpartition("-")[0] for pod in node.ended) == sorted(f"{i}-1" for i in ids)
    found = [each async for each in host_project.admin.list(EVENTS, host_project.namespace)]
    ours = [each for each in found if each["regarding"]["kind"] == PROJECTS.kind]
    assert sorted(each["reason"] for each in ours) == sorted(events)
    assert not any("series" in each for each in ours)
    assert crashed_at - {*crash_plan.crashed_at} == set(), crash_plan.crashed_at
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


def shape(project: Object) -> dict[str, Any]:
    """A status without names, digests and times."""
    status = project["status"]
    return {
        "conditions": {
            each["type"]: (each["status"], each["reason"]) for each in status["conditions"]
        },
        "operations": [
            (each["kind"], each["result"], each["attempt"]) for each in status["operations"]
        ],
        "views": [
            (each["name"], each["lastResult"], each["rows"]) for each in status["featureViews"]
        ],
        "backfills": [(each["name"], each["state"]) for each in status["backfills"]],
        "sequence": status["sequence"],
    }


def run_summary(host_project: HostProject, run: dict[str, Any]) -> tuple[Any, ...]:
    """An ops run without names, digests and times."""
    tags = {key.rpartition("/")[2]: value for key, value in run["tags"].items()}
    artifacts = host_project.mlflow.artifacts(run["run_id"])
    return tags["operation"], run["status"], tags["attempt"], tags.get("recorded"), artifacts
