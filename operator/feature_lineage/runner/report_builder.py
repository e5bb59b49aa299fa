"""Builds the job's report from the worker's result.

The worker's report is used only if it parses and belongs to this request. If there is no report,
the way the worker ended decides the reason; exit code 0 without a report is a failure.
"""

import re
import signal
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from feature_lineage.errors import InvalidReport
from feature_lineage.operations.job_report import OUTPUT_TAIL_BYTES, JobReport, Outcome
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.operations.unfinished import ended_early
from feature_lineage.reasons import Reason
from feature_lineage.runner.progress import DOING, REPO_PHASES, WorkerResult
from feature_lineage.runner.redaction import Redaction

_TERMINAL_CODES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

VERIFIED_OUTCOMES: Final = (Outcome.SUCCEEDED, Outcome.PARTIAL)


def report_of(request: JobRequest, outcome: Outcome, started: datetime, **fields: Any) -> JobReport:
    """The report of a job that ends now."""
    return JobReport(
        operation_id=request.operation_id,
        kind=request.kind,
        project=request.project,
        revision=request.revision,
        outcome=outcome,
        started_at=started,
        finished_at=datetime.now(UTC),
        **fields,
    )


def build_report(request: JobRequest, result: WorkerResult, started: float) -> JobReport:
    """The report of a job, also if the worker sent no report or an invalid one."""
    tail = _tail(result.output, result.redaction)

    def failed(reason: Reason, message: str) -> JobReport:
        if result.report is None and result.unfinished is not None:
            killed = not result.stopped_by
            report = ended_early(
                result.unfinished, reason, message, datetime.now(UTC), killed=killed
            )
            return report.model_copy(update={"output_tail": tail})
        began = datetime.fromtimestamp(started, UTC)
        fields = {"reason": reason, "message": message, "output_tail": tail}
        return report_of(request, Outcome.FAILED, began, **fields)

    if result.report is None:
        return failed(*_without_report(request, result))
    try:
        report = JobReport.model_validate(result.report)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"the worker's report does not parse: {where}: {first['msg']}"
        return failed(Reason.JOB_FAILED, message)
    except InvalidReport as error:
        return failed(error.reason, error.message)
    if (report.operation_id, report.kind) != (request.operation_id, request.kind):
        return failed(Reason.JOB_FAILED, "the worker's report belongs to another operation")
    ended = {"finished_at": datetime.now(UTC), "output_tail": tail}
    report = redacted(report, result.redaction).model_copy(update=ended)
    traits = KINDS[report.kind]
    if not (traits.verified or traits.imports_repo_code):
        return report.model_copy(update={"verified": report.snapshot is not None})
    if report.outcome not in VERIFIED_OUTCOMES:
        return report
    seconds = {**report.seconds, "verify": round(result.verify_seconds or 0.0, 3)}
    return _verify(report.model_copy(update={"seconds": seconds}), result.registry)


def _verify(report: JobReport, registry: dict[str, Any] | None) -> JobReport:
    """Compare the report with the registry verifier's answer."""
    digest = registry.get("digest") if registry else None
    if digest is None:
        why = (registry or {}).get("error") or "it gave no answer"
        warning = f"the registry could not be read a second time to verify the report: {why}"
        return report.model_copy(update={"warnings": (*report.warnings, warning)})
    if report.snapshot is not None and digest == report.snapshot.objects_digest:
        return report.model_copy(update={"verified": True})
    return report.model_copy(
        update={
            "outcome": Outcome.FAILED,
            "reason": Reason.JOB_FAILED,
            "message": "the registry does not contain what the job reported: either another "
            "writer changed it at the same time, or the repo's code interferes with Feast; "
            "the next attempt starts from the present registry",
        }
    )


def _without_report(request: JobRequest, result: WorkerResult) -> tuple[Reason, str]:
    """Reason and message for a worker that ended without a report."""
    doing = f"while {DOING.get(result.phase, result.phase)}"
    if result.stopped_by == "deadline":
        limit = f"{request.deadline_seconds:g} s"
        return Reason.DEADLINE_EXCEEDED, f"stopped {doing}: its deadline of {limit} has passed"
    if result.stopped_by:
        return Reason.INTERRUPTED, f"stopped {doing}: {result.stopped_by}"
    code = result.returncode
    if code == -signal.SIGKILL:
        step = "raise spec.runtime.resources.limits.memory"
        return (
            Reason.JOB_FAILED,
            f"killed by the kernel {doing}, most likely because it ran out of memory; {step}",
        )
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    if result.phase in REPO_PHASES:
        return Reason.INVALID_REPO, f"the repo's code ended the process ({how}) {doing}"
    return Reason.JOB_FAILED, f"the worker ended without a report ({how}) {doing}"


def _tail(output: bytes, redact: Redaction) -> str:
    text = redact(_TERMINAL_CODES.sub("", output.decode(errors="replace")))
    return text.encode()[-OUTPUT_TAIL_BYTES:].decode(errors="ignore")


def redacted(report: JobReport, redact: Redaction) -> JobReport:
    """The report without secrets in its texts."""
    views = tuple(v.model_copy(update={"error": redact(v.error)}) for v in report.views)
    texts = {
        "message": redact(report.message),
        "views": views,
        "warnings": tuple(map(redact, report.warnings)),
        "answers": redact.message(report.answers),
        "source_keys": redact.message(report.source_keys),
    }
    return report.model_copy(update=texts)
