"""The cause for which a job does not start or has no report: the text of Kubernetes."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.cluster.jobs.scene import Project
from tests.cluster.kubectl import Kubectl

from feature_lineage.decide.facts import JobFacts
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.kinds import JOBS, PODS

NewProject = Callable[..., Any]


async def pod_of(admin: Api, namespace: str) -> Object:
    async with asyncio.timeout(30):
        while not (found := [pod async for pod in admin.list(PODS, namespace)]):
            await asyncio.sleep(0.1)
    return found[0]


async def set_pod_status(admin: Api, pod: Object, **status: Any) -> None:
    """Write the status or Event of a pod that a scheduler or kubelet would write."""
    metadata = pod["metadata"]
    await admin.patch(
        PODS, metadata["namespace"], metadata["name"], {"status": status}, subresource="status"
    )


def container(**state: Any) -> list[Object]:
    return [
        {
            "name": "runner",
            "image": "i",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": state,
        }
    ]


async def facts_with_a_reason(jobs: KubeJobs, mine: Project) -> JobFacts:
    async with asyncio.timeout(60):
        while True:
            facts = await jobs.state(mine.request().operation_id, mine.resource)
            assert facts is not None
            if facts.reason:
                return facts
            await asyncio.sleep(0.2)


async def started(jobs: KubeJobs, admin: Api, mine: Project, **fields: Any) -> Object:
    await jobs.start(mine.request(**fields), mine.resource)
    return await pod_of(admin, mine.namespace)


async def test_an_image_that_cannot_be_pulled(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    mine: Project = await project()
    pod = await started(jobs, admin, mine)
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x": not found'}
    await set_pod_status(admin, pod, containerStatuses=container(waiting=waiting))

    facts = await facts_with_a_reason(jobs, mine)
    assert (facts.running, facts.reason) == (True, "ImagePullFailed")
    assert "runner.example/runner:1" in facts.message
    assert "not found" in facts.message


async def test_no_node_fits(admin: Api, jobs: KubeJobs, project: NewProject) -> None:
    mine: Project = await project()
    pod = await started(jobs, admin, mine)
    said = "0/1 nodes are available: 1 Insufficient memory."
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": said,
    }
    await set_pod_status(admin, pod, conditions=[condition])

    facts = await facts_with_a_reason(jobs, mine)
    assert (facts.running, facts.reason, facts.message) == (True, "Unschedulable", said)


async def test_a_missing_volume_is_found_in_an_event(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl
) -> None:
    mine: Project = await project()
    pod = await started(jobs, admin, mine)
    await warn(kubectl, pod, "FailedMount", 'MountVolume.SetUp failed: secret "nope" not found')

    facts = await facts_with_a_reason(jobs, mine)
    assert (facts.running, facts.reason) == (True, "JobFailed")
    assert 'secret "nope" not found' in facts.message


async def test_a_missing_service_account_is_found_in_an_event(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    mine: Project = await project(runtime={"serviceAccountName": "missing"})
    await jobs.start(mine.request(), mine.resource)

    facts = await facts_with_a_reason(jobs, mine)
    assert facts.running
    assert 'serviceaccount "missing" not found' in facts.message


async def test_a_pod_refused_by_pod_security_is_found_in_an_event(
    jobs: KubeJobs, project: NewProject, kubectl: Kubectl
) -> None:
    """The standard as of Kubernetes 1.30 does not have this type yet."""
    options = {"seLinuxOptions": {"type": "container_engine_t"}}
    mine: Project = await project(runtime={"securityContext": options})
    older = "pod-security.kubernetes.io/enforce-version=v1.30"
    await asyncio.to_thread(kubectl, "label", "namespace", mine.namespace, older)
    await jobs.start(mine.request(), mine.resource)

    facts = await facts_with_a_reason(jobs, mine)
    assert facts.running
    assert "violates PodSecurity" in facts.message
    assert "seLinuxOptions" in facts.message


async def ended(
    jobs: KubeJobs, admin: Api, mine: Project, terminated: Object, **status: Any
) -> JobFacts:
    pod = await started(jobs, admin, mine)
    await set_pod_status(
        admin, pod, phase="Failed", containerStatuses=container(terminated=terminated), **status
    )
    async with asyncio.timeout(60):
        while True:
            facts = await jobs.state(mine.request().operation_id, mine.resource)
            assert facts is not None
            if not facts.running:
                return facts
            await asyncio.sleep(0.2)


async def test_a_job_that_runs_out_of_memory(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    facts = await ended(jobs, admin, await project(), {"exitCode": 137, "reason": "OOMKilled"})
    assert facts.reason == "JobFailed"
    assert "spec.runtime.resources.limits.memory" in facts.message


async def test_a_pod_that_was_evicted(admin: Api, jobs: KubeJobs, project: NewProject) -> None:
    said = "The node was low on resource: memory."
    facts = await ended(
        jobs, admin, await project(), {"exitCode": 137}, reason="Evicted", message=said
    )
    assert facts.message == f"the job's pod was ended: Evicted: {said}"


async def test_a_runner_that_crashed(admin: Api, jobs: KubeJobs, project: NewProject) -> None:
    words = {"exitCode": 1, "reason": "Error", "message": "No module named feature_lineage"}
    facts = await ended(jobs, admin, await project(), words)
    assert facts.message == (
        "the job's container ended with exit code 1: No module named feature_lineage"
    )


async def test_the_terminal_exit_code_fails_the_job_at_once(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    mine: Project = await project()
    facts = await ended(jobs, admin, mine, {"exitCode": 65, "reason": "Error", "message": "{}"})
    assert facts.reason == "JobFailed"
    job = await admin.get(JOBS, mine.namespace, mine.request().operation_id)
    failed = [c for c in job["status"]["conditions"] if c["type"] == "Failed"]
    assert failed[0]["reason"] == "PodFailurePolicy"


async def test_a_deadline_message_has_the_cause_of_the_wait(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl
) -> None:
    mine: Project = await project()
    pod = await started(jobs, admin, mine)
    await warn(kubectl, pod, "Failed", 'Failed to pull image "x": rpc error: not found')
    over = {"spec": {"activeDeadlineSeconds": 1}}
    await admin.patch(JOBS, mine.namespace, mine.request().operation_id, over)
    async with asyncio.timeout(60):
        while (facts := await jobs.state(mine.request().operation_id, mine.resource)) is None or (
            facts.running
        ):
            await asyncio.sleep(0.2)

    assert facts.reason == "DeadlineExceeded"
    assert "Failed to pull image" in facts.message


async def test_a_node_that_does_not_answer(admin: Api, jobs: KubeJobs, project: NewProject) -> None:
    mine: Project = await project()
    pod = await started(jobs, admin, mine)
    body = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "far"}}
    named = {**body, "metadata": {"name": pod["metadata"]["name"]}}
    path = PODS.path(mine.namespace, pod["metadata"]["name"], "binding")
    await admin._request("POST", path, body=named)
    (runs,) = container(running={})
    ready = {"type": "Ready", "status": "False"}
    await set_pod_status(
        admin,
        pod,
        phase="Running",
        conditions=[ready],
        containerStatuses=[{**runs, "ready": True}],
    )

    facts = await facts_with_a_reason(jobs, mine)
    assert (facts.running, facts.reason) == (True, "JobFailed")
    assert "node far does not answer" in facts.message


async def test_a_disrupted_pod_is_replaced(admin: Api, jobs: KubeJobs, project: NewProject) -> None:
    mine: Project = await project()
    pod = await started(jobs, admin, mine)
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    await set_pod_status(
        admin,
        pod,
        phase="Failed",
        conditions=[disrupted],
        containerStatuses=container(terminated={"exitCode": 137}),
    )
    async with asyncio.timeout(60):
        while len([each async for each in admin.list(PODS, mine.namespace)]) < 2:
            await asyncio.sleep(0.2)
    facts = await jobs.state(mine.request().operation_id, mine.resource)
    assert facts is not None
    assert facts.running


async def warn(kubectl: Kubectl, pod: Object, reason: str, note: str) -> None:
    """A Warning about a pod, through the core API, as kubelets write it."""
    import json

    metadata = pod["metadata"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.1", "namespace": metadata["namespace"]},
        "type": "Warning",
        "reason": reason,
        "message": note,
        "firstTimestamp": "2026-11-20T12:00:00Z",
        "lastTimestamp": "2026-11-20T12:00:00Z",
        "count": 1,
        "source": {"component": "kubelet"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }
    await asyncio.to_thread(kubectl, "create", "-f", "-", stdin=json.dumps(event))
