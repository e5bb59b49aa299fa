"""Reads the state of a job from its Job, pods, Events and report."""

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
    unreachable_node,
    waiting_cause,
)
from feature_lineage.kube.jobs.job_manifest import is_outdated
from feature_lineage.kube.jobs.newer_guard import read_question
from feature_lineage.kube.jobs.owned_objects import NotOwned
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.jobs.rbac import apply_access
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
    pod = newest_pod(await pods_of(api, project.metadata.namespace, job["metadata"]["name"]))
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
        return cause_in_events(await _events(api, namespace, "Job", name))
    if is_starting(pod):
        events = await _events(api, namespace, "Pod", pod["metadata"]["name"])
        return cause_in_events(events)
    return waiting_cause(pod)


async def _end_cause(api: Api, job: Object) -> Cause:
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    pod = newest_pod(await pods_of(api, namespace, name))
    in_events = None
    if pod is None:  # deleted at the deadline, or never created
        events = [
            event
            for event in await _events(api, namespace, "Pod")
            if str((event.get("regarding") or {}).get("name")).startswith(f"{name}-")
        ]
        in_events = cause_in_events(events) or cause_in_events(
            [
                event
                for event in await _events(api, namespace, "Job", name)
                if event.get("reason") == "FailedCreate"
            ]
        )
    return end_cause(job, pod, in_events)


async def pods_of(api: Api, namespace: str, name: str) -> list[Object]:
    """The pods of the job `name`, also those of a deleted Job with this name."""
    labels = f"{OPERATION_LABEL}={name}"
    return [pod async for pod in api.list(PODS, namespace, labels=labels)]


async def _events(api: Api, namespace: str, kind: str, name: str = "") -> list[Object]:
    fields = f"regarding.kind={kind},type=Warning" + (f",regarding.name={name}" if name else "")
    return [event async for event in api.list(EVENTS, namespace, fields=fields)]


def is_suspended(job: Object) -> bool:
    """Whether a Job has not been resumed yet."""
    return bool(job["spec"].get("suspend"))
