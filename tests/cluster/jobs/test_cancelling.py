"""A job that cannot start is cancelled if its pod would now be created differently."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.cluster.jobs.scene import Project
from tests.cluster.jobs.test_causes import facts_with_a_reason, set_pod_status, started

from feature_lineage.decide.facts import JobFacts
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.kinds import PODS, PROJECTS

NewProject = Callable[..., Any]
NO_NODE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu.",
}


async def waiting(jobs: KubeJobs, admin: Api, mine: Project) -> JobFacts:
    pod = await started(jobs, admin, mine)
    await set_pod_status(admin, pod, conditions=[NO_NODE])
    return await facts_with_a_reason(jobs, mine)


async def test_a_waiting_job_with_another_manifest_is_outdated(
    admin: Api, jobs: KubeJobs, operator: Api, project: NewProject
) -> None:
    mine: Project = await project()
    name = mine.request().operation_id
    facts = await waiting(jobs, admin, mine)
    assert (facts.begun, facts.outdated) == (False, False)

    another = KubeJobs(operator, RunnerDefaults(image="runner.example/runner:2"))
    facts_there = await another.state(name, mine.resource)
    assert facts_there is not None
    assert facts_there.outdated

    spec = {"runtime": {"tolerations": [{"operator": "Exists"}]}}
    body = await admin.patch(PROJECTS, mine.namespace, mine.resource.metadata.name, {"spec": spec})
    body["metadata"].pop("managedFields", None)
    changed = await jobs.state(name, type(mine.resource).model_validate(body))
    assert changed is not None
    assert changed.outdated


async def test_a_cancelled_job_ends_without_a_pod_and_gives_its_cause(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    mine: Project = await project()
    name = mine.request().operation_id
    facts = await waiting(jobs, admin, mine)
    await jobs.cancel(name, mine.resource, f"{facts.reason}: {facts.message}")

    async with asyncio.timeout(60):
        while (found := await jobs.state(name, mine.resource)) is None or found.running:
            await asyncio.sleep(0.2)
    assert (found.reason, found.begun, found.report) == ("Unschedulable", False, None)
    assert found.message.startswith("0/1 nodes are available: 1 Insufficient cpu.; cancelled")
    assert [pod async for pod in admin.list(PODS, mine.namespace)] == []


async def test_a_job_that_runs_has_begun(admin: Api, jobs: KubeJobs, project: NewProject) -> None:
    mine: Project = await project()
    pod = await started(jobs, admin, mine)
    facts = await jobs.state(mine.request().operation_id, mine.resource)
    assert facts is not None
    assert not facts.begun

    await set_pod_status(admin, pod, phase="Running")
    facts = await jobs.state(mine.request().operation_id, mine.resource)
    assert facts == JobFacts(running=True)
