"""The table of job failures quotes the messages of the code."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, cast

import pytest
from tests.unit.docs.pages import OPERATIONS, names_in, rows, section
from tests.unit.runner.test_report_builder import AT, job_request

from feature_lineage.api.conditions import PROJECT_REASONS, ProjectCondition
from feature_lineage.errors import TerminalError
from feature_lineage.kube.jobs.failure_cause import (
    Cause,
    cause_in_events,
    end_cause,
    unreachable_node,
    waiting_cause,
)
from feature_lineage.kube.jobs.job_manifest import START_GRACE_SECONDS
from feature_lineage.runner.ephemeral import MOUNTS, check_stores, mount_points
from feature_lineage.runner.progress import WorkerResult
from feature_lineage.runner.report_builder import build_report
from feature_lineage.runner.settings import Settings

HEADING: Final = "### When a job does not start, or fails"
Object = dict[str, Any]


class CauseRow(NamedTuple):
    reasons: list[str]
    message: str


def table() -> dict[str, CauseRow]:
    """Cause → reasons and expected words in the message."""
    return {
        cause: CauseRow(names_in(reason), message)
        for cause, reason, message, _ in rows(section(OPERATIONS, HEADING))
    }


def pod(**status: Any) -> Object:
    image = "registry.example.org/ml/runner:1"
    return {"spec": {"containers": [{"image": image}]}, "status": status}


def container(**state: Any) -> Object:
    return pod(containerStatuses=[{"state": state}])


def failed(reason: str) -> Object:
    condition = {"type": "Failed", "status": "True", "reason": reason, "message": "it failed"}
    spec = {"activeDeadlineSeconds": 3600 + START_GRACE_SECONDS}
    return {"spec": spec, "status": {"conditions": [condition]}}


def complete() -> Object:
    return {"spec": {}, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}


def unschedulable() -> Cause | None:
    said = "0/1 nodes are available: 1 Insufficient memory."
    condition = {"type": "PodScheduled", "reason": "Unschedulable", "message": said}
    return waiting_cause(pod(conditions=[condition]))


def no_image() -> Cause | None:
    waiting = {"reason": "ImagePullBackOff", "message": "back-off"}
    return waiting_cause(container(waiting=waiting))


def no_environment() -> Cause | None:
    said = 'secret "nope" not found'
    waiting = {"reason": "CreateContainerConfigError", "message": said}
    return waiting_cause(container(waiting=waiting))


def silent() -> Cause | None:
    ready = [{"ready": True, "state": {"running": {}}}]
    body = pod(conditions=[{"type": "Ready", "status": "False"}], containerStatuses=ready)
    body["metadata"] = {"name": "apply-12-9f86d081884c7d65-1-x7k2p"}
    body["spec"]["nodeName"] = "node1"
    return unreachable_node(body)


def ended(job: Object, body: Object | None) -> Cause:
    return end_cause(job, body, None)


def event(reason: str, note: str) -> Cause | None:
    return cause_in_events([{"type": "Warning", "reason": reason, "note": note}])


def supervised(**result: Any) -> Cause:
    request = job_request("materialize").model_copy(update={"deadline_seconds": 3600})
    report = build_report(request, WorkerResult(phase="materialize", **result), AT.timestamp())
    return Cause(report.reason, report.message)


BACKOFF: Final = failed("BackoffLimitExceeded")
REFUSED: Final = 'pods "apply-1-" is forbidden: '

CAUSES: Final[dict[str, tuple[Callable[[], Cause | None], ...]]] = {
    "no node accepts": (unschedulable,),
    "the image": (no_image,),
    "out of memory": (
        lambda: ended(BACKOFF, container(terminated={"exitCode": 137, "reason": "OOMKilled"})),
        lambda: supervised(returncode=-9),
    ),
    "evicted": (
        lambda: ended(
            BACKOFF, pod(reason="Evicted", message="The node was low on resource: memory.")
        ),
    ),
    "its node does not": (silent,),
    "the job hangs": (lambda: supervised(returncode=-9, stopped_by="deadline"),),
    "the pod did not start": (
        lambda: end_cause(failed("DeadlineExceeded"), None, Cause("Unschedulable", "no node")),
    ),
    "the ServiceAccount": (
        lambda: event("FailedCreate", f'{REFUSED}serviceaccount "features" not found'),
    ),
    "pod security": (
        lambda: event("FailedCreate", f"{REFUSED}violates PodSecurity"),
        lambda: event("FailedCreate", f"{REFUSED}exceeded quota"),
    ),
    "a volume's": (
        lambda: event("FailedMount", 'MountVolume.SetUp failed: secret "nope" not found'),
    ),
    "a Secret or ConfigMap of": (no_environment,),
    "the process crashed": (
        lambda: ended(BACKOFF, container(terminated={"exitCode": 1, "message": "no module"})),
    ),
    "the pod or its report": (
        lambda: ended(BACKOFF, None),
        lambda: ended(complete(), container(terminated={"exitCode": 0})),
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_has_the_message_of_the_page(cause: str) -> None:
    (row,) = (row for text, row in table().items() if text.startswith(cause))
    findings = [found() for found in CAUSES[cause]]

    assert {found.reason for found in findings if found} == set(row.reasons)
    messages = " ".join(found.message for found in findings if found)
    for quoted in names_in(row.message):
        for part in quoted.split("…"):
            assert part.strip() in messages


def test_every_other_row_has_a_test_of_its_own() -> None:
    """A disruption does not end a job; the runner detects a store on its own disk."""
    others = {text: row for text, row in table().items() if not any(map(text.startswith, CAUSES))}

    assert [row.reasons for row in others.values()] == [[], ["EphemeralStore"]]


def test_each_reason_can_show_where_an_apply_shows_it() -> None:
    reasons = {reason for row in table().values() for reason in row.reasons}

    assert reasons <= {str(each) for each in PROJECT_REASONS[ProjectCondition.APPLIED]}


def test_ephemeral_store_has_the_message_of_the_page() -> None:
    registry = SimpleNamespace(path="data/registry.db")
    config = SimpleNamespace(registry=registry, online_store=None)
    settings = SimpleNamespace(config=config, registry_type="file", online_store_type="redis")
    everywhere = mount_points(MOUNTS.read_text(encoding="utf-8"))
    (row,) = (row for row in table().values() if row.reasons == ["EphemeralStore"])

    with pytest.raises(TerminalError) as caught:
        check_stores(cast("Settings", settings), Path("/job/repo"), everywhere)

    assert caught.value.reason == "EphemeralStore"
    assert names_in(row.message)[0] in caught.value.message
