"""The result of one attempt of an operation, and the start of the next attempt."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api.enums import OperationPhase, Result
from feature_lineage.api.operation_status import OperationStatus, OperationView
from feature_lineage.decide.budget import MESSAGE, fit
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.project.views import outcome
from feature_lineage.operations.backoff import delay
from feature_lineage.operations.job_report import ExitCode, JobReport, Outcome
from feature_lineage.reasons import TERMINAL_REASONS, Reason

_REASON: Final = re.compile(r"[A-Z][A-Za-z0-9]{1,63}")


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """The result of one attempt, with or without a report.

    Attributes:
        result: the result of the operation if it ended now.
        retry: whether another attempt may succeed.
        unspent: the attempt uses no retry (the job stopped before it changed anything).
    """

    result: Result
    reason: str
    message: str
    retry: bool
    unspent: bool = False


def outcome_of(job: JobFacts) -> AttemptOutcome:
    """The result of a job that has ended; its report is untrusted."""
    report = job.report
    if report is None:
        message = fit(job.message, MESSAGE)
        reason = job.reason or Reason.JOB_FAILED
        retry = reason not in TERMINAL_REASONS
        return AttemptOutcome(Result.FAILED, reason, message, retry, unspent=not job.begun)
    message = fit(report.message, MESSAGE)
    match report.outcome:
        case Outcome.SUCCEEDED:
            return AttemptOutcome(Result.SUCCEEDED, "", message, retry=False)
        case Outcome.PLANNED:
            return AttemptOutcome(Result.PLANNED, "", message, retry=False)
        case Outcome.BLOCKED:
            return AttemptOutcome(
                Result.BLOCKED, _reason(report, Reason.BLOCKED), message, retry=False
            )
        case Outcome.PARTIAL:
            retry = _has_work_left(report)
            return AttemptOutcome(Result.FAILED, Reason.VIEWS_FAILING, message, retry=retry)
        case Outcome.STEPPED_BACK:
            reason = _reason(report, Reason.GUARD_UNAVAILABLE)
            return AttemptOutcome(Result.FAILED, reason, message, retry=True, unspent=True)
        case Outcome.FAILED:
            unspent = report.reason == Reason.INTERRUPTED
            reason = Reason.JOB_FAILED if unspent else _reason(report, Reason.JOB_FAILED)
            retry = report.exit_code is not ExitCode.TERMINAL and _has_work_left(report)
            return AttemptOutcome(Result.FAILED, reason, message, retry=retry, unspent=unspent)


def _has_work_left(report: JobReport) -> bool:
    """Whether another attempt does more than to skip views."""
    results = {view.result for view in report.views}
    return report.reason != Reason.VIEWS_FAILING or "Skipped" not in results or "Failed" in results


def _reason(report: JobReport, otherwise: str) -> str:
    return report.reason if _REASON.fullmatch(report.reason) else otherwise


def backing_off(
    operation: OperationStatus, ended: AttemptOutcome, report: JobReport | None, now: datetime
) -> OperationStatus:
    """The operation while it waits for its next attempt; finished views are not repeated."""
    failures = operation.failures + (not ended.unspent)
    wait = now + delay(operation.id, operation.attempt if ended.unspent else failures)
    if ended.unspent and operation.attempt <= 2:
        wait = now + timedelta(seconds=1)
    return operation.model_copy(
        update={
            "phase": OperationPhase.BACKING_OFF,
            "attempt": operation.attempt + 1,
            "failures": failures,
            "not_before": wait.replace(microsecond=0),
            "views": _views_after(operation, report),
            "reason": ended.reason,
            "message": ended.message,
            "overtaken_by": None,
        }
    )


def _views_after(operation: OperationStatus, report: JobReport | None) -> tuple[OperationView, ...]:
    """The views of the operation with their results; views that were not named are added."""
    seen = report.views if report else ()
    done = {view.name: view for view in seen if view.result}
    start, end = operation.window_start, operation.window_end
    every = (
        OperationView(name=name, start=start, end=end, incremental=start is None)
        for name in sorted({view.name for view in seen if view.end is not None} | done.keys())
        if end is not None
    )
    return tuple(
        view.model_copy(update=outcome(done[view.name])) if view.name in done else view
        for view in operation.views or every
    )
