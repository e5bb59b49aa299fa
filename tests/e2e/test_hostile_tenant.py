"""A hostile tenant with the ClusterRole `edit` in one namespace, and two teams at work meanwhile.

Nothing that the tenant writes stops the operator, changes what the teams see, or delays a commit of
theirs; each attempt is named in a condition of the tenant's own resource, or refused.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Iterator
from typing import Any, Final

import pytest
from tests.cluster.host.hostile import (
    HOSTILE_REPORTS,
    NOWHERE,
    HostileTenant,
    forged,
    hostile_tenant,
    report_text,
)
from tests.cluster.host.polling import condition, says, until
from tests.cluster.host.process import peak_mib
from tests.cluster.host.resources import IMAGE, Holds, create, create_project, has_condition
from tests.cluster.kubectl import Kubectl
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import E2eEnvironment
from tests.e2e.operator import InstalledOperator
from tests.e2e.project_fixture import both, recorded
from tests.e2e.tenant import Tenant
from tests.local.scene import FEATURES

from feature_lineage.errors import FeatureLineageError
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.api_errors import Forbidden
from feature_lineage.kube.kinds import (
    CONFIG_MAPS,
    LEASES,
    MODELS,
    PODS,
    PROJECTS,
    ROLE_BINDINGS,
    SECRETS,
)

GROWTH_MIB: Final = 160
COMMIT_SECONDS: Final = 120.0
FLOOD: Final = 100
"""Requests for a reconcile, and TrainedModels."""
TRIPS_DESCRIBED: Final = FEATURES.replace(
    'Field(name="trips", dtype=Int64)', 'Field(name="trips", dtype=Int64, description="a day")'
)


@pytest.fixture
def hostile_namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace to which the platform gives no MLflow server."""
    name = f"evil-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


async def works(tenant: Tenant) -> None:
    """A team with an applied project and a verified champion."""
    tenant.commit()
    await tenant.create_project()
    await tenant.until(both(recorded(1), says("Ready", "True")))
    tenant.train()
    await tenant.create_model()
    await tenant.until_model(both(says("Ready", "True"), says("Tagged", "True")))


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_hostile_tenant_stops_nobody(
    create_tenant: CreateTenant,
    environment: E2eEnvironment,
    operator: InstalledOperator,
    admin: Api,
    hostile_namespace: str,
) -> None:
    teams = [create_tenant("ranking"), create_tenant("fraud")]
    await asyncio.gather(*map(works, teams))
    before = [await seen(team) for team in teams]
    leader, pods = operator.leader(), set(operator.pods())
    peak = peak_mib(leader.pid)

    async with hostile_tenant(environment.plane, admin, hostile_namespace) as hostile:
        async with asyncio.TaskGroup() as attacks:
            attacks.create_task(forge_reports(hostile))
            attacks.create_task(forge_an_owner(hostile, teams[0]))
            for attempt in written_attempts(hostile, teams[0]):
                attacks.create_task(attempt)
            attacks.create_task(flood(hostile))
            began = time.monotonic()
            commit = await asyncio.to_thread(teams[1].commit, TRIPS_DESCRIBED)
            await teams[1].until(lambda body: revision(body) == commit, COMMIT_SECONDS)
            print(f"a commit during the attack took {time.monotonic() - began:.1f} s")
        await refused_requests(hostile, teams[0])

    for team, (project, model) in zip(teams, before, strict=True):
        await team.request_reconcile()
        found = await team.until(lambda body: says("Ready", "True")(body) and rested(body))
        assert found["status"]["registry"]["id"] == project["registry"]["id"]
        assert (await seen(team))[1] == model
        assert hostile_namespace not in json.dumps(found)
    assert teams[0].ops_runs()[0]["tags"]["featurelineage.io/operation-id"]
    assert [len(team.ops_runs()) for team in teams] == [1, 2]

    assert operator.leader() == leader
    assert set(operator.pods()) == pods
    assert peak_mib(leader.pid) - peak < GROWTH_MIB


async def seen(team: Tenant) -> tuple[dict[str, Any], dict[str, Any]]:
    """The status of a team's project, and verdict, tags and aliases of its model."""
    project = await team.until(lambda body: body is not None)
    model = await team.until_model(lambda body: body is not None)
    status = model["status"]
    return project["status"], {
        "verdict": status["lineage"]["verdict"],
        "resolved": status["resolved"],
        "tags": {k: v for k, v in team.tags().items() if k != "featurelineage.io/checked-at"},
    }


def revision(body: Object | None) -> str:
    return str((body or {}).get("status", {}).get("applied", {}).get("revision", ""))


def rested(body: Object | None) -> bool:
    return "operation" not in (body or {}).get("status", {})


# The attempts


async def forge_reports(hostile: HostileTenant) -> None:
    places = asyncio.Semaphore(4)

    async def forge(name: str) -> None:
        report, (reason, words) = HOSTILE_REPORTS[name]
        async with places:
            await hostile.forge(name, report)
            await named(hostile, name, has_condition("Applied", reason, words))

    await asyncio.gather(*map(forge, HOSTILE_REPORTS))


async def forge_an_owner(hostile: HostileTenant, team: Tenant) -> None:
    """A report says that the tenant has applied the team's project to the team's registry."""
    registry = (await seen(team))[0]["registry"]["id"]
    name = "of-another-team"
    report = forged(
        lambda job: report_text(
            job, project=team.project, registry_id=registry, verified=True
        ).encode()
    )
    await hostile.forge(name, report, project=team.project)
    await until(
        hostile.admin,
        PROJECTS,
        hostile.namespace,
        name,
        lambda body: (body or {}).get("status", {}).get("registry", {}).get("id") == registry,
        COMMIT_SECONDS,
    )


def written_attempts(hostile: HostileTenant, team: Tenant) -> Iterator[Awaitable[None]]:
    """Specs that reach for what belongs to others."""
    prod = {"serverRef": "prod"}
    metadata = {"trackingUri": "http://169.254.169.254"}
    no_server = has_condition("Applied", "GuardUnavailable", "'prod' names no server")
    not_listed = has_condition("Applied", "GuardUnavailable", "allowedTrackingUris")
    for name, spec, expected in (
        ("a-server", {"mlflow": prod}, no_server),
        ("its-models", {"mlflow": prod, "project": team.project}, no_server),
        ("metadata", {"mlflow": metadata}, not_listed),
        ("itself", {"mlflow": {"trackingUri": "http://127.0.0.1:8080"}}, not_listed),
        (
            "elder",
            {"project": team.project, "source": {"configMapRef": {"name": "nowhere"}}},
            has_condition("SourceReady", "RefNotFound"),
        ),
        (
            "a-folder",
            {"source": {"local": {"path": "/var/run/secrets"}}},
            has_condition("SourceReady", "LocalSourceUnsupported"),
        ),
    ):
        yield _written(hostile, name, spec, expected)
    yield _foreign_model(hostile, team)
    yield _escapes(hostile)


async def _written(
    hostile: HostileTenant, name: str, spec: dict[str, Any], expected: Holds
) -> None:
    whole = {"runtime": NOWHERE, "source": IMAGE, **spec}
    await create_project(hostile.api, hostile.namespace, name, **whole)
    await named(hostile, name, expected)


async def _foreign_model(hostile: HostileTenant, team: Tenant) -> None:
    reference = {"name": team.name, "namespace": team.namespace}
    spec = {"projectRef": reference, "model": {"name": team.model, "alias": "champion"}}
    await create(hostile.api, MODELS, hostile.namespace, "foreign", spec)
    expected = has_condition("Resolved", "RefNotPermitted")
    found = await until(hostile.admin, MODELS, hostile.namespace, "foreign", expected, 120)
    assert "lineage" not in found["status"]


async def _escapes(hostile: HostileTenant) -> None:
    """A name that would change the terminal of whoever reads it."""
    name = "\x1b]0;owned\x07\nReady True"
    spec = {"projectRef": {"name": "elder"}, "model": {"name": name, "alias": "champion"}}
    try:
        await create(hostile.api, MODELS, hostile.namespace, "escapes", spec)
    except FeatureLineageError:
        return  # the schema refuses the name
    found = await until(
        hostile.admin, MODELS, hostile.namespace, "escapes", says("Ready", "False"), 120
    )
    messages = "".join(each["message"] for each in found["status"]["conditions"])
    assert "\x1b" not in messages
    assert "\n" not in messages


async def named(hostile: HostileTenant, name: str, expected: Holds) -> None:
    """Wait until the tenant's own project names the attempt."""
    found = await until(hostile.admin, PROJECTS, hostile.namespace, name, expected, 180)
    assert condition(found, "Ready")["status"] == "False"


async def flood(hostile: HostileTenant) -> None:
    """Ask for reconciles, and create models, as fast as the API server takes them."""
    await create_project(hostile.api, hostile.namespace, "flood", runtime=NOWHERE)
    for number in range(FLOOD):
        metadata = {"annotations": {"featurelineage.io/reconcile-requested-at": str(number)}}
        await hostile.api.patch(PROJECTS, hostile.namespace, "flood", {"metadata": metadata})
        spec = {"projectRef": {"name": "flood"}, "model": {"name": f"m{number}", "alias": "a"}}
        await create(hostile.api, MODELS, hostile.namespace, f"m{number}", spec)


async def refused_requests(hostile: HostileTenant, team: Tenant) -> None:
    """Requests to the API server that the chart's roles must not permit."""
    api, home, operator = hostile.api, team.namespace, "feature-lineage"
    status = {"status": {"registry": {"id": "mine"}}}
    bound = {
        "apiVersion": ROLE_BINDINGS.api_version,
        "kind": ROLE_BINDINGS.kind,
        "metadata": {"name": "more"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "hostile", "namespace": hostile.namespace}],
    }
    for request in (
        api.patch(PROJECTS, hostile.namespace, "flood", status, subresource="status"),
        api.patch(MODELS, hostile.namespace, "m1", status, subresource="status"),
        api.patch(PROJECTS, home, team.name, {"spec": {"suspend": True}}),
        api.get(PROJECTS, home, team.name),
        api.get(CONFIG_MAPS, home, f"feature-lineage-registry-{team.name}"),
        api.get(SECRETS, operator, "mlflow-prod"),
        api.get(PODS, operator, "any"),
        api.patch(LEASES, operator, "feature-lineage-operator", {"spec": {}}),
        api.create(ROLE_BINDINGS, hostile.namespace, bound),
    ):
        with pytest.raises(Forbidden):
            await request
