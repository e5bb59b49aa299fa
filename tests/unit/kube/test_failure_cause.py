"""The Event that tells the cause is found among those that repeat its name."""

from typing import Any

from feature_lineage.kube.jobs.failure_cause import Finding, told_by

IMAGE = 'Container image "x:1" is not present with pull policy of Never'


def warning(reason: str, note: str, second: int) -> dict[str, Any]:
    seen = f"2026-11-26T12:00:{second:02}Z"
    return {"type": "Warning", "reason": reason, "note": note, "deprecatedLastTimestamp": seen}


def test_an_event_that_repeats_a_reason_hides_none_that_tells_of_what() -> None:
    events = [warning("ErrImageNeverPull", IMAGE, 1), warning("Failed", "Error: ErrImagePull", 2)]

    assert told_by(events, "the job's pod") == Finding("ImagePullFailed", IMAGE)
    assert told_by(events[1:], "it") == Finding("ImagePullFailed", "Error: ErrImagePull")


def test_the_newest_of_those_that_tell_something_counts() -> None:
    events = [
        warning("FailedMount", 'secret "nope" not found', 1),
        warning("Failed", 'Error: configmap "nope" not found', 2),
    ]

    told = told_by(events, "the job's pod")
    assert told is not None
    assert told.message == 'the job\'s pod cannot start: Failed: Error: configmap "nope" not found'


def test_what_is_no_warning_tells_nothing() -> None:
    assert told_by([{"type": "Normal", "reason": "Pulled", "note": "an image"}], "it") is None
