"""The MLflow servers of the platform: by name, with their credential, or not allowed."""

from pathlib import Path

from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.gateway import gateway
from tests.cluster.host.polling import condition, says, until
from tests.cluster.host.resources import (
    change,
    create_model,
    create_project,
    handled,
    has_condition,
    observed,
    request_reconcile,
)
from tests.servers.fixtures import shared_mlflow

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import MODELS, PROJECTS

LOGIN = "operator:tr0ub4dor"


def secret(folder: Path, login: str) -> Path:
    """A mounted Secret of type basic-auth; a rotation replaces the files."""
    folder.mkdir(exist_ok=True)
    for key, value in zip(("username", "password"), login.split(":"), strict=True):
        (folder / key).write_text(value + "\n")
    return folder


async def test_platform_server_uses_its_mounted_credential(
    admin: Api, namespace: str, start_operator: StartOperator, tmp_path: Path
) -> None:
    mounted = secret(tmp_path / "prod", LOGIN)
    async with gateway(shared_mlflow().url, LOGIN) as mlflow_gateway:
        server = {"name": "prod", "trackingUri": mlflow_gateway.url, "credentialDir": str(mounted)}
        operator = await start_operator(
            mlflowServers=[server], allowedTrackingUris=["https://mlflow.example/*"]
        )
        await create_project(admin, namespace, suspend=True, mlflow={"serverRef": "prod"})
        await create_model(admin, namespace)

        found = await until(
            admin, MODELS, namespace, "m", says("Resolved", "False", "ModelNotFound")
        )

        assert "MLflow has no registered model m" in condition(found, "Resolved")["message"]
        assert mlflow_gateway.refused == 0
        assert LOGIN.partition(":")[2] not in operator.log.read_text()
        assert operator.errors() == []


async def test_forbidden_server_gets_no_request(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    async with gateway(shared_mlflow().url, LOGIN) as mlflow_gateway:
        operator = await start_operator(allowedTrackingUris=["https://mlflow.example/*"])
        for name, mlflow, words in (
            (
                "uri",
                {"trackingUri": mlflow_gateway.url},
                ("allowedTrackingUris", mlflow_gateway.url),
            ),
            ("ref", {"serverRef": "prod"}, ("serverRef 'prod' names no server",)),
        ):
            await create_project(admin, namespace, name, mlflow=mlflow, suspend=True)
            waits = {"id": "apply-1-0123456789abcdef", "kind": "Apply", "result": "Succeeded"}
            waits["finishedAt"] = waits["startedAt"] = "2026-11-26T03:00:00Z"
            status = {"status": {"operations": [waits]}}
            await admin.patch(PROJECTS, namespace, name, status, subresource="status")
            await request_reconcile(admin, PROJECTS, namespace, name, "now")
            await create_model(admin, namespace, name, name)

            await until(
                admin,
                PROJECTS,
                namespace,
                name,
                has_condition("Recorded", "HostNotAllowed", *words),
            )
            await until(
                admin,
                MODELS,
                namespace,
                name,
                has_condition("Resolved", "MLflowUnavailable", *words),
            )
        assert mlflow_gateway.refused == 0
        assert operator.errors() == []


async def test_change_during_a_mlflow_read_is_kept(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    async with gateway(shared_mlflow().url) as mlflow_gateway:
        operator = await start_operator(resyncInterval="10m")
        mlflow_gateway.opened.clear()
        await create_project(
            admin,
            namespace,
            suspend=True,
            mlflow={"trackingUri": mlflow_gateway.url, "pollInterval": "10m"},
        )
        await create_model(admin, namespace)
        await mlflow_gateway.waiting.wait()
        for kind, name in ((PROJECTS, "ranking"), (MODELS, "m")):
            await change(admin, kind, namespace, name, suspend=kind is PROJECTS)
            await request_reconcile(admin, kind, namespace, name, "changed")
        mlflow_gateway.opened.set()

        for kind, name in ((PROJECTS, "ranking"), (MODELS, "m")):
            found = await until(
                admin, kind, namespace, name, lambda b: handled("changed")(b) and observed(b)
            )
            assert (
                condition(found, "Ready")["observedGeneration"] == found["metadata"]["generation"]
            )
        assert operator.errors() == []
