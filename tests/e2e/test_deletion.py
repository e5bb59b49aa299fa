"""A deletion keeps the Feast objects, or deletes them if no promoted model uses them."""

import asyncio

from tests.cluster.host.polling import condition, gone, says
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import E2eEnvironment
from tests.e2e.phases import STUCK, words
from tests.e2e.project_fixture import both, recorded

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import PROJECTS

OBJECTS = "SELECT project_id FROM feature_views"


async def test_retain_deletes_the_resource_at_once(
    create_tenant: CreateTenant, admin: Api, environment: E2eEnvironment
) -> None:
    tenant = create_tenant("kept")
    tenant.commit()
    await tenant.create_project()
    await tenant.until(recorded(1))

    async with asyncio.timeout(5):
        await admin.delete(PROJECTS, tenant.namespace, tenant.name)
        await tenant.until(gone)

    assert environment.rows(tenant.project, OBJECTS) == [(tenant.project,)]


async def test_delete_removes_objects_without_promoted_models(
    create_tenant: CreateTenant, admin: Api, environment: E2eEnvironment
) -> None:
    tenant = create_tenant("gone")
    tenant.commit()
    # Another project in the same registry, which another tool applied.
    tenant.run_feast("apply", project="neighbour")
    await tenant.create_project(deletionPolicy="Delete")
    await tenant.until(both(recorded(1), says("Ready", "True")))
    tenant.train()
    await tenant.create_model()
    await tenant.until_model(says("Ready", "True"))

    await admin.delete(PROJECTS, tenant.namespace, tenant.name)
    project = await tenant.until(says("Ready", "False", "DeletionBlocked"))
    assert words(project) == STUCK
    message = condition(project, "Ready")["message"]
    for part in (tenant.model, "featurelineage.io/allow-delete"):
        assert part in message
    assert set(environment.rows(tenant.project, OBJECTS)) == {("neighbour",), (tenant.project,)}
    event = await tenant.until_event("Blocked")
    assert event["type"] == "Warning"

    await tenant.annotate(allow_delete="the ranker is retired")
    await tenant.until(gone)

    assert environment.rows(tenant.project, OBJECTS) == [("neighbour",)]
    run = tenant.ops_runs()[-1]
    assert run["tags"]["featurelineage.io/operation"] == "delete"
    assert run["tags"]["featurelineage.io/override"] == "allow-delete: the ranker is retired"


async def test_a_deletion_that_is_stuck_says_why(
    create_tenant: CreateTenant, admin: Api, environment: E2eEnvironment
) -> None:
    tenant = create_tenant("stuck")
    tenant.commit()
    await tenant.create_project(deletionPolicy="Delete", runtime={"retries": 0})
    await tenant.until(recorded(1))
    environment.change_password(tenant.project, "a new password")

    await admin.delete(PROJECTS, tenant.namespace, tenant.name)
    project = await tenant.until(says("Ready", "False", "DeletionBlocked"))
    assert "password" in condition(project, "Ready")["message"]

    tenant.password = "a new password"
    tenant.apply(tenant.feature_store_secret())
    await tenant.request_reconcile()
    await tenant.until(gone)
    assert environment.rows(tenant.project, OBJECTS) == []
