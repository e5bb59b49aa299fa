"""A job starts once, wherever the operator crashes during the start."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.cluster.jobs.scene import Project
from tests.cluster.kubectl import Kubectl

from feature_lineage.errors import TransientError
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.jobs.names import access_name
from feature_lineage.kube.jobs.owned_objects import NotOwned
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.kinds import CONFIG_MAPS, JOBS, PODS, ROLE_BINDINGS, ROLES, Kind
from feature_lineage.kube.kinds import SERVICE_ACCOUNTS as ACCOUNTS

REVIEWS = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview")
NewProject = Callable[..., Any]


class JobHostCrashed(BaseException):
    """Not an Exception, so that no code catches it."""


class CrashingClient:
    """An `Api` whose host crashes at its n-th writing request, before or after the effect."""

    def __init__(self, api: Api, at: int, *, after: bool) -> None:
        self._api, self._left, self._after = api, at, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._api, name)
        if name not in ("create", "apply", "patch"):
            return method

        async def call(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise JobHostCrashed
            result = await method(*arguments, **options)
            if self._left == 0:
                raise JobHostCrashed
            return result

        return call


async def pods_of(admin: Api, namespace: str, *, atleast: int = 1) -> list[Object]:
    async with asyncio.timeout(30):
        while True:
            found = [pod async for pod in admin.list(PODS, namespace)]
            if len(found) >= atleast:
                return found
            await asyncio.sleep(0.1)


async def test_a_job_starts_when_its_objects_exist(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    mine: Project = await project()
    request = mine.request()
    await jobs.start(request, mine.resource)

    (pod,) = await pods_of(admin, mine.namespace)
    job = await admin.get(JOBS, mine.namespace, request.operation_id)
    assert job["spec"]["suspend"] is False
    assert [owner["uid"] for owner in job["metadata"]["ownerReferences"]] == [
        mine.resource.metadata.uid
    ]
    assert pod["spec"]["serviceAccountName"] == "feature-lineage-runner-driver"
    names = [item["metadata"]["name"] async for item in admin.list(CONFIG_MAPS, mine.namespace)]
    assert sorted(set(names) - {"kube-root-ca.crt"}) == [
        f"{request.operation_id}-{part}" for part in ("report-0", "report-1", "report-2", "request")
    ]
    facts = await jobs.state(request.operation_id, mine.resource)
    assert facts is not None
    assert facts.running


async def test_a_job_started_twice_is_one_job(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    mine: Project = await project()
    request = mine.request()
    await asyncio.gather(jobs.start(request, mine.resource), jobs.start(request, mine.resource))
    before = await admin.get(JOBS, mine.namespace, request.operation_id)
    await jobs.start(request, mine.resource)

    after = await admin.get(JOBS, mine.namespace, request.operation_id)
    assert after["spec"] == before["spec"]
    assert len(await pods_of(admin, mine.namespace)) == 1


async def test_a_start_killed_at_any_request_is_completed(
    admin: Api, operator: Api, project: NewProject
) -> None:
    defaults = RunnerDefaults(image="runner.example/runner:1")
    deaths = 0
    for after in (False, True):
        for at in range(1, 20):
            mine: Project = await project(f"driver-{int(after)}-{at}")
            request = mine.request(f"apply-{at}-{int(after):016x}-1")
            crashing: Any = CrashingClient(operator, at, after=after)
            try:
                await KubeJobs(crashing, defaults).start(request, mine.resource)
            except JobHostCrashed:
                deaths += 1
            else:
                break
            jobs = KubeJobs(operator, defaults)
            seen = await jobs.state(request.operation_id, mine.resource)
            begun = seen is not None
            if not begun:
                await jobs.start(request, mine.resource)
            job = await admin.get(JOBS, mine.namespace, request.operation_id)
            assert job["spec"]["suspend"] is False
            for part in ("request", "report-0", "report-1", "report-2"):
                assert await admin.find(
                    CONFIG_MAPS, mine.namespace, f"{request.operation_id}-{part}"
                )
            role = await admin.get(ROLES, mine.namespace, access_name(mine.resource))
            assert role["rules"][0]["resourceNames"][0] == f"{request.operation_id}-report-0"
            assert begun == (after and at == 9), "only the last request lets it begin"
    assert deaths == 18, "job, four ConfigMaps, account, role, binding, go: each before and after"


async def test_objects_of_a_deleted_job_delay_the_start(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl
) -> None:
    mine: Project = await project()
    request = mine.request()
    await jobs.start(request, mine.resource)
    await pods_of(admin, mine.namespace)
    kubectl("delete", "job", request.operation_id, "-n", mine.namespace, "--cascade=orphan")

    with pytest.raises(TransientError, match="still ending"):
        await jobs.start(request, mine.resource)
    kubectl("delete", "pod", "--all", "-n", mine.namespace, "--grace-period=0", "--force")
    with pytest.raises(TransientError, match="belongs to a deleted Job"):
        await jobs.start(request, mine.resource)


async def test_the_next_job_reverts_changes_of_its_rbac(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    mine: Project = await project()
    name, namespace = "feature-lineage-runner-driver", mine.namespace
    await jobs.start(mine.request(), mine.resource)
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    await admin.patch(ROLES, namespace, name, {"rules": [everything]})
    other = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    await admin.patch(ROLE_BINDINGS, namespace, name, {"subjects": [other]})
    await admin.delete(ACCOUNTS, namespace, name)

    request = mine.request("apply-2-0123456789abcdef-1")
    await jobs.start(request, mine.resource)

    role = await admin.get(ROLES, namespace, name)
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [f"{request.operation_id}-report-{n}" for n in range(3)],
            "verbs": ["get", "patch"],
        }
    ]
    binding = await admin.get(ROLE_BINDINGS, namespace, name)
    assert [subject["name"] for subject in binding["subjects"]] == [name]
    assert await admin.find(ACCOUNTS, namespace, name)


async def test_a_service_account_of_the_project_is_bound(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl
) -> None:
    mine: Project = await project(runtime={"serviceAccountName": "own"})
    kubectl("create", "serviceaccount", "own", "-n", mine.namespace)
    await jobs.start(mine.request(), mine.resource)

    (pod,) = await pods_of(admin, mine.namespace)
    assert pod["spec"]["serviceAccountName"] == "own"
    assert await admin.find(ACCOUNTS, mine.namespace, "feature-lineage-runner-driver") is None
    binding = await admin.get(ROLE_BINDINGS, mine.namespace, "feature-lineage-runner-driver")
    assert [subject["name"] for subject in binding["subjects"]] == ["own"]


async def test_a_runner_may_write_its_own_report_only(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    mine: Project = await project()
    await jobs.start(mine.request(), mine.resource)

    async def may(verb: str, resource: str, name: str = "", group: str = "") -> bool:
        user = f"system:serviceaccount:{mine.namespace}:feature-lineage-runner-driver"
        what = {"verb": verb, "group": group, "resource": resource, "name": name}
        spec = {"user": user, "resourceAttributes": {**what, "namespace": mine.namespace}}
        return bool((await admin.create(REVIEWS, "", {"spec": spec}))["status"]["allowed"])

    job = mine.request().operation_id
    for number in range(3):
        assert await may("patch", "configmaps", f"{job}-report-{number}")
        assert await may("get", "configmaps", f"{job}-report-{number}")
    assert not await may("delete", "configmaps", f"{job}-report-0")
    assert not await may("patch", "configmaps", "apply-9-0123456789abcdef-1-report-0")
    assert not await may("get", "configmaps", f"{job}-request")
    for verb in ("get", "list", "watch"):
        assert not await may(verb, "secrets")
        assert not await may(verb, "pods")
    assert not await may("create", "pods")
    assert not await may("create", "jobs", group="batch")
    assert not await may("create", "serviceaccounts/token", "feature-lineage-runner-driver")
    assert not await may("patch", "featurestoreprojects", group="featurelineage.io")


async def test_a_released_job_is_kept_for_an_hour(
    admin: Api, jobs: KubeJobs, operator: Api, project: NewProject
) -> None:
    mine: Project = await project()
    running, never = mine.request(), mine.request("apply-2-0123456789abcdef-1")
    await jobs.start(running, mine.resource)
    crashing: Any = CrashingClient(operator, 2, after=False)
    with pytest.raises(JobHostCrashed):
        await KubeJobs(crashing, RunnerDefaults(image="x")).start(never, mine.resource)
    both = {(mine.namespace, "driver", each.operation_id) for each in (running, never)}
    assert await jobs.unreleased(mine.namespace) == both

    for request in (running, never):
        await jobs.release(request.operation_id, mine.resource)
        await jobs.release(request.operation_id, mine.resource)
    await jobs.release("apply-3-0123456789abcdef-1", mine.resource)

    assert await jobs.unreleased(mine.namespace) == set()
    job = await admin.get(JOBS, mine.namespace, running.operation_id)
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600
    async with asyncio.timeout(60):
        while (
            facts := await jobs.state(never.operation_id, mine.resource)
        ) is None or facts.running:
            await asyncio.sleep(0.2)
    labels = f"featurelineage.io/operation={never.operation_id}"
    assert [pod async for pod in admin.list(PODS, mine.namespace, labels=labels)] == []


@pytest.mark.parametrize("kind", [ACCOUNTS, ROLES, ROLE_BINDINGS], ids=lambda kind: kind.kind)
async def test_an_object_of_another_owner_is_not_changed(jobs, admin, project, kind):
    mine = await project()
    name = "feature-lineage-runner-driver"
    theirs = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}}
    if kind is ROLE_BINDINGS:
        theirs["roleRef"] = {"apiGroup": ROLES.group, "kind": "Role", "name": name}
    before = await admin.create(kind, mine.namespace, theirs)

    with pytest.raises(
        NotOwned, match=f"{kind.kind} .*/{name} does not belong to FeatureStoreProject driver"
    ):
        await jobs.start(mine.request(), mine.resource)

    after = await admin.get(kind, mine.namespace, name)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert await jobs.state(mine.request().operation_id, mine.resource) is None

    await admin.delete(kind, mine.namespace, name)
    await jobs.start(mine.request(), mine.resource)
    facts = await jobs.state(mine.request().operation_id, mine.resource)
    assert facts is not None
    assert facts.running


async def test_rbac_that_is_correct_is_not_written_again(jobs, admin, project):
    mine = await project()
    await jobs.start(mine.request(), mine.resource)
    role = await admin.get(ROLES, mine.namespace, "feature-lineage-runner-driver")

    for _ in range(3):
        await jobs.state(mine.request().operation_id, mine.resource)
    again = await admin.get(ROLES, mine.namespace, "feature-lineage-runner-driver")
    assert again["metadata"]["resourceVersion"] == role["metadata"]["resourceVersion"]
