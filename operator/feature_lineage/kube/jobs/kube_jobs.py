"""Jobs in pods: one Kubernetes Job for each attempt, with the id of the operation as its name.

A Job is created suspended, and resumed when everything it needs exists. An operator that is killed
between two requests therefore adds what is missing when it starts the same job again.

    Job (suspended) ─► ConfigMaps: request, report ─► ServiceAccount, Role, RoleBinding ─► resume

No state of a job is kept in memory. The Job owns its ConfigMaps, which are deleted with it.
"""

from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import JobFacts
from feature_lineage.errors import NotFound, TransientError
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.api_errors import Conflict, Forbidden
from feature_lineage.kube.jobs.job_manifest import (
    job_manifest,
    owned_by_job,
    report_manifests,
    request_manifest,
)
from feature_lineage.kube.jobs.job_state import is_suspended, pods_of, read_state
from feature_lineage.kube.jobs.names import CANCELLED
from feature_lineage.kube.jobs.newer_guard import write_answer
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.jobs.rbac import apply_access
from feature_lineage.kube.kinds import (
    CONFIG_MAPS,
    JOBS,
    MANAGED_BY,
    MANAGER,
    PROJECT_LABEL,
)
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.protocol import JobRequest

KEPT_SECONDS: Final = 3600
"""How long a released Job is kept, so that its logs can be read."""


class KubeJobs:
    """`JobRunner` of the cluster host.

    Args:
        api: the API server.
        defaults: the platform's defaults for jobs.
    """

    def __init__(self, api: Api, defaults: RunnerDefaults) -> None:
        self._api = api
        self._defaults = defaults

    async def start(self, request: JobRequest, project: FeatureStoreProject) -> None:
        """Start the job, unless it runs or has ended.

        Raises:
            TerminalError: the project's source or runtime is not possible in a pod, or the request
                is too large.
            NotOwned: an object with a name that the job needs does not belong to the project.
            TransientError: objects of a deleted Job with this name still exist.
        """
        namespace, name = project.metadata.namespace, request.operation_id
        job = await self._api.find(JOBS, namespace, name)
        if job is not None and not is_suspended(job):
            return
        # Both raise TerminalError, so they come before the first object is created.
        wanted = job_manifest(project, request, self._defaults)
        request_manifest(project, request, [])
        if job is None:
            await self._require_no_pod(namespace, name)
            job = await self._create(wanted)
        owner = owned_by_job(job)
        reports = report_manifests(project, name, owner)
        for config_map in (request_manifest(project, request, owner), *reports):
            await self._create_for(job, config_map)
        await apply_access(self._api, project, name)
        await self._api.patch(JOBS, namespace, name, {"spec": {"suspend": False}})

    async def state(self, operation_id: str, project: FeatureStoreProject) -> JobFacts | None:
        """As `read_state`; a job whose state the operator may not read counts as running."""
        try:
            return await read_state(self._api, self._defaults, operation_id, project)
        except Forbidden as error:  # the job may be running, so another one must not start
            return JobFacts(running=True, reason=error.reason, message=error.message)

    async def cancel(self, operation_id: str, project: FeatureStoreProject, why: str) -> None:
        """Set the deadline of the Job to now: the Job ends when its pods are gone."""
        body = {
            "metadata": {"annotations": {CANCELLED: why}},
            "spec": {"activeDeadlineSeconds": 1},
        }
        await self._api.patch(JOBS, project.metadata.namespace, operation_id, body)

    async def answer(
        self, operation_id: str, project: FeatureStoreProject, answer: GuardAnswer
    ) -> None:
        """Write the answer into the first ConfigMap of the report, which the job can read."""
        await write_answer(self._api, project.metadata.namespace, operation_id, answer)

    async def release(self, operation_id: str, project: FeatureStoreProject) -> None:
        """Have the Job deleted after `KEPT_SECONDS`."""
        await self.release_named(project.metadata.namespace, operation_id)

    async def release_named(self, namespace: str, name: str) -> None:
        """Have a Job deleted after `KEPT_SECONDS`; a suspended Job ends without a pod first."""
        kept = {"ttlSecondsAfterFinished": KEPT_SECONDS}
        try:
            job = await self._api.patch(JOBS, namespace, name, {"spec": kept})
            if is_suspended(job):
                ended = {"parallelism": 0, "activeDeadlineSeconds": 1, "suspend": False}
                await self._api.patch(JOBS, namespace, name, {"spec": ended})
        except NotFound:
            return

    async def unreleased(self, namespace: str = "") -> set[tuple[str, str, str]]:
        """Namespace, project and name of every Job that is not released.

        To find Jobs that no status needs, call this before reading the statuses: a Job that is
        started in between is then not in the result.
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

    async def _require_no_pod(self, namespace: str, name: str) -> None:
        """Refuse to start while a pod of a deleted Job with this name still runs.

        Raises:
            TransientError: there is such a pod.
        """
        async for pod in pods_of(self._api, namespace, name):
            if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                raise TransientError(
                    f"pod {namespace}/{pod['metadata']['name']} of a deleted Job is still ending; "
                    "the job starts when it is gone"
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
                    f"ConfigMap {namespace}/{name} belongs to a deleted Job; the job starts when "
                    "the garbage collector or you have deleted the ConfigMap"
                ) from None
