"""A namespace and the models of another team on one MLflow server of the platform."""

from dataclasses import dataclass
from typing import Any, Final

import pytest
from tests.cluster.chart.environment import new_namespace
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import condition, says, until
from tests.cluster.host.process import Operator
from tests.cluster.host.resources import (
    create_model,
    create_project,
    has_condition,
    request_reconcile,
)
from tests.cluster.kubectl import Kubectl
from tests.local.scene import MLflow
from tests.servers.fixtures import shared_mlflow

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import EVENTS, MODELS, PROJECTS

SERVER_REF: Final = {"serverRef": "prod", "pollInterval": "1s"}
WRITTEN: Final = {"feast.project", "feast.feature_refs", "feast.feature_count"}
"""Tags of the training run that the operator writes on its version."""


@dataclass(frozen=True)
class Team:
    """A team with a namespace, a Feast project and a registered model of its own."""

    namespace: str
    project: str
    model: str
    mlflow: MLflow

    @property
    def tags(self) -> set[str]:
        return set(self.mlflow.version_tags(self.model, "1"))

    @property
    def access(self) -> dict[str, Any]:
        globs = {"feastProjects": [self.project], "models": [f"{self.model}*"]}
        return {"namespaces": [self.namespace], **globs, "allow": ["Tags", "OpsRuns"]}


@pytest.fixture
def teams(kubectl: Kubectl, namespace: str) -> tuple[Team, Team]:
    """A team with a model, and another one, whose namespace is hostile."""
    mlflow, unique = MLflow(shared_mlflow().url), namespace.replace("-", "_")
    solo = Team(namespace, f"{unique}_solo", f"solo_{unique}", mlflow)
    mlflow.train(solo.model, solo.project, ["stats:rate"], alias="champion")
    hostile = new_namespace(kubectl, f"{namespace}-evil")
    return solo, Team(hostile, unique, f"evil_{unique}", mlflow)


async def started(start_operator: StartOperator, *teams: Team, access: list[Team]) -> Operator:
    server = {"name": "prod", "trackingUri": shared_mlflow().url}
    return await start_operator(
        namespaces=[team.namespace for team in teams],
        mlflowServers=[{**server, "access": [team.access for team in access]}],
    )


async def finished_operation(admin: Api, namespace: str, name: str) -> None:
    """Give a project a finished operation that waits for its record."""
    waits = {"id": "apply-1-0123456789abcdef", "kind": "Apply", "result": "Succeeded"}
    waits["finishedAt"] = waits["startedAt"] = "2026-11-26T03:00:00Z"
    status = {"status": {"operations": [waits]}}
    await admin.patch(PROJECTS, namespace, name, status, subresource="status")
    await request_reconcile(admin, PROJECTS, namespace, name, "now")


async def test_a_hostile_namespace_cannot_tag_or_read_a_model_of_another_team(
    admin: Api, teams: tuple[Team, Team], start_operator: StartOperator
) -> None:
    solo, evil = teams
    # The hostile resources are older: without access, they own nothing.
    await create_project(admin, evil.namespace, project=evil.project, mlflow=SERVER_REF)
    for name in (solo.model, "no_such_model"):
        await create_model(
            admin,
            evil.namespace,
            name.replace("_", "-"),
            model={"name": name, "alias": "challenger"},
            onConflict="UseDeclared",
            featureService="stolen",
        )
    operator = await started(start_operator, solo, evil, access=[solo, evil])
    stolen, missing = [
        condition(
            await until(
                admin,
                MODELS,
                evil.namespace,
                name.replace("_", "-"),
                says("Resolved", "False", "ModelNotFound"),
            ),
            "Resolved",
        )["message"].replace(name, "NAME")
        for name in (solo.model, "no_such_model")
    ]

    assert stolen == missing
    assert "mlflowServers[].access" in stolen
    assert solo.tags & WRITTEN == set()

    await create_project(admin, solo.namespace, project=solo.project, mlflow=SERVER_REF)
    reference = {"name": solo.model, "alias": "champion"}
    await create_model(admin, solo.namespace, "solo", model=reference)
    await until(admin, MODELS, solo.namespace, "solo", says("Tagged", "True"))

    assert solo.tags >= WRITTEN
    assert "feast.feature_service" not in solo.tags
    told = [
        *[event async for event in admin.list(EVENTS, evil.namespace)],
        *[model async for model in admin.list(MODELS, evil.namespace)],
    ]
    assert "champion" not in str(told)
    assert operator.errors() == []


async def test_a_hostile_namespace_is_not_in_the_timeline_of_another_team(
    admin: Api, teams: tuple[Team, Team], start_operator: StartOperator
) -> None:
    solo, evil = teams
    # The name of the hostile project continues to the experiment of the other one.
    suffix = {"opsExperimentSuffix": f"{solo.project.removeprefix(evil.project)}-feast-ops"}
    operator = await started(start_operator, solo, evil, access=[solo, evil])
    for name, project, mlflow, reason, words in (
        ("same", solo.project, SERVER_REF, "HostNotAllowed", solo.project),
        ("own", evil.project, {**SERVER_REF, **suffix}, "AccessNotGranted", "OpsRuns"),
    ):
        await create_project(admin, evil.namespace, name, project=project, mlflow=mlflow)
        await finished_operation(admin, evil.namespace, name)
        await until(
            admin,
            PROJECTS,
            evil.namespace,
            name,
            has_condition("Recorded", reason, words, "ask who runs the operator"),
        )

    await create_project(admin, solo.namespace, project=solo.project, mlflow=SERVER_REF)
    await finished_operation(admin, solo.namespace, "ranking")
    await until(admin, PROJECTS, solo.namespace, "ranking", says("Recorded", "True"))
    (run,) = solo.mlflow.ops_runs(solo.project)
    assert run["tags"]["featurelineage.io/resource"] == f"{solo.namespace}/ranking"
    assert operator.errors() == []


async def test_a_server_without_entries_may_be_used_by_nobody(
    admin: Api, teams: tuple[Team, Team], start_operator: StartOperator
) -> None:
    solo, evil = teams
    operator = await started(start_operator, solo, evil, access=[])

    await create_project(admin, solo.namespace, project=solo.project, mlflow=SERVER_REF)

    closed = "mlflowServers[].access", f"namespace {solo.namespace}"
    await until(
        admin,
        PROJECTS,
        solo.namespace,
        "ranking",
        has_condition("FactsCurrent", "MLflowViewOld", *closed),
    )
    assert operator.errors() == []


async def test_a_server_of_the_platform_is_closed_to_its_address_as_well(
    admin: Api, teams: tuple[Team, Team], start_operator: StartOperator
) -> None:
    solo, evil = teams
    port = shared_mlflow().url.rsplit(":", 1)[1]
    spelled = {"trackingUri": f"http://0x7f.1:{port}/.", "pollInterval": "1s"}
    # The hostile resources are older, name the model of the other team, and need no credential.
    await create_project(admin, evil.namespace, project=evil.project, mlflow=spelled)
    reference = {"name": solo.model, "alias": "champion"}
    await create_model(admin, evil.namespace, "stolen", model=reference, onConflict="UseDeclared")
    operator = await started(start_operator, solo, evil, access=[solo])
    closed = "address of a server of the platform", f"namespace {evil.namespace}"
    await until(
        admin,
        PROJECTS,
        evil.namespace,
        "ranking",
        has_condition("FactsCurrent", "MLflowViewOld", *closed),
    )
    await create_project(admin, solo.namespace, project=solo.project, mlflow=SERVER_REF)

    await create_model(admin, solo.namespace, "solo", model=reference)

    await until(admin, MODELS, solo.namespace, "solo", says("Tagged", "True"))
    stolen = await admin.get(MODELS, evil.namespace, "stolen")
    assert condition(stolen, "Tagged")["status"] == "Unknown"
    assert operator.errors() == []
