"""Causes that prevent the start of a job or end it, reported with the text of Kubernetes.

`tests/cluster/jobs` simulates such causes; here a kubelet, a scheduler and a kernel cause them.
"""

import asyncio
import os
import signal
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.cluster.host.polling import condition
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import E2eEnvironment
from tests.e2e.project_fixture import Holds, both, recorded, state
from tests.e2e.tenant import Tenant
from tests.local.scene import FEATURE_STORE, FEATURES

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.names import CANCELLED
from feature_lineage.kube.kinds import JOBS, PODS

TOLD_SECONDS = 20.0
"""Limit until a cause is reported, ten at once on a busy machine; 2 to 4 s were seen."""
MENDED_SECONDS = 60.0
"""Limit from a corrected project until its new job has ended, ten at once."""
SLEEPS = FEATURES + "\nimport time\n\ntime.sleep(600)\n"
MOUNTED = {"volumeMounts": [{"name": "nope", "mountPath": "/nope"}]}
VARIABLE = {"name": "NOPE", "valueFrom": {"secretKeyRef": {"name": "nope", "key": "k"}}}


@dataclass(frozen=True)
class Cause:
    """A cause for which the job of a project does not start.

    Attributes:
        name: name of the project.
        runtime: spec.runtime of the project.
        reason, words: expected reason and words in its conditions.
    """

    name: str
    runtime: dict[str, Any]
    reason: str
    words: tuple[str, ...]

    def is_reported(self, body: Object | None) -> bool:
        said = condition(body, "Applied")
        message = said.get("message", "")
        return said.get("reason") == self.reason and all(word in message for word in self.words)


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "nope", **source}], **MOUNTED}


GIANT = Cause(
    "giant", {"resources": {"requests": {"cpu": "1000"}}}, "Unschedulable", ("Insufficient cpu",)
)
IMAGE = Cause("image", {"image": "localhost/nope:1"}, "ImagePullFailed", ("localhost/nope:1",))
SECRET = Cause(
    "secret",
    volume(secret={"secretName": "nope"}),
    "JobFailed",
    ("FailedMount", 'secret "nope" not found'),
)
CAUSES = (
    GIANT,
    Cause("picky", {"nodeSelector": {"disk": "fast"}}, "Unschedulable", ("affinity/selector",)),
    IMAGE,
    Cause(
        "account",
        {"serviceAccountName": "nope"},
        "JobFailed",
        ("FailedCreate", 'serviceaccount "nope" not found'),
    ),
    SECRET,
    Cause(
        "config",
        volume(configMap={"name": "nope"}),
        "JobFailed",
        ("FailedMount", 'configmap "nope" not found'),
    ),
    Cause(
        "claim",
        volume(persistentVolumeClaim={"claimName": "nope"}),
        "Unschedulable",
        ('persistentvolumeclaim "nope" not found',),
    ),
    Cause(
        "variable",
        {"env": [VARIABLE]},
        "JobFailed",
        ('secret "nope" not found',),
    ),
    Cause(
        "priority",
        {"priorityClassName": "nope"},
        "JobFailed",
        ("FailedCreate", "no PriorityClass with name nope was found"),
    ),
)


async def waiting(tenant: Tenant, cause: Cause, **runtime: Any) -> tuple[Tenant, float]:
    """Create a project; return it when its conditions report the cause, and the time it took."""
    fixture, began = replace(tenant, name=cause.name), time.monotonic()
    await fixture.create_project(
        # A job that starts reports that the image has no such folder; so it need not import Feast.
        source={"image": {"path": "/nowhere"}},
        featureStoreYaml=None,
        mlflow=None,
        runtime={**cause.runtime, **runtime},
    )
    await fixture.until(cause.is_reported, TOLD_SECONDS)
    return fixture, time.monotonic() - began


@pytest.mark.timeout(600)
async def test_cause_of_a_waiting_job_is_shown_and_fixable(
    create_tenant: CreateTenant, admin: Api
) -> None:
    tenant = create_tenant("waiting")
    stuck = await asyncio.gather(*(waiting(tenant, cause) for cause in CAUSES))
    print({fixture.name: round(seconds, 1) for fixture, seconds in stuck})

    await asyncio.gather(*(fixture.change(runtime=None) for fixture, _ in stuck))
    for fixture, _ in stuck:
        await fixture.until(says_applied("RefNotFound", "/nowhere"), MENDED_SECONDS)
        first, second = await fixture.made(JOBS)
        assert (first.partition("-1-")[0], second.partition("-2-")[0]) == ("apply", "apply")
        job = await admin.get(JOBS, fixture.namespace, first)
        assert CANCELLED in job["metadata"]["annotations"]
        assert job["spec"]["ttlSecondsAfterFinished"] == 3600
        assert await pods_of(admin, fixture, first) == []


@pytest.mark.timeout(300)
async def test_a_job_that_waited_until_its_deadline_says_what_for(
    create_tenant: CreateTenant, admin: Api
) -> None:
    tenant = create_tenant("patient")
    causes = (GIANT, IMAGE, SECRET)
    stuck = await asyncio.gather(*(waiting(tenant, cause, retries=0) for cause in causes))
    for fixture, _ in stuck:
        (job,) = await fixture.made(JOBS)
        over = {"spec": {"activeDeadlineSeconds": 1}}
        await admin.patch(JOBS, fixture.namespace, job, over)

    for cause, (fixture, _) in zip(causes, stuck, strict=True):
        words = ("the job took longer than", *cause.words[-1:])
        project = await fixture.until(says_applied("DeadlineExceeded", *words), TOLD_SECONDS)
        assert state(project, "Stalled") == ("True", "DeadlineExceeded")


@dataclass(frozen=True)
class End:
    """A cause that ends the one attempt of a job.

    Attributes:
        name: name of the tenant.
        reason, words: expected reason and words in its conditions.
        runtime: spec.runtime of the project.
        features: code of the repo.
    """

    name: str
    reason: str
    words: tuple[str, ...]
    runtime: dict[str, Any] = field(default_factory=dict)
    features: str = FEATURES


def at_most(memory: str) -> dict[str, Any]:
    return {"resources": {"limits": {"memory": memory}}}


MEMORY = "spec.runtime.resources.limits.memory"
KILLED = End("killed", "JobFailed", ("ended with exit code 137",), features=SLEEPS)
ENDS = (
    # The kernel kills the worker, and its supervisor reports; cgroup v2 would kill both.
    End("greedy", "JobFailed", ("ran out of memory", MEMORY), at_most("160Mi")),
    End("cramped", "JobFailed", ("OOMKilled", MEMORY), at_most("24Mi")),
    End(
        "crashing",
        "InvalidRepo",
        ("exit code 3", "while importing the repo's code"),
        features=f"{FEATURES}\nimport os\n\nos._exit(3)\n",
    ),
    End(
        "slow",
        "DeadlineExceeded",
        ("its deadline of 20 s has passed",),
        {"timeout": "20s"},
        features=SLEEPS,
    ),
    KILLED,
)


async def ended(tenant: Tenant, end: End) -> None:
    project = await tenant.until(both(recorded(1), says_applied(end.reason, *end.words)))
    assert state(project, "Stalled") == ("True", end.reason)
    (operation,) = project["status"]["operations"]
    assert (operation["result"], operation["reason"]) == ("Failed", end.reason)


@pytest.mark.timeout(600)
async def test_the_cause_that_ended_a_job_is_reported(
    create_tenant: CreateTenant, admin: Api, environment: E2eEnvironment
) -> None:
    tenants = {end.name: create_tenant(end.name) for end in ENDS}
    for end in ENDS:
        tenants[end.name].commit(end.features)
        await tenants[end.name].create_project(runtime={**end.runtime, "retries": 0})
    killed = tenants[KILLED.name]
    pod = await killed.until_in_phase("import_feast")
    for pid in await asyncio.to_thread(environment.node.pids, pod, killed.namespace):
        os.kill(pid, signal.SIGKILL)

    for end in ENDS:
        await ended(tenants[end.name], end)
        assert len(await tenants[end.name].made(JOBS)) == 1


@pytest.mark.timeout(600)
async def test_stores_on_the_jobs_own_disk_are_refused(create_tenant: CreateTenant) -> None:
    tenant = create_tenant("forgetful")
    store = FEATURE_STORE.format(project=tenant.project)
    tenant.commit(**{"feature_repo/feature_store.yaml": store})
    await tenant.create_project(featureStoreYaml=None)

    project = await tenant.until(both(recorded(1), says_applied("EphemeralStore")))
    message = condition(project, "Applied")["message"]
    assert "registry /job/repo/feature_repo/data/registry.db" in message
    assert "spec.runtime.volumes" in message
    assert state(project, "Stalled") == ("True", "EphemeralStore")
    (operation,) = project["status"]["operations"]
    assert operation["attempt"] == 1


@pytest.mark.timeout(600)
async def test_a_pod_that_is_evicted_is_replaced_within_the_same_job(
    create_tenant: CreateTenant, admin: Api
) -> None:
    tenant = create_tenant("evicted")
    tenant.commit()
    await tenant.create_project()
    first = await tenant.until_in_phase("import_feast")
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": first, "namespace": tenant.namespace},
    }
    await admin._request("POST", PODS.path(tenant.namespace, first, "eviction"), body=eviction)

    project = await tenant.until(both(recorded(1), says_applied("Succeeded")))
    (operation,) = project["status"]["operations"]
    assert (operation["attempt"], operation["result"]) == (1, "Succeeded")
    (name,) = await tenant.made(JOBS)
    job = await admin.get(JOBS, tenant.namespace, name)
    assert job["status"]["succeeded"] == 1
    assert "failed" not in job["status"]
    assert first not in await pods_of(admin, tenant, name)


def says_applied(reason: str, *words: str) -> Holds:
    def holds(body: Object | None) -> bool:
        said = condition(body, "Applied")
        return said.get("reason") == reason and all(word in said["message"] for word in words)

    return holds


async def pods_of(admin: Api, tenant: Tenant, job: str) -> list[str]:
    labels = f"featurelineage.io/operation={job}"
    listed = [each async for each in admin.list(PODS, tenant.namespace, labels=labels)]
    return [each["metadata"]["name"] for each in listed]
