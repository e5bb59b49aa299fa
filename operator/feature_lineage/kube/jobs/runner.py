"""Jobs in pods: one Kubernetes Job an attempt, named after its operation.

A Job is made suspended and begins once everything it needs is there, so that an operator killed
between any two requests finds, when it starts the same job again, what is missing, and adds it.

    Job (suspended) ─► its ConfigMaps: request, report ─► ServiceAccount, Role, RoleBinding ─► go

Nothing about a job is known from memory. Its ConfigMaps belong to it and go with it.
"""

from typing import Any, Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import JobFacts
from feature_lineage.errors import InvalidReport, NotFound, RequestRejected, TransientError
from feature_lineage.kube.client import Api, Conflict, Forbidden, Object
from feature_lineage.kube.jobs import rbac
from feature_lineage.kube.jobs.failure_cause import (
    Finding,
    condition_of,
    has_begun,
    is_starting,
    newest,
    taken_back,
    told_by,
    why_ended,
    why_silent,
    why_waiting,
)
from feature_lineage.kube.jobs.job_manifest import (
    is_outdated,
    job_manifest,
    owned_by_job,
    report_manifests,
    request_manifest,
)
from feature_lineage.kube.jobs.names import TAKEN_BACK
from feature_lineage.kube.jobs.owned_objects import NotOwn
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.jobs.report import read_report
from feature_lineage.kube.kinds import (
    CONFIG_MAPS,
    EVENTS,
    JOBS,
    MANAGED_BY,
    MANAGER,
    OPERATION_LABEL,
    PODS,
    PROJECT_LABEL,
)
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reasons import Reason

KEPT_SECONDS: Final = 3600
"""How long a Job stays once its operation is on record, for whoever wants to read its logs."""


class KubeJobs:
    """`JobRunner` of the cluster host.

    Args:
        api: the API server.
        defaults: what the platform says about jobs.
    """

    def __init__(self, api: Api, defaults: RunnerDefaults) -> None:
        self._api = api
        self._defaults = defaults

    async def start(self, request: JobRequest, project: FeatureStoreProject) -> None:
        """Start the job unless it runs already or ran.

        Raises:
            TerminalError: the project's runtime asks for what cannot be, or the request is too
                large.
            TransientError: what an earlier job of that name left behind is still going away.
        """
        namespace, name = project.metadata.namespace, request.operation_id
        job = await self._api.find(JOBS, namespace, name)
        if job is not None and not _suspended(job):
            return
        # Found out before anything is made: both may ask for what cannot be.
        wanted = job_manifest(project, request, self._defaults)
        request_manifest(project, request, [])
        if job is None:
            await self._make_sure_that_no_pod_is_left(namespace, name)
            job = await self._create(wanted)
        owner = owned_by_job(job)
        reports = report_manifests(project, name, owner)
        for config_map in (request_manifest(project, request, owner), *reports):
            await self._create_for(job, config_map)
        await rbac.ensure(self._api, project, name)
        await self._api.patch(JOBS, namespace, name, {"spec": {"suspend": False}})

    async def state(self, operation_id: str, project: FeatureStoreProject) -> JobFacts | None:
        try:
            return await self._state(operation_id, project)
        except Forbidden as error:  # it may well be running: no other is started
            return JobFacts(running=True, reason=error.reason, message=error.message)

    async def _state(self, operation_id: str, project: FeatureStoreProject) -> JobFacts | None:
        namespace = project.metadata.namespace
        job = await self._api.find(JOBS, namespace, operation_id)
        if job is None or _suspended(job):
            return None
        if condition_of(job) is None:
            return await self._running(job, project)
        try:
            report = await read_report(self._api, namespace, operation_id)
        except InvalidReport as error:
            return JobFacts(running=False, reason=error.reason, message=error.message)
        if report is not None:
            return JobFacts(running=False, report=report)
        if (found := taken_back(job)) is not None:
            return JobFacts(False, reason=found.reason, message=found.message, begun=False)
        found = await self._why_ended(job)
        return JobFacts(running=False, reason=found.reason, message=found.message)

    async def _running(self, job: Object, project: FeatureStoreProject) -> JobFacts:
        stuck = taken_back(job) or await self._no_access(job, project)
        if stuck is not None:
            return JobFacts(True, reason=stuck.reason, message=stuck.message)
        if (job.get("status") or {}).get("ready"):
            return JobFacts(running=True)
        pod = newest(await self._pods(project.metadata.namespace, job["metadata"]["name"]))
        if has_begun(pod):
            silent = why_silent(pod) or Finding("", "")
            return JobFacts(True, reason=silent.reason, message=silent.message)
        stuck = await self._why_waiting(job, pod) or Finding("", "")
        outdated = is_outdated(job, project, self._defaults)
        return JobFacts(
            True, reason=stuck.reason, message=stuck.message, begun=False, outdated=outdated
        )

    async def cancel(self, operation_id: str, project: FeatureStoreProject, why: str) -> None:
        """Its deadline comes at once: over it is only when its pods are gone, begun or not."""
        over = {"activeDeadlineSeconds": 1}
        body = {"metadata": {"annotations": {TAKEN_BACK: why}}, "spec": over}
        await self._api.patch(JOBS, project.metadata.namespace, operation_id, body)

    async def release(self, operation_id: str, project: FeatureStoreProject) -> None:
        await self.release_named(project.metadata.namespace, operation_id)

    async def release_named(self, namespace: str, name: str) -> None:
        """Have the Job deleted in a while; one that never began is ended without a pod."""
        kept = {"ttlSecondsAfterFinished": KEPT_SECONDS}
        try:
            job = await self._api.patch(JOBS, namespace, name, {"spec": kept})
            if _suspended(job):
                over = {"parallelism": 0, "activeDeadlineSeconds": 1, "suspend": False}
                await self._api.patch(JOBS, namespace, name, {"spec": over})
        except NotFound:
            return

    async def known(self, namespace: str = "") -> set[tuple[str, str, str]]:
        """Namespace, project and name of every Job that nobody has let go of yet.

        A host that wants to know which of them nobody needs asks this first and reads the
        statuses afterwards: a job that is started in between is then in none of its answers.
        """
        return {
            (
                job["metadata"]["namespace"],
                job["metadata"]["labels"].get(PROJECT_LABEL, ""),
                job["metadata"]["name"],
            )
            async for job in self._api.list(JOBS, namespace, labels=f"{MANAGED_BY}={MANAGER}")
            if job["spec"].get("ttlSecondsAfterFinished") is None
        }

    async def _make_sure_that_no_pod_is_left(self, namespace: str, name: str) -> None:
        """Somebody deleted the Job; its pod may live on for as long as it takes to end."""
        for pod in await self._pods(namespace, name):
            if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                raise TransientError(
                    f"pod {namespace}/{pod['metadata']['name']} of a deleted Job is still ending; "
                    "the job starts once it is gone"
                )

    async def _create(self, wanted: Object) -> Object:
        namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
        try:
            return await self._api.create(JOBS, namespace, wanted)
        except Conflict:
            return await self._api.get(JOBS, namespace, name)

    async def _create_for(self, job: Object, config_map: Object) -> None:
        namespace, name = config_map["metadata"]["namespace"], config_map["metadata"]["name"]
        try:
            await self._api.create(CONFIG_MAPS, namespace, config_map)
        except Conflict:
            found = await self._api.find(CONFIG_MAPS, namespace, name)
            owners = (found or {"metadata": {}})["metadata"].get("ownerReferences") or ()
            if job["metadata"]["uid"] not in {owner.get("uid") for owner in owners}:
                raise TransientError(
                    f"ConfigMap {namespace}/{name} belongs to a Job that is gone; the job starts "
                    "once it has been collected, or once you delete it"
                ) from None

    async def _no_access(self, job: Object, project: FeatureStoreProject) -> Finding | None:
        """Whoever takes a job's access away while it works would cost it its report."""
        try:
            await rbac.ensure(self._api, project, job["metadata"]["name"])
        except RequestRejected as error:
            return Finding(Reason.JOB_FAILED, error.message)
        except NotOwn as error:
            return Finding(error.reason, error.message)
        return None

    async def _why_waiting(self, job: Object, pod: Object | None) -> Finding | None:
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        if pod is None:
            return told_by(await self._events(namespace, "Job", name), "the job's pod")
        if is_starting(pod):
            events = await self._events(namespace, "Pod", pod["metadata"]["name"])
            return told_by(events, "the job's pod")
        return why_waiting(pod)

    async def _why_ended(self, job: Object) -> Finding:
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        pod = newest(await self._pods(namespace, name))
        told = None
        if pod is None:  # deleted with the deadline, or there never was one
            events = [
                event
                for event in await self._events(namespace, "Pod")
                if str((event.get("regarding") or {}).get("name")).startswith(f"{name}-")
            ]
            told = told_by(events, "the job's pod") or told_by(
                [
                    event
                    for event in await self._events(namespace, "Job", name)
                    if event.get("reason") == "FailedCreate"
                ],
                "the job's pod",
            )
        return why_ended(job, pod, told)

    async def _pods(self, namespace: str, name: str) -> list[Object]:
        labels = f"{OPERATION_LABEL}={name}"
        return [pod async for pod in self._api.list(PODS, namespace, labels=labels)]

    async def _events(self, namespace: str, kind: str, name: str = "") -> list[Object]:
        fields = f"regarding.kind={kind},type=Warning" + (f",regarding.name={name}" if name else "")
        return [event async for event in self._api.list(EVENTS, namespace, fields=fields)]


def _suspended(job: dict[str, Any]) -> bool:
    return bool(job["spec"].get("suspend"))
