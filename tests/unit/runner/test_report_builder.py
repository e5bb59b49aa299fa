"""The report of a job from what was seen of it, in tables."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.kinds import kind_of_command
from feature_lineage.operations.protocol import JobReport, JobRequest, Outcome
from feature_lineage.runner.report_builder import conclude

AT = datetime(2026, 11, 21, tzinfo=UTC)
SNAPSHOT = RegistrySnapshot("p", {"entity": {"e": {"name": "e"}}})


@dataclass
class Seen:
    report: dict[str, Any] | None = None
    phase: str = "import_repo"
    secrets: list[str] = field(default_factory=list)
    output: bytes = b""
    stopped_by: str = ""
    returncode: int | None = None
    answer: dict[str, Any] | None = None
    verify_seconds: float | None = None


def asked(kind: str = "apply") -> JobRequest:
    return JobRequest(
        operation_id="op", kind=kind_of_command(kind), project="p", repo="/r", deadline_seconds=90
    )


def told(kind: str = "apply", outcome: Outcome = Outcome.SUCCEEDED, **more: Any) -> dict[str, Any]:
    report = JobReport(
        operation_id="op",
        kind=kind_of_command(kind),
        project="p",
        outcome=outcome,
        started_at=AT,
        finished_at=AT,
        snapshot=SNAPSHOT,
        **more,
    )
    value: dict[str, Any] = report.model_dump(mode="json")
    return value


@pytest.mark.parametrize(
    ("seen", "reason", "message"),
    [
        (
            Seen(returncode=0),
            "InvalidRepo",
            "the repo's code ended the process (exit code 0) while importing the repo's code",
        ),
        (
            Seen(returncode=-11, phase="apply"),
            "JobFailed",
            "the worker ended without a report (signal 11) while writing the registry",
        ),
        (
            Seen(returncode=-9, phase="materialize"),
            "JobFailed",
            "killed by the kernel while materializing, most likely for want of memory; raise ",
        ),
        (
            Seen(returncode=-9, phase="infer", stopped_by="deadline"),
            "DeadlineExceeded",
            "stopped while working out features from the repo's code: its deadline of 90 s ",
        ),
        (
            Seen(returncode=-15, phase="plan", stopped_by="SIGTERM"),
            "Interrupted",
            "stopped while planning: SIGTERM",
        ),
        (
            Seen(report={"outcome": "Succeeded"}),
            "JobFailed",
            "the worker's report does not parse: operation_id: Field required",
        ),
        (
            Seen(report={**told(), "operation_id": "another"}),
            "JobFailed",
            "the worker's report belongs to another operation",
        ),
        (
            Seen(report=told(), answer={"digest": "0" * 64}),
            "JobFailed",
            "the registry does not hold what the job reported: either somebody else wrote to it ",
        ),
    ],
)
def test_failures(seen: Seen, reason: str, message: str) -> None:
    report = conclude(asked(), seen, AT.timestamp())

    assert (report.outcome, report.reason) == (Outcome.FAILED, reason)
    assert report.message.startswith(message)
    assert not report.verified
    assert report.started_at == AT


@pytest.mark.parametrize(
    ("kind", "answer", "verified"),
    [
        ("apply", {"digest": SNAPSHOT.digest}, True),
        ("materialize", {"digest": SNAPSHOT.digest}, True),
        ("delete", {"digest": SNAPSHOT.digest}, True),
        ("observe", None, True),
        ("apply", None, False),
        ("apply", {"error": "OperationalError: gone"}, False),
    ],
)
def test_successes(kind: str, answer: dict[str, Any] | None, verified: bool) -> None:
    report = conclude(asked(kind), Seen(report=told(kind), answer=answer), AT.timestamp())

    assert (report.outcome, report.verified) == (Outcome.SUCCEEDED, verified)
    assert bool(report.warnings) is not verified
    assert report.snapshot == SNAPSHOT


def test_a_blocked_plan_needs_no_witness() -> None:
    seen = Seen(report=told(outcome=Outcome.BLOCKED), answer=None)

    assert conclude(asked(), seen, AT.timestamp()).warnings == ()


def test_secrets_and_terminal_codes_leave_the_words() -> None:
    view = {"name": "v", "kind": "feature_view", "result": "Failed", "error": "at hush:5432"}
    seen = Seen(
        report=told(outcome=Outcome.PARTIAL, message="hush was refused", views=(view,)),
        output=b"x" * 9000 + b"\x1b[1m\x1b[32mhush\x1b[0m \xff\n",
        secrets=["hush"],
        answer={"digest": SNAPSHOT.digest},
    )

    report = conclude(asked(), seen, AT.timestamp())

    assert report.output_tail.endswith("xx*** \N{REPLACEMENT CHARACTER}\n")
    assert len(report.output_tail.encode()) == 4096
    assert (report.message, report.views[0].error) == ("*** was refused", "at ***:5432")
