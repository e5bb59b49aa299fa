"""Reads the state of a job from its Job, pods, Events and report."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import JobFacts
from feature_lineage.errors import InvalidReport, RequestRejected
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.failure_cause import (
    Cause,
    cancellation,
    cause_in_events,
    end_cause,
    end_condition,
    has_started,
    is_starting,
    newest_pod,
    telling_event,
    unreachable_node,
    waiting_cause,
)
from feature_lineage.kube.jobs.job_manifest import is_outdated
from feature_lineage.kube.jobs.newer_guard import read_question
from feature_lineage.kube.jobs.owned_objects import NotOwned
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.jobs.rbac import apply_access
from feature_lineage.kube.jobs.reduced import reduced_event, reduced_pod
from feature_lineage.kube.jobs.report import read_report, read_unfinished_report
from feature_lineage.kube.kinds import EVENTS, JOBS, OPERATION_LABEL, PODS
from feature_lineage.operations.unfinished import ended_early
from feature_lineage.reasons import Reason


async def read_state(
    api: Api, defaults: RunnerDefaults, operation_id: str, project: FeatureStoreProject
) -> JobFacts | None:
    """The state of a job; None if there is none, or if it is still suspended.

    Raises:
        Forbidden: the API server denies a request of the operator.
    """
    namespace = project.metadata.namespace
    job = await api.find(JOBS, namespace, operation_id)
    if job is None or is_suspended(job):
        return None
    if end_condition(job) is None:
        return await _running(api, defaults, job, project)
    try:
        report = await read_report(api, namespace, operation_id)
    except InvalidReport as error:
        return JobFacts(running=False, reason=error.reason, message=error.message)
    if report is not None:
        return JobFacts(running=False, report=report, cancelled=cancellation(job) is not None)
    unfinished = await read_unfinished_report(api, namespace, operation_id)
    stopped = cancellation(job)
    found = stopped or await _end_cause(api, job)
    if unfinished is not None:
        reason = Reason.INTERRUPTED if stopped is not None else found.reason
        report = ended_early(unfinished, reason, found.message, _ended_at(job), killed=found.killed)
        return JobFacts(running=False, report=report, cancelled=stopped is not None)
    if stopped is not None:
        return JobFacts(False, None, found.reason, found.message, begun=False, cancelled=True)
    return JobFacts(running=False, reason=found.reason, message=found.message)


def _ended_at(job: Object) -> datetime:
    """When the Job ended, as Kubernetes says."""
    text = (end_condition(job) or {}).get("lastTransitionTime")
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


async def _running(
    api: Api, defaults: RunnerDefaults, job: Object, project: FeatureStoreProject
) -> JobFacts:
    stopping, stuck = cancellation(job), await _restore_access(api, job, project)
    if stopping is not None:
        return JobFacts(True, None, stopping.reason, stopping.message, cancelled=True)
    if stuck is not None:
        return JobFacts(True, reason=stuck.reason, message=stuck.message)
    if (job.get("status") or {}).get("ready"):
        return JobFacts(running=True, guard_question=await read_question(api, job, project))
    pod = await _newest_pod(api, project.metadata.namespace, job["metadata"]["name"])
    if has_started(pod):
        lost = unreachable_node(pod) or Cause("", "")
        return JobFacts(True, reason=lost.reason, message=lost.message)
    stuck = await _waiting_cause(api, job, pod) or Cause("", "")
    outdated = is_outdated(job, project, defaults)
    return JobFacts(
        True, reason=stuck.reason, message=stuck.message, begun=False, outdated=outdated
    )


async def _restore_access(api: Api, job: Object, project: FeatureStoreProject) -> Cause | None:
    """Restore the permissions of a running job, without which it cannot write its report.

    Returns:
        Why the job has no access; None if it has.
    """
    try:
        await apply_access(api, project, job["metadata"]["name"])
    except RequestRejected as error:
        return Cause(Reason.JOB_FAILED, error.message)
    except NotOwned as error:
        return Cause(error.reason, error.message)
    return None


async def _waiting_cause(api: Api, job: Object, pod: Object | None) -> Cause | None:
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    if pod is None:
        return await _cause_in_events(api, namespace, "Job", name)
    if is_starting(pod):
        return await _cause_in_events(api, namespace, "Pod", pod["metadata"]["name"])
    return waiting_cause(pod)


async def _end_cause(api: Api, job: Object) -> Cause:
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    pod = await _newest_pod(api, namespace, name)
    in_events = None
    if pod is None:  # deleted at the deadline, or never created
        in_events = await _cause_in_events(
            api, namespace, "Pod", only=lambda event: _is_about(event, f"{name}-")
        ) or await _cause_in_events(
            api, namespace, "Job", name, only=lambda event: event.get("reason") == "FailedCreate"
        )
    return end_cause(job, pod, in_events)


def pods_of(api: Api, namespace: str, name: str) -> AsyncIterator[Object]:
    """The pods of the job `name`, also those of a deleted Job with this name.

    Do not collect them: a tenant may create many large ones with this label.
    """
    return api.list(PODS, namespace, labels=f"{OPERATION_LABEL}={name}")


async def _newest_pod(api: Api, namespace: str, name: str) -> Object | None:
    newest: Object | None = None
    async for pod in pods_of(api, namespace, name):
        newest = newest_pod((newest, reduced_pod(pod)))
    return newest


async def _cause_in_events(
    api: Api,
    namespace: str,
    kind: str,
    name: str = "",
    only: Callable[[Object], bool] = lambda _: True,
) -> Cause | None:
    """The cause in the Events of an object, or of all of a kind for which `only` holds."""
    fields = f"regarding.kind={kind},type=Warning" + (f",regarding.name={name}" if name else "")
    found: Object | None = None
    async for event in api.list(EVENTS, namespace, fields=fields):
        if only(event):
            found = telling_event((found, reduced_event(event)))
    return cause_in_events((found,))


def _is_about(event: Object, prefix: str) -> bool:
    return str((event.get("regarding") or {}).get("name")).startswith(prefix)


def is_suspended(job: Object) -> bool:
    """Whether a Job has not been resumed yet."""
    return bool(job["spec"].get("suspend"))
