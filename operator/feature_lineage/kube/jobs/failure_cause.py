"""Finds the cause for which a job does not start or ended without a report.

Kubernetes reports causes in several places: the conditions of the Job, the conditions of the pod,
the state of the container, and Events. Only Events have the cause when a pod was not created or a
volume could not be mounted.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from feature_lineage.kube.api_client import Object
from feature_lineage.kube.jobs.names import CANCELLED
from feature_lineage.operations.protocol import REFUSED_REQUEST
from feature_lineage.reasons import Reason
from feature_lineage.shorten import one_line

MAX_MESSAGE: Final = 1000
_IMAGE: Final = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing", ""})


@dataclass(frozen=True, slots=True)
class Cause:
    """A condition reason, and a sentence about the cause.

    Attributes:
        killed: the container ended by itself or for its memory, and nobody stopped it.
    """

    reason: str
    message: str
    killed: bool = False


def end_condition(job: Object) -> Mapping[str, str] | None:
    """The condition of a Job that has ended, ``Complete`` or ``Failed``; None while it has not."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            found: Mapping[str, str] = condition
            return found
    return None


def newest_pod(pods: Iterable[Object | None]) -> Object | None:
    """The newest pod of a job: Kubernetes replaces a disrupted pod."""
    found = (pod for pod in pods if pod is not None)
    return max(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), default=None)


def has_started(pod: Object | None) -> bool:
    """Whether a container of the job's newest pod runs or ran."""
    return pod is not None and (pod.get("status") or {}).get("phase", "Pending") != "Pending"


def unreachable_node(pod: Object | None) -> Cause | None:
    """The cause for a pod on a node that does not answer; None for other pods.

    The kubelet last reported ready containers, and the control plane has since set the pod to not
    ready.
    """
    status = (pod or {}).get("status") or {}
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or ()}
    containers = status.get("containerStatuses") or ()
    if pod is None or conditions.get("Ready") != "False" or not containers:
        return None
    if not all(container.get("ready") for container in containers):
        return None
    name, node = pod["metadata"].get("name"), pod["spec"].get("nodeName")
    return Cause(
        Reason.JOB_FAILED,
        f"node {node} does not answer, and pod {name} is on it: the job continues when the node "
        "answers again; if you delete the node, the job starts again on another node",
    )


def cancellation(job: Object) -> Cause | None:
    """The cause for which a job was cancelled; None for other jobs."""
    why = (job["metadata"].get("annotations") or {}).get(CANCELLED)
    if why is None:
        return None
    reason, _, message = why.partition(": ")
    if reason != Reason.INTERRUPTED:
        message += "; cancelled before it started: the project has changed since then"
    return Cause(reason, _line(message))


def waiting_cause(pod: Object) -> Cause | None:
    """Why a pod does not run, by its status; None if the status has no cause."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return Cause(Reason.UNSCHEDULABLE, _line(condition.get("message") or "no node fits"))
    reason, message = _waiting_state(status)
    if reason in _IMAGE:
        image = pod["spec"]["containers"][0].get("image", "")
        return Cause(Reason.IMAGE_PULL_FAILED, _line(f"image {image}: {reason}: {message}"))
    if reason not in _STARTING:
        return Cause(
            Reason.JOB_FAILED, _line(f"the job's container cannot start: {reason}: {message}")
        )
    return None


def is_starting(pod: Object) -> bool:
    """Whether a pod is pending and only its Events have the cause."""
    status = pod.get("status") or {}
    return status.get("phase") == "Pending" and waiting_cause(pod) is None


def telling_event(events: Iterable[Object | None]) -> Object | None:
    """The newest warning with details; None if there is no warning.

    Args:
        events: of a job that has no pod, or of its pod.
    """
    warnings = (event for event in events if event and event.get("type") == "Warning")
    return max(warnings, key=lambda each: (_has_details(each), _last_seen(each)), default=None)


def cause_in_events(events: Iterable[Object | None]) -> Cause | None:
    """The cause in the most telling Event; None if there is no warning."""
    event = telling_event(events)
    if event is None:
        return None
    reason, note = str(event.get("reason")), str(event.get("note") or "")
    if reason == "FailedScheduling":
        return Cause(Reason.UNSCHEDULABLE, _line(note))
    if reason in _IMAGE or (reason in ("Failed", "BackOff") and "image" in note.lower()):
        return Cause(Reason.IMAGE_PULL_FAILED, _line(note))
    return Cause(Reason.JOB_FAILED, _line(f"the job's pod cannot start: {reason}: {note}"))


def end_cause(job: Object, pod: Object | None, in_events: Cause | None) -> Cause:
    """Why a job ended without a report.

    Args:
        pod: its newest pod, if that still exists.
        in_events: the cause in the Events, for a job without a pod.
    """
    condition = end_condition(job) or {}
    reason, message = condition.get("reason") or "", condition.get("message") or ""
    if reason == "DeadlineExceeded":
        seconds = job["spec"].get("activeDeadlineSeconds")
        cause = in_events or (waiting_cause(pod) if pod else None)
        before = f"; before that: {cause.message}" if cause else ""
        return Cause(
            Reason.DEADLINE_EXCEEDED, _line(f"the job took longer than {seconds} s{before}")
        )
    if pod is not None and (refusal := _refused_request(pod)) is not None:
        return Cause(Reason.RUNNER_INCOMPATIBLE, _line(refusal))
    if pod is not None and (found := _pod_end(pod)) is not None:
        return Cause(Reason.JOB_FAILED, _line(found), killed=not _stopped(pod))
    if condition.get("type") == "Complete":
        return Cause(Reason.JOB_FAILED, "the job ended without a report; its ConfigMap is empty")
    if in_events is not None:
        return in_events
    return Cause(Reason.JOB_FAILED, _line(f"the job failed: {reason}: {message}; its pod is gone"))


def _pod_end(pod: Object) -> str | None:
    status = pod.get("status") or {}
    if status.get("reason"):  # Evicted, NodeLost, NodeShutdown, …
        return f"the job's pod was ended: {status['reason']}: {status.get('message') or ''}"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            why = f"{condition.get('reason')}: {condition.get('message') or ''}"
            return f"the job's pod was disrupted: {why}"
    ended = _state(status, "terminated")
    if ended is None:
        return None
    if ended.get("reason") == "OOMKilled":
        return (
            "the job's container was killed because it ran out of memory (OOMKilled); "
            "raise spec.runtime.resources.limits.memory"
        )
    code, text = ended.get("exitCode"), _termination_message(str(ended.get("message") or ""))
    if code == 0:
        return None
    return f"the job's container ended with exit code {code}{': ' if text else ''}{text}"


def _refused_request(pod: Object) -> str | None:
    """What a runner of another version says of a request that it cannot parse."""
    ended = _state(pod.get("status") or {}, "terminated") or {}
    text = _termination_message(str(ended.get("message") or ""))
    if not ended.get("exitCode") or not text.startswith(REFUSED_REQUEST):
        return None
    return f"image {pod['spec']['containers'][0].get('image', '')}: {text}"


def _stopped(pod: Object) -> bool:
    """Whether somebody ended the pod: an eviction, a drained node, a deletion."""
    status = pod.get("status") or {}
    conditions = status.get("conditions") or ()
    disrupted = any(each.get("type") == "DisruptionTarget" for each in conditions)
    deleted = (pod.get("metadata") or {}).get("deletionTimestamp") is not None
    return bool(status.get("reason")) or disrupted or deleted


def _termination_message(text: str) -> str:
    """The message of a runner that ended with JSON, else the text that the container printed."""
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    return str(value.get("message") or text) if isinstance(value, dict) else text


def _waiting_state(status: Mapping[str, Any]) -> tuple[str, str]:
    waiting = _state(status, "waiting") or {}
    return str(waiting.get("reason") or ""), str(waiting.get("message") or "")


def _state(status: Mapping[str, Any], which: str) -> Mapping[str, Any] | None:
    for container in status.get("containerStatuses") or ():
        state: Mapping[str, Any] | None = (container.get("state") or {}).get(which)
        if state is not None:
            return state
    return None


def _has_details(event: Object) -> bool:
    """False for ``Error: ErrImagePull``: an earlier Event names the image and the error."""
    note = str(event.get("note") or "")
    return len(note.removeprefix("Error: ").split()) >= 2


def _last_seen(event: Object) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("deprecatedLastTimestamp")
        or event.get("eventTime")
        or (event.get("metadata") or {}).get("creationTimestamp")
        or ""
    )


def _line(text: str) -> str:
    return one_line(text, MAX_MESSAGE)
