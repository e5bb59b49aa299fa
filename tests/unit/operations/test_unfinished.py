"""The report of a job that died: what it had done, and which view was at fault."""

from datetime import UTC, datetime, timedelta

import pytest

from feature_lineage.api.enums import OperationKind
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.unfinished import ended_early

AT = datetime(2026, 11, 21, tzinfo=UTC)


def _unfinished(running: str) -> JobReport:
    done = ViewReport(name="a", kind="feature_view", result="Succeeded", end=AT, rows=3)
    left = {"kind": "feature_view", "end": AT}
    return JobReport(
        operation_id="op",
        kind=OperationKind.MATERIALIZE,
        project="p",
        outcome=Outcome.FAILED,
        started_at=AT,
        finished_at=AT,
        running=running,
        views=(
            done,
            ViewReport(name="b", state="AVAILABLE_ONLINE", **left),
            ViewReport(name="c", **left),
        ),
    )


@pytest.mark.parametrize(
    ("reason", "killed", "result"),
    [
        pytest.param("JobFailed", True, "Failed", id="it ran out of memory"),
        pytest.param("DeadlineExceeded", False, "Failed", id="its deadline passed"),
        pytest.param("JobFailed", False, "", id="its node is gone"),
        pytest.param("Interrupted", False, "", id="it was stopped"),
    ],
)
def test_only_a_view_that_ended_its_process_is_at_fault(
    reason: str, killed: bool, result: str
) -> None:
    ended = AT + timedelta(minutes=5)

    report = ended_early(_unfinished("b"), reason, "why", ended, killed=killed)

    a, b, c = report.views
    assert (report.outcome, report.reason, report.finished_at) == (Outcome.FAILED, reason, ended)
    assert report.message == (
        "why; that was while it materialized view 'b', and 1 of 3 views had succeeded"
    )
    assert (a.result, a.rows, c.result, c.end) == ("Succeeded", 3, "", AT)
    assert (b.result, b.killed, b.left_in) == (result, killed, "AVAILABLE_ONLINE")
    assert b.error == (
        "the job's process ended while it materialized this view: why" if result else ""
    )


def test_a_job_that_died_between_two_views_accuses_none() -> None:
    report = ended_early(_unfinished(""), "JobFailed", "why", AT, killed=True)

    assert not any(view.killed or view.left_in for view in report.views)
    assert "between two views" in report.message
