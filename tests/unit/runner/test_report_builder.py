"""The report of a job from the worker's result."""

from datetime import UTC, datetime
from typing import Any

import pytest

from feature_lineage.features import bounds
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.feature_server import ServerAnswer
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.kinds import kind_of_command
from feature_lineage.operations.message import Message
from feature_lineage.operations.probe_answer import FeatureAnswer, ProbeAnswer
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.operations.sampled_keys import SourceKeys
from feature_lineage.operations.skew import FeatureSkew, SkewAnswer
from feature_lineage.reasons import Reason
from feature_lineage.runner.progress import WorkerResult
from feature_lineage.runner.redaction import Redaction
from feature_lineage.runner.report_builder import build_report

AT = datetime(2026, 11, 21, tzinfo=UTC)
SNAPSHOT = RegistrySnapshot("p", {"entity": {"e": {"name": "e"}}})


def job_request(kind: str = "apply") -> JobRequest:
    return JobRequest(
        operation_id="op", kind=kind_of_command(kind), project="p", repo="/r", deadline_seconds=90
    )


def worker_report(
    kind: str = "apply", outcome: Outcome = Outcome.SUCCEEDED, **more: Any
) -> dict[str, Any]:
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
    ("result", "reason", "message"),
    [
        (
            WorkerResult(returncode=0, phase="import_repo"),
            "InvalidRepo",
            "the repo's code ended the process (exit code 0) while importing the repo's code",
        ),
        (
            WorkerResult(returncode=-11, phase="apply"),
            "JobFailed",
            "the worker ended without a report (signal 11) while writing the registry",
        ),
        (
            WorkerResult(returncode=-9, phase="materialize"),
            "JobFailed",
            "killed by the kernel while materializing, most likely because it ran out of memory; ",
        ),
        (
            WorkerResult(returncode=-9, phase="infer", stopped_by="deadline"),
            "DeadlineExceeded",
            "stopped while working out features from the repo's code: its deadline of 90 s ",
        ),
        (
            WorkerResult(returncode=-15, phase="plan", stopped_by="SIGTERM"),
            "Interrupted",
            "stopped while planning: SIGTERM",
        ),
        (
            WorkerResult(report={"outcome": "Succeeded"}),
            "JobFailed",
            "the worker's report does not parse: operation_id: Field required",
        ),
        (
            WorkerResult(report={**worker_report(), "operation_id": "another"}),
            "JobFailed",
            "the worker's report belongs to another operation",
        ),
        (
            WorkerResult(report=worker_report(), registry={"digest": "0" * 64}),
            "JobFailed",
            "the registry does not contain what the job reported: either another writer changed ",
        ),
    ],
)
def test_failures(result: WorkerResult, reason: str, message: str) -> None:
    report = build_report(job_request(), result, AT.timestamp())

    assert (report.outcome, report.reason) == (Outcome.FAILED, reason)
    assert report.message.startswith(message)
    assert not report.verified
    assert report.started_at == AT


@pytest.mark.parametrize(
    ("kind", "registry", "verified"),
    [
        ("apply", {"digest": SNAPSHOT.digest}, True),
        ("materialize", {"digest": SNAPSHOT.digest}, True),
        ("delete", {"digest": SNAPSHOT.digest}, True),
        ("observe", None, True),
        ("apply", None, False),
        ("apply", {"error": "OperationalError: gone"}, False),
    ],
)
def test_successes(kind: str, registry: dict[str, Any] | None, verified: bool) -> None:
    report = build_report(
        job_request(kind),
        WorkerResult(report=worker_report(kind), registry=registry),
        AT.timestamp(),
    )

    assert (report.outcome, report.verified) == (Outcome.SUCCEEDED, verified)
    assert bool(report.warnings) is not verified
    assert report.snapshot == SNAPSHOT


def test_a_registry_of_too_many_dependencies_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "MAX_DEPENDENCIES", 10)
    large = RegistrySnapshot("p", {"feature_view": {"v": {}}}).as_value()
    result = WorkerResult(report={**worker_report(), "snapshot": large})

    report = build_report(job_request(), result, AT.timestamp())

    assert (report.outcome, report.reason) == (Outcome.FAILED, Reason.REPORT_TOO_LARGE)
    assert "has too many dependencies" in report.message
    assert report.snapshot is None


def test_a_blocked_plan_is_not_verified() -> None:
    result = WorkerResult(report=worker_report(outcome=Outcome.BLOCKED), registry=None)

    assert build_report(job_request(), result, AT.timestamp()).warnings == ()


def test_secrets_and_terminal_codes_leave_the_words() -> None:
    view = {"name": "v", "kind": "feature_view", "result": "Failed", "error": "at hush:5432"}
    result = WorkerResult(
        report=worker_report(outcome=Outcome.PARTIAL, message="hush was refused", views=(view,)),
        output=b"x" * 9000 + b"\x1b[1m\x1b[32mhush\x1b[0m \xff\n",
        redaction=Redaction(["hush"]),
        registry={"digest": SNAPSHOT.digest},
    )

    report = build_report(job_request(), result, AT.timestamp())

    assert report.output_tail.endswith("xx*** \N{REPLACEMENT CHARACTER}\n")
    assert len(report.output_tail.encode()) == 4096
    assert (report.message, report.views[0].error) == ("*** was refused", "at ***:5432")


def says_hush(made: type[Message], **fields: Any) -> Any:
    """A message with the secret in each of its texts, also in those of later versions."""
    texts = {
        name: "hush"
        for name, field in made.model_fields.items()
        if isinstance(field.annotation, type) and field.annotation is str
    }
    return made(**{**texts, **fields})


def test_no_text_of_a_probe_shows_a_secret() -> None:
    worst = says_hush(FeatureSkew)
    server = says_hush(ServerAnswer, worst=worst)
    skew = says_hush(SkewAnswer, at=AT, worst=worst)
    answer = says_hush(
        ProbeAnswer, features=(says_hush(FeatureAnswer, keys=1),), skew=skew, server=server
    )
    sent = worker_report("probe", answers=(answer,), source_keys=(says_hush(SourceKeys),))
    result = WorkerResult(report=sent, redaction=Redaction(["hush"]))

    report = build_report(job_request("probe"), result, AT.timestamp())

    shown = report.model_dump(mode="json", include={"answers", "source_keys"})
    assert named("hush", shown) == {"question", "view", "column", "url"}
    assert named("***", shown) == {"error", "version", "lacks", "adds", "why"}


def named(text: str, value: Any, name: str = "") -> set[str]:
    """Names of the fields that contain the text."""
    match value:
        case dict():
            return set().union(*(named(text, each, key) for key, each in value.items()))
        case list() | tuple():
            return set().union(*(named(text, each, name) for each in value))
    return {name} if isinstance(value, str) and text in value else set()
