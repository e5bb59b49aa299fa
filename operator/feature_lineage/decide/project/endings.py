"""What the end of a job means for the status of its project.

An end is taken over in one patch: the operation leaves `status.operation`, joins
`status.operations`, and all its report says of registry, plan and views comes with it.
"""

import re
from datetime import datetime, timedelta
from typing import Any, Final

from feature_lineage.api.enums import (
    BackfillState,
    OperationPhase,
    Result,
)
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import (
    AppliedStatus,
    FeatureStoreProjectStatus,
    LastApply,
    OperationStatus,
    OperationView,
    OverrideStatus,
    RegistryStatus,
    RuntimeStatus,
)
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.project.history import listed, record
from feature_lineage.decide.project.plan_status import plan_status
from feature_lineage.decide.project.view_status import outcome, with_views
from feature_lineage.decide.values import AttemptOutcome
from feature_lineage.operations.backoff import delay
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import ExitCode, JobReport, Outcome
from feature_lineage.reasons import Reason

MAX_MESSAGE: Final = 2000
_REASON: Final = re.compile(r"[A-Z][A-Za-z0-9]{1,63}")


def ending_of(job: JobFacts) -> AttemptOutcome:
    """Judge a job that is not running any more; what its report says is not to be trusted."""
    report = job.report
    if report is None:
        message = job.message[:MAX_MESSAGE]
        reason = job.reason or "JobFailed"
        return AttemptOutcome(Result.FAILED, reason, message, retry=True, unspent=not job.begun)
    message = report.message[:MAX_MESSAGE]
    match report.outcome:
        case Outcome.SUCCEEDED:
            return AttemptOutcome(Result.SUCCEEDED, "", message, retry=False)
        case Outcome.PLANNED:
            return AttemptOutcome(Result.PLANNED, "", message, retry=False)
        case Outcome.BLOCKED:
            return AttemptOutcome(Result.BLOCKED, _reason(report, "Blocked"), message, retry=False)
        case Outcome.PARTIAL:
            return AttemptOutcome(Result.FAILED, "ViewsFailing", message, retry=True)
        case Outcome.STEPPED_BACK:
            reason = _reason(report, "GuardUnavailable")
            return AttemptOutcome(Result.FAILED, reason, message, retry=True, unspent=True)
        case Outcome.FAILED:
            unspent = report.reason == Reason.INTERRUPTED
            reason = "JobFailed" if unspent else _reason(report, "JobFailed")
            retry = report.exit_code is not ExitCode.TERMINAL
            return AttemptOutcome(Result.FAILED, reason, message, retry=retry, unspent=unspent)


def _reason(report: JobReport, otherwise: str) -> str:
    return report.reason if _REASON.fullmatch(report.reason) else otherwise


def back_off(
    status: FeatureStoreProjectStatus, ending: AttemptOutcome, job: JobFacts, now: datetime
) -> FeatureStoreProjectStatus:
    """The operation in flight waits for its next attempt; views that are done are not repeated."""
    operation = status.operation
    if operation is None:
        return status
    views = _views_after(operation, job.report)
    failures = operation.failures + (not ending.unspent)
    wait = now + delay(operation.id, operation.attempt if ending.unspent else failures)
    if ending.unspent and operation.attempt <= 2:
        wait = now + timedelta(seconds=1)
    waiting = operation.model_copy(
        update={
            "phase": OperationPhase.BACKING_OFF,
            "attempt": operation.attempt + 1,
            "failures": failures,
            "not_before": wait.replace(microsecond=0),
            "views": views,
            "reason": ending.reason,
            "message": ending.message,
        }
    )
    return with_views(status.model_copy(update={"operation": waiting}), job.report, now)


def _views_after(operation: OperationStatus, report: JobReport | None) -> tuple[OperationView, ...]:
    """The operation's views with what became of them; one that meant every view names them now."""
    done = {view.name: view for view in (report.views if report else ()) if view.result}
    start, end = operation.window_start, operation.window_end
    every = (
        OperationView(name=name, start=start, end=end, incremental=start is None)
        for name in sorted(done)
        if end is not None
    )
    return tuple(
        view.model_copy(update=outcome(done[view.name])) if view.name in done else view
        for view in operation.views or every
    )


def finish(
    status: FeatureStoreProjectStatus,
    spec: FeatureStoreProjectSpec,
    ending: AttemptOutcome,
    job: JobFacts | None,
    now: datetime,
    *,
    recorded: bool,
    override: OverrideStatus | None,
) -> FeatureStoreProjectStatus:
    """The operation is over: everything it found out is taken over.

    Args:
        recorded: whether MLflow is to have it (then it stays listed until it does).
        override: the annotation that let it through.
    """
    operation = status.operation
    if operation is None:
        return status
    report = job.report if job else None
    changes: dict[str, Any] = {
        "operation": None,
        "operations": listed(
            (record(operation, ending, report, now, override), *status.operations), recorded
        ),
    }
    if report is not None and report.feast_version:
        changes["runtime"] = RuntimeStatus(feast_version=report.feast_version)
    if report is not None and report.registry_id:
        changes["registry"] = _registry(status.registry, report, operation.id, now)
    if KINDS[operation.kind].plans:
        changes |= _apply_outcome(status, operation, ending, report, now)
    if operation.backfill:
        changes["backfills"] = _backfills(status, operation, ending, now, spec)
    return with_views(status.model_copy(update=changes), report, now)


def _registry(
    current: RegistryStatus | None, report: JobReport, operation_id: str, now: datetime
) -> RegistryStatus:
    seen = report.snapshot is not None
    kept = current or RegistryStatus()
    return RegistryStatus(
        id=report.registry_id,
        digest=report.snapshot.digest if report.snapshot else kept.digest,
        observed_at=report.finished_at if seen else kept.observed_at or now,
        operation_id=operation_id if seen else kept.operation_id,
    )


def _apply_outcome(
    status: FeatureStoreProjectStatus,
    operation: OperationStatus,
    ending: AttemptOutcome,
    report: JobReport | None,
    now: datetime,
) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "last_apply": LastApply(
            operation_id=operation.id,
            inputs_digest=operation.inputs_digest,
            guard_digest=operation.guard_digest,
            result=ending.result,
            reason=ending.reason or None,
            message=ending.message or None,
            attempt=operation.attempt,
            at=now,
            revision=operation.revision,
        )
    }
    if report is None:
        return changes
    if report.plan is not None:
        changes["plan"] = plan_status(report.plan, operation.revision, status.plan, now)
    if ending.result is Result.SUCCEEDED and report.snapshot is not None:
        changes["applied"] = AppliedStatus(
            revision=operation.revision,
            project=report.project,
            registry_id=report.registry_id or None,
            registry_digest=report.snapshot.digest,
            at=report.finished_at,
            created=report.counts.get("created", 0),
            updated=report.counts.get("updated", 0),
            deleted=report.counts.get("deleted", 0),
            operation_id=operation.id,
        )
    return changes


def _backfills(
    status: FeatureStoreProjectStatus,
    operation: OperationStatus,
    ending: AttemptOutcome,
    now: datetime,
    spec: FeatureStoreProjectSpec,
) -> tuple[Any, ...]:
    ends = {backfill.name: backfill.end for backfill in spec.backfills}
    changed = []
    for backfill in status.backfills:
        if (backfill.name, backfill.digest) != (operation.backfill, operation.inputs_digest):
            changed.append(backfill)
            continue
        through = operation.window_end
        if ending.result is not Result.SUCCEEDED or through is None:
            update: dict[str, Any] = {"state": BackfillState.FAILED, "finished_at": now}
        elif through >= ends.get(backfill.name, through):
            update = {
                "state": BackfillState.SUCCEEDED,
                "completed_through": through,
                "finished_at": now,
            }
        else:
            update = {"state": BackfillState.RUNNING, "completed_through": through}
        changed.append(backfill.model_copy(update=update))
    return tuple(changed)
