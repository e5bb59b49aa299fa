"""A hostile tenant with the ClusterRole `edit` in one namespace, and two teams at work meanwhile.

Nothing that the tenant writes stops the operator, changes what the teams see, or delays a commit of
theirs; each attempt is named in a condition of the tenant's own resource, or refused.
"""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Awaitable, Iterator
from typing import Any, Final

import pytest
from tests.cluster.chart.helm import NAMESPACE, RELEASE
from tests.cluster.host.hostile import hostile_tenant
from tests.cluster.host.polling import says
from tests.cluster.host.process import peak_mib
from tests.cluster.kubectl import Kubectl
from tests.e2e.attacks import Attacks
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import POISONED_PORT, E2eEnvironment
from tests.e2e.node_files import ADDRESS
from tests.e2e.operator import InstalledOperator
from tests.e2e.project_fixture import both, recorded
from tests.e2e.refused_requests import refused_requests
from tests.e2e.tenant import Tenant
from tests.local.scene import FEATURES
from tests.servers.poisoned_mlflow import ELSEWHERE, poisoned_mlflow

from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.names import snapshot_name
from feature_lineage.kube.kinds import CONFIG_MAPS, LEASES
from feature_lineage.untrusted import inflate

PEAK_MIB: Final = 420
"""Of a leader; the chart's limit is 512 MiB."""
COMMIT_SECONDS: Final = 120.0
TRIPS_DESCRIBED: Final = FEATURES.replace(
    'Field(name="trips", dtype=Int64)', 'Field(name="trips", dtype=Int64, description="a day")'
)

_REPORT: Final = "Applied ReportTooLarge"
_PARSE: Final = "Applied RunnerIncompatible"
_FAILED: Final = "Applied JobFailed"
_MLFLOW: Final = "FactsCurrent MLflowViewOld"
_STORED: Final = "FactsCurrent RegistrySnapshotLost"
_GUARD: Final = "Applied GuardUnavailable"
NAMED_IN: Final[dict[str, str]] = {
    # Reports of its own jobs, written by hand: S1
    **dict.fromkeys(("half-a-million-views", "arrays", "objects", "warnings"), _REPORT),
    **dict.fromkeys(("nested", "a-gigabyte"), _REPORT),
    **dict.fromkeys(("views-that-are-none", "views-without-end", "a-long-name"), _PARSE),
    **dict.fromkeys(("no-gzip", "of-another-job", "many-pieces", "wrong-digest"), _FAILED),
    "a-manifest-of-arrays": _FAILED,
    # Answers of its own MLflow server, which the platform allows: S1
    **dict.fromkeys(("a-gigabyte-of-gzip", "four-million-models", "deep-json"), _MLFLOW),
    **dict.fromkeys(("empty-pages", "models-without-end", "a-token-of-10-mb"), _MLFLOW),
    **dict.fromkeys(("tags-of-20-kb", "tags-of-10-mb", "a-number-for-a-list"), _MLFLOW),
    **dict.fromkeys(("an-object-for-a-run", "a-year-of-a-million", "brotli"), _MLFLOW),
    **dict.fromkeys(("to-the-metadata", "to-another-path", "bytes-behind-gzip"), _MLFLOW),
    **dict.fromkeys(("less-than-its-length", "more-than-its-length"), _MLFLOW),
    **dict.fromkeys(("an-answer-without-end", "a-header-of-10-mb"), _MLFLOW),
    **dict.fromkeys(("an-answer-that-drips", *(f"drip-{n}" for n in range(16))), _MLFLOW),
    # The server and the models of others: S2
    **dict.fromkeys(("a-server", "its-models", "metadata", "itself"), _GUARD),
    "foreign-model": "Resolved RefNotPermitted",
    # The project of others: S3
    "elder": "SourceReady RefNotFound",
    "a-folder": "SourceReady LocalSourceUnsupported",
    # Snapshots and timelines, changed by hand, which the next leader reads: S1
    **dict.fromkeys(("snapshot-of-arrays", "snapshot-of-a-gigabyte", "nested-snapshot"), _STORED),
    **dict.fromkeys(("snapshot-with-many-objects", "no-gzip-in-a-snapshot"), _STORED),
    **dict.fromkeys(("half-a-snapshot", "bytes-behind-a-snapshot", "an-old-snapshot"), _STORED),
    **dict.fromkeys(("of-a-team", "a-deleted-snapshot"), _STORED),
    **dict.fromkeys(("timeline-of-arrays", "nested-timeline", "a-billion-pieces"), _STORED),
    **dict.fromkeys(("a-path-for-a-digest", "no-timeline", "an-old-timeline"), _STORED),
    # Reports that the leader leaves to the next one
    **dict.fromkeys(("report-that-ended-two", "report-left-behind"), _REPORT),
}
"""By attempt, and name of its resource: the condition of the author, and its reason. A flood of
reconciles and models, a report about a team's project, and requests that the API server refuses
have no condition."""


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
    stored = await snapshot_of(teams[0])
    leader, pods = operator.leader(), set(operator.pods())
    transitions = await changes_of_leader(admin)

    async with (
        hostile_tenant(environment.plane, admin, hostile_namespace) as hostile,
        poisoned_mlflow((ADDRESS, POISONED_PORT)) as poisoned,
    ):
        attacks = Attacks(hostile, teams[0])
        await all_of(commits(teams[1], TRIPS_DESCRIBED), *attacks.at_once(), *attacks.prepared())
        await refused_requests(hostile, teams[0])
        await unharmed(teams, before, hostile_namespace)
        assert operator.leader() == leader
        assert set(operator.pods()) == pods
        assert await changes_of_leader(admin) == transitions
        within_memory(leader.pid)

        await attacks.change_what_is_stored(stored)
        operator.kill(leader)
        successor = await asyncio.to_thread(operator.leader)
        await all_of(commits(teams[0], TRIPS_DESCRIBED), *attacks.under_the_next_leader())

    assert attacks.named_in == NAMED_IN
    assert not any(ELSEWHERE in each.line or "authorization" in each.headers
                   for each in poisoned.seen)  # fmt: skip
    await unharmed(teams, before, hostile_namespace)
    assert [len(team.ops_runs()) for team in teams] == [2, 2]
    assert operator.leader() == successor
    assert await changes_of_leader(admin) == transitions + 1
    within_memory(successor.pid)


async def all_of(*works: Awaitable[object]) -> None:
    """Do everything at the same time; an error names every attempt that nobody noticed."""
    results = await asyncio.gather(*works, return_exceptions=True)
    errors = [each for each in results if isinstance(each, Exception)]
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(results)}", errors)


async def commits(team: Tenant, features: str) -> None:
    """Push a commit, and wait until it is in effect."""
    began = time.monotonic()
    commit = await asyncio.to_thread(team.commit, features)
    await team.until(lambda body: revision(body) == commit, COMMIT_SECONDS)
    print(f"a commit during the attack took {time.monotonic() - began:.1f} s")


def within_memory(pid: int) -> None:
    print(f"the leader took at most {peak_mib(pid):.0f} MiB")
    assert peak_mib(pid) < PEAK_MIB


async def changes_of_leader(admin: Api) -> int:
    lease = await admin.get(LEASES, NAMESPACE, RELEASE)
    return int(lease["spec"]["leaseTransitions"])


async def unharmed(
    teams: list[Tenant],
    before: list[tuple[dict[str, Any], dict[str, Any]]],
    hostile_namespace: str,
) -> None:
    """The teams see what they saw, and nothing of the tenant."""
    for team, (project, model) in zip(teams, before, strict=True):
        await team.request_reconcile()
        found = await team.until(lambda body: says("Ready", "True")(body) and rested(body))
        assert found["status"]["registry"]["id"] == project["registry"]["id"]
        assert (await seen(team))[1] == model
        assert hostile_namespace not in json.dumps(found)


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


async def snapshot_of(team: Tenant) -> RegistrySnapshot:
    """What the operator has stored of a team's registry."""
    project = await team.until(lambda body: body is not None)
    digest = project["status"]["registry"]["digest"]
    name = snapshot_name(team.name, digest, 0)
    kept = await team.admin.get(CONFIG_MAPS, team.namespace, name)
    packed = base64.b64decode(kept["binaryData"]["snapshot.json.gz"])
    return RegistrySnapshot.from_json(inflate(packed, 1_000_000), digest)


def revision(body: Object | None) -> str:
    return str((body or {}).get("status", {}).get("applied", {}).get("revision", ""))


def rested(body: Object | None) -> bool:
    return "operation" not in (body or {}).get("status", {})
