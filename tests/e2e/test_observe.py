"""A team that keeps `feast apply` in its CI: the operator watches, links, verifies and measures."""

from datetime import UTC, datetime

import pytest
from tests.cluster.host.polling import says
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import E2eEnvironment
from tests.e2e.project_fixture import REFS, WITHOUT_TRIPS, both
from tests.e2e.prometheus_queries import until_prometheus_says
from tests.e2e.tenant import VIEW

from feature_lineage.kube.kinds import JOBS


@pytest.mark.slow
async def test_beside_a_plain_feast_apply(
    create_tenant: CreateTenant, environment: E2eEnvironment
) -> None:
    tenant = create_tenant("watched")
    tenant.commit()
    tenant.run_feast("apply", f"materialize-incremental {datetime.now(UTC):%Y-%m-%dT%H:%M:%S}")
    tenant.train()

    await tenant.create_project(
        apply={"mode": "Observe"},
        source=None,
        registry={"pollInterval": "1m"},
        freshness={"maxAge": "2d"},
    )
    await tenant.create_model()

    # A job that only reads detects what CI applied.
    project = await tenant.until(both(says("Ready", "True"), says("Fresh", "True")))
    assert project["status"]["counts"]["featureViews"] == 1
    (view,) = project["status"]["featureViews"]
    assert (view["name"], view["by"]) == (VIEW, "External")
    (job,) = await tenant.made(JOBS)
    assert job.startswith("observe-")
    model = await tenant.until_model(says("Ready", "True"))
    assert model["status"]["lineage"]["features"] == list(REFS)
    assert model["status"]["lineage"]["verdict"] in ("Verified", "Unchanged")
    labels = f'namespace="{tenant.namespace}",feature_view="{VIEW}"'
    await until_prometheus_says(
        environment, f"feast_feature_freshness_seconds{{{labels}}}", lambda age: 0 < age < 2 * 86400
    )

    # CI applies a change that breaks the champion: the operator could not block it, but reports it.
    tenant.commit(WITHOUT_TRIPS)
    tenant.run_feast("apply")
    await tenant.request_reconcile()
    model = await tenant.until_model(says("LineageVerified", "False", "Broken"))
    problems = model["status"]["lineage"]["problems"]
    assert [each["feature"] for each in problems] == [REFS[1]]
