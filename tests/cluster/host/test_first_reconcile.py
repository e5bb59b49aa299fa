"""A new resource has a status immediately, written through the API server."""

from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import condition, gone, says, until

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import CONFIG_MAPS, MODELS, PROJECTS, Kind


def manifest(kind: Kind, name: str, spec: dict[str, object]) -> dict[str, object]:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name},
        "spec": spec,
    }


async def test_missing_source_is_reported_until_it_exists(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    operator = await start_operator()
    spec = {"project": "ranking", "source": {"configMapRef": {"name": "repo"}}}
    await admin.create(PROJECTS, namespace, manifest(PROJECTS, "ranking", spec))
    found = await until(
        admin, PROJECTS, namespace, "ranking", says("SourceReady", "False", "RefNotFound")
    )
    assert f"ConfigMap {namespace}/repo does not exist" in condition(found, "Ready")["message"]

    repo = {"metadata": {"name": "repo"}, "data": {"feature_store.yaml": "project: ranking\n"}}
    await admin.create(CONFIG_MAPS, namespace, repo)
    look = {"metadata": {"annotations": {"featurelineage.io/reconcile-requested-at": "now"}}}
    await admin.patch(PROJECTS, namespace, "ranking", look)
    await until(admin, PROJECTS, namespace, "ranking", says("SourceReady", "True"))
    assert operator.errors() == []


async def test_model_follows_a_project_created_later(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    await start_operator()
    spec = {"projectRef": {"name": "ranking"}, "model": {"name": "m", "alias": "champion"}}
    await admin.create(MODELS, namespace, manifest(MODELS, "m", spec))
    await until(admin, MODELS, namespace, "m", says("Resolved", "False", "ProjectNotFound"))

    source = {"configMapRef": {"name": "repo"}}
    project = manifest(PROJECTS, "ranking", {"project": "ranking", "source": source})
    await admin.create(PROJECTS, namespace, project)
    await until(admin, MODELS, namespace, "m", says("Resolved", "False", "ProjectNotReady"), 10)

    await admin.delete(PROJECTS, namespace, "ranking")
    await until(admin, PROJECTS, namespace, "ranking", gone)
    await until(admin, MODELS, namespace, "m", says("Resolved", "False", "ProjectNotFound"), 10)
