"""The Event with the cause is found among those that repeat its name."""

from typing import Any

import pytest

from feature_lineage.kube.jobs.failure_cause import Cause, cause_in_events, end_cause

IMAGE = 'Container image "x:1" is not present with pull policy of Never'


def warning(reason: str, note: str, second: int) -> dict[str, Any]:
    seen = f"2026-11-26T12:00:{second:02}Z"
    return {"type": "Warning", "reason": reason, "note": note, "deprecatedLastTimestamp": seen}


def test_an_event_with_details_is_preferred() -> None:
    events = [warning("ErrImageNeverPull", IMAGE, 1), warning("Failed", "Error: ErrImagePull", 2)]

    assert cause_in_events(events) == Cause("ImagePullFailed", IMAGE)
    assert cause_in_events(events[1:]) == Cause("ImagePullFailed", "Error: ErrImagePull")


def test_the_newest_event_with_details_is_used() -> None:
    events = [
        warning("FailedMount", 'secret "nope" not found', 1),
        warning("Failed", 'Error: configmap "nope" not found', 2),
    ]

    cause = cause_in_events(events)
    assert cause is not None
    assert cause.message == 'the job\'s pod cannot start: Failed: Error: configmap "nope" not found'


def test_an_event_that_is_no_warning_is_ignored() -> None:
    assert cause_in_events([{"type": "Normal", "reason": "Pulled", "note": "an image"}]) is None


JOB = {"spec": {"activeDeadlineSeconds": 60}, "status": {}}


def _pod(terminated: dict[str, object], **status: object) -> dict[str, Any]:
    state = {"state": {"terminated": terminated}}
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [state], **status}}


@pytest.mark.parametrize(
    ("pod", "killed"),
    [
        pytest.param(_pod({"reason": "OOMKilled", "exitCode": 137}), True, id="out of memory"),
        pytest.param(_pod({"reason": "Error", "exitCode": 139}), True, id="it crashed"),
        pytest.param(
            _pod({"reason": "Error", "exitCode": 137}, reason="Evicted"), False, id="evicted"
        ),
        pytest.param(
            _pod(
                {"reason": "Error", "exitCode": 137},
                conditions=[{"type": "DisruptionTarget", "status": "True"}],
            ),
            False,
            id="disrupted",
        ),
        pytest.param(
            {
                **_pod({"reason": "Error", "exitCode": 137}),
                "metadata": {"name": "p", "deletionTimestamp": "2026-11-20T12:00:00Z"},
            },
            False,
            id="deleted",
        ),
        pytest.param(None, False, id="gone"),
    ],
)
def test_a_container_that_nobody_stopped_ended_by_itself(
    pod: dict[str, Any] | None, killed: bool
) -> None:
    assert end_cause(JOB, pod, None).killed is killed


def test_a_runner_that_refuses_the_request_is_named() -> None:
    said = "the job's request does not parse: request.protocol: Input should be 1; run operator and"
    pod = _pod({"exitCode": 1, "message": said})
    pod["spec"] = {"containers": [{"image": "registry.example/runner:0.1"}]}

    cause = end_cause(JOB, pod, None)

    assert (cause.reason, cause.killed) == ("RunnerIncompatible", False)
    assert cause.message == f"image registry.example/runner:0.1: {said}"
    other = _pod({"exitCode": 1, "message": "no"})
    assert end_cause(JOB, other, None).reason == "JobFailed"
