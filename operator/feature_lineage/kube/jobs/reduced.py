"""What is kept of a pod or an Event: only what `failure_cause` reads, and texts of bounded length.

A tenant may create many pods and Events that look like those of a job, each with a megabyte.
"""

from typing import Any, Final

from feature_lineage.kube.api_client import Object
from feature_lineage.shorten import cut

MAX_TEXT: Final = 8192
"""The longest termination message that a kubelet reports has 4,096 characters."""
MAX_CONTAINERS: Final = 20

_CONDITIONS: Final = frozenset({"DisruptionTarget", "PodScheduled", "Ready"})


def reduced_pod(pod: Object) -> Object:
    """A pod with the fields that tell why it does not run or how it ended."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    conditions = {
        each["type"]: _texts(each, "type", "status", "reason", "message")
        for each in status.get("conditions") or ()
        if each.get("type") in _CONDITIONS
    }
    containers = (status.get("containerStatuses") or ())[:MAX_CONTAINERS]
    return {
        "metadata": _texts(pod["metadata"], "name", "creationTimestamp", "deletionTimestamp"),
        "spec": {
            **_texts(spec, "nodeName"),
            "containers": [_texts(each, "image") for each in (spec.get("containers") or ())[:1]],
        },
        "status": {
            **_texts(status, "phase", "reason", "message"),
            "conditions": list(conditions.values()),
            "containerStatuses": [_container(each) for each in containers],
        },
    }


def reduced_event(event: Object) -> Object:
    """An Event with the fields that tell a cause and when it was seen."""
    return {
        **_texts(event, "type", "reason", "note", "eventTime", "deprecatedLastTimestamp"),
        "metadata": _texts(event.get("metadata") or {}, "creationTimestamp"),
        "series": _texts(event.get("series") or {}, "lastObservedTime"),
    }


def _container(status: Object) -> Object:
    state = {
        which: _texts(found, "reason", "message", "exitCode")
        for which in ("waiting", "terminated")
        if (found := (status.get("state") or {}).get(which)) is not None
    }
    return {"ready": bool(status.get("ready")), "state": state}


def _texts(fields: Object, *names: str) -> dict[str, Any]:
    """The named fields that are set; a text is cut."""
    found = {name: fields[name] for name in names if fields.get(name) is not None}
    return {
        name: cut(value, MAX_TEXT) if isinstance(value, str) else value
        for name, value in found.items()
    }
