"""The folder of a job whose processes were all killed still says what became of its views."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_lineage.api.enums import OperationKind
from feature_lineage.local.job_folder import JobFolder
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.protocol import encode
from feature_lineage.runner.supervisor import UNFINISHED

AT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    """A job whose processes were killed while they materialized view b."""
    report = JobReport(
        operation_id=tmp_path.name,
        kind=OperationKind.MATERIALIZE,
        project="p",
        outcome=Outcome.FAILED,
        started_at=AT,
        finished_at=AT,
        running="b",
        views=(
            ViewReport(name="a", kind="feature_view", result="Succeeded", end=AT),
            ViewReport(name="b", kind="feature_view", end=AT, state="AVAILABLE_ONLINE"),
        ),
    )
    (tmp_path / UNFINISHED).write_text(encode(report))
    (tmp_path / "lock").touch()
    (tmp_path / "spawned").touch()
    return JobFolder(tmp_path)


@pytest.mark.parametrize(
    ("cancelled", "reason", "killed"),
    [(False, "JobFailed", True), (True, "Interrupted", False)],
)
def test_the_views_of_a_killed_job_are_known(
    job: JobFolder, cancelled: bool, reason: str, killed: bool
) -> None:
    if cancelled:
        job.cancellation.write_text("Interrupted: another one comes first")

    facts = job.ended()

    assert facts is not None
    assert facts.report is not None
    assert (facts.report.reason, facts.report.running) == (reason, "")
    a, b = facts.report.views
    assert (a.result, b.killed, b.left_in) == ("Succeeded", killed, "AVAILABLE_ONLINE")
    assert facts.report.finished_at > AT


@pytest.mark.parametrize("text", ["", "{}", "no JSON"])
def test_what_was_kept_in_part_is_not_used(job: JobFolder, text: str) -> None:
    (job.path / UNFINISHED).write_text(text)

    facts = job.ended()

    assert facts is not None
    assert (facts.report, facts.reason) == (None, "JobFailed")


def test_a_report_is_used_in_place_of_what_was_kept(job: JobFolder) -> None:
    (job.path / "report.json").write_text("no JSON")

    facts = job.ended()

    assert facts is not None
    assert (facts.report, facts.reason) == (None, "RunnerIncompatible")
