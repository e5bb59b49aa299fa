"""Why a job does not begin, or ended without a report: from what Kubernetes says to one sentence.

Kubernetes scatters the cause: over the Job's conditions, the pod's conditions, its container's
state and, where a pod never came to be or a volume is missing, over Events alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from feature_lineage.kube.client import Object
from feature_lineage.kube.jobs.names import TAKEN_BACK
from feature_lineage.reasons import Reason

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
class Finding:
    """A condition reason, and the cause in words."""

    reason: str
    message: str


def condition_of(job: Object) -> Mapping[str, str] | None:
    """The condition that says that a Job is over: ``Complete`` or ``Failed``."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            found: Mapping[str, str] = condition
            return found
    return None


def newest(pods: Iterable[Object]) -> Object | None:
    """The pod of a job's last try; a disrupted one is replaced."""
    return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), default=None)


def has_begun(pod: Object | None) -> bool:
    """Whether any of a job's containers runs or ran, as far as its newest pod tells."""
    return pod is not None and (pod.get("status") or {}).get("phase", "Pending") != "Pending"


def why_silent(pod: Object | None) -> Finding | None:
    """What is known of a pod whose node does not answer.

    Its containers are ready by the last word of their kubelet, the pod is not by the control plane.
    """
    status = (pod or {}).get("status") or {}
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or ()}
    containers = status.get("containerStatuses") or ()
    if pod is None or conditions.get("Ready") != "False" or not containers:
        return None
    if not all(container.get("ready") for container in containers):
        return None
    name, node = pod["metadata"].get("name"), pod["spec"].get("nodeName")
    return Finding(
        Reason.JOB_FAILED,
        f"node {node} does not answer, and pod {name} is on it: the job goes on once the node is "
        "back, or begins anew on another one once you delete the node",
    )


def taken_back(job: Object) -> Finding | None:
    """What a job waited for that was ended before it began."""
    told = (job["metadata"].get("annotations") or {}).get(TAKEN_BACK)
    if told is None:
        return None
    reason, _, message = told.partition(": ")
    return Finding(
        reason, _cut(f"{message}; taken back before it began: the project says otherwise by now")
    )


def why_waiting(pod: Object) -> Finding | None:
    """What keeps a pod from running, None where nothing is known to."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return Finding(Reason.UNSCHEDULABLE, _cut(condition.get("message") or "no node fits"))
    reason, message = _waiting(status)
    if reason in _IMAGE:
        image = pod["spec"]["containers"][0].get("image", "")
        return Finding(Reason.IMAGE_PULL_FAILED, _cut(f"image {image}: {reason}: {message}"))
    if reason not in _STARTING:
        return Finding(
            Reason.JOB_FAILED, _cut(f"the job's container cannot start: {reason}: {message}")
        )
    return None


def is_starting(pod: Object) -> bool:
    """Whether a pod waits for something that only its Events tell."""
    status = pod.get("status") or {}
    return status.get("phase") == "Pending" and why_waiting(pod) is None


def told_by(events: Sequence[Object], of: str) -> Finding | None:
    """What the newest warning says that says more than a reason's name.

    Args:
        of: whom the events are about, such as ``the job``.
    """
    warnings = [event for event in events if event.get("type") == "Warning"]
    event = max(warnings, key=lambda each: (not _bare(each), _last_seen(each)), default=None)
    if event is None:
        return None
    reason, note = str(event.get("reason")), str(event.get("note") or "")
    if reason == "FailedScheduling":
        return Finding(Reason.UNSCHEDULABLE, _cut(note))
    if reason in _IMAGE or (reason in ("Failed", "BackOff") and "image" in note.lower()):
        return Finding(Reason.IMAGE_PULL_FAILED, _cut(note))
    return Finding(Reason.JOB_FAILED, _cut(f"{of} cannot start: {reason}: {note}"))


def why_ended(job: Object, pod: Object | None, told: Finding | None) -> Finding:
    """Why a job that is over left no report.

    Args:
        pod: its last pod, where it is still there.
        told: what Events of a job without pod tell.
    """
    condition = condition_of(job) or {}
    reason, message = condition.get("reason") or "", condition.get("message") or ""
    if reason == "DeadlineExceeded":
        seconds = job["spec"].get("activeDeadlineSeconds")
        cause = told or (why_waiting(pod) if pod else None)
        before = f"; before that: {cause.message}" if cause else ""
        return Finding(
            Reason.DEADLINE_EXCEEDED, _cut(f"the job took longer than {seconds} s{before}")
        )
    if pod is not None and (found := _how_ended(pod)) is not None:
        return Finding(Reason.JOB_FAILED, _cut(found))
    if condition.get("type") == "Complete":
        return Finding(
            Reason.JOB_FAILED, "the job ended without a report; its ConfigMap says nothing"
        )
    if told is not None:
        return told
    return Finding(Reason.JOB_FAILED, _cut(f"the job failed: {reason}: {message}; its pod is gone"))


def _how_ended(pod: Object) -> str | None:
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
            "the job's container was killed for want of memory (OOMKilled); "
            "raise spec.runtime.resources.limits.memory"
        )
    code, words = ended.get("exitCode"), _last_words(str(ended.get("message") or ""))
    if code == 0:
        return None
    return f"the job's container ended with exit code {code}{': ' if words else ''}{words}"


def _last_words(text: str) -> str:
    """The runner's own message where it is one, else the end of what was printed."""
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    return str(value.get("message") or text) if isinstance(value, dict) else text


def _waiting(status: Mapping[str, Any]) -> tuple[str, str]:
    waiting = _state(status, "waiting") or {}
    return str(waiting.get("reason") or ""), str(waiting.get("message") or "")


def _state(status: Mapping[str, Any], which: str) -> Mapping[str, Any] | None:
    for container in status.get("containerStatuses") or ():
        state: Mapping[str, Any] | None = (container.get("state") or {}).get(which)
        if state is not None:
            return state
    return None


def _bare(event: Object) -> bool:
    """``Error: ErrImagePull``, which follows upon the Event that tells of which image, and why."""
    note = str(event.get("note") or "")
    return len(note.removeprefix("Error: ").split()) < 2


def _last_seen(event: Object) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("deprecatedLastTimestamp")
        or event.get("eventTime")
        or (event.get("metadata") or {}).get("creationTimestamp")
        or ""
    )


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"
