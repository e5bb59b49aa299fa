"""Absorbs the job in flight: it goes on, waits for another attempt, or is over."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from feature_lineage.api.annotations import override
from feature_lineage.api.enums import (
    OperationKind,
    OperationPhase,
    OverrideKind,
    PlanVerdict,
    Result,
)
from feature_lineage.api.project_status import (
    OperationStatus,
    OverrideStatus,
    ScheduleStatus,
)
from feature_lineage.operations.plan import names_plan
from feature_lineage.operations.protection import guard_digest
from feature_lineage.ports import JobFacts
from feature_lineage.reconcile.draft import Draft
from feature_lineage.reconcile.endings import back_off, ending_of, finish
from feature_lineage.reconcile.listing import records_operations
from feature_lineage.reconcile.requests import inputs_digest, job_request
from feature_lineage.reconcile.values import (
    KeepSnapshot,
    StartJob,
)

RUNNING_LOOK: Final = timedelta(seconds=60)


def absorb_job(draft: Draft) -> None:
    operation, job, now = draft.status.operation, draft.observed.job, draft.observed.now
    if operation is None or operation.phase is OperationPhase.BACKING_OFF:
        return
    if job is None and _outdated(draft, operation):
        draft.update(operation=None)  # it never ran, and what it would do is not wanted any more
    elif job is None:
        start(draft, operation)
    elif job.running:
        draft.update(operation=operation.model_copy(update={"phase": OperationPhase.RUNNING}))
        draft.looks.append(now + RUNNING_LOOK)
    else:
        _end(draft, operation)


def _outdated(draft: Draft, operation: OperationStatus) -> bool:
    applies = operation.kind in (OperationKind.APPLY, OperationKind.PLAN)
    return applies and operation.inputs_digest != inputs_digest(draft.observed)


def _end(draft: Draft, operation: OperationStatus) -> None:
    observed, job = draft.observed, draft.observed.job
    assert job is not None
    spec = observed.resource.spec
    ending = ending_of(job)
    report = job.report
    if report is not None and report.snapshot is not None:
        applied = operation.kind is OperationKind.APPLY and ending.result is Result.SUCCEEDED
        draft.before.append(
            KeepSnapshot(
                report.snapshot, report.finished_at, (operation.revision or "") if applied else ""
            )
        )
    if ending.retry and operation.attempt <= spec.runtime.retries and not observed.deleted:
        draft.status = back_off(draft.status, ending, job, observed.now)
        draft.tell("Warning", ending.reason, f"{operation.id}: {ending.message}")
        return
    _finish(draft, operation)


def _finish(draft: Draft, operation: OperationStatus) -> None:
    observed, job = draft.observed, draft.observed.job
    if job is None or job.running:
        return
    ending = ending_of(job)
    overridden = _override_used(draft, operation)
    guard = observed.models.guard if observed.models else None
    draft.status = finish(
        draft.status,
        observed.resource.spec,
        ending,
        job,
        observed.now,
        guard_digest=guard_digest(guard) if guard else None,
        recorded=records_operations(observed.resource.spec),
        override=overridden,
    )
    if operation.schedule is not None:
        _note_tick(draft, operation)
    warning = ending.result in (Result.FAILED, Result.BLOCKED)
    draft.tell(
        "Warning" if warning else "Normal",
        ending.reason or f"{operation.kind}{ending.result}",
        ending.message or f"{operation.kind} {operation.id} {ending.result}",
    )
    for text in job.report.warnings if job.report else ():
        draft.tell("Warning", "Warning", text)


def _override_used(draft: Draft, operation: OperationStatus) -> OverrideStatus | None:
    job = draft.observed.job
    plan = job.report.plan if job and job.report else None
    annotations = draft.observed.resource.metadata.annotations
    if operation.kind is OperationKind.DELETE:
        given = override(annotations, OverrideKind.ALLOW_DELETE)
        return OverrideStatus(kind=given.kind, why=given.why) if given else None
    if plan is None or plan.verdict.value != PlanVerdict.ALLOWED.value:
        return None
    for kind in (OverrideKind.ALLOW_ADOPTION, OverrideKind.ALLOW_BREAKING):
        given = override(annotations, kind)
        if given is not None and names_plan(given.plan_digest, plan.digest):
            return OverrideStatus(kind=given.kind, why=given.why)
    return None


def _note_tick(draft: Draft, operation: OperationStatus) -> None:
    states = {state.name: state for state in draft.status.schedules}
    name = operation.schedule or ""
    state = states.get(name, ScheduleStatus(name=name))
    states[name] = state.model_copy(update={"last": operation.started_for})
    draft.update(schedules=tuple(states[key] for key in sorted(states)))


def give_up(draft: Draft, operation: OperationStatus) -> None:
    facts = JobFacts(
        running=False,
        reason=operation.reason or "JobFailed",
        message=f"{operation.message or 'failed'}; superseded before its next attempt",
    )
    last = operation.model_copy(update={"attempt": max(1, operation.attempt - 1)})
    draft.update(operation=last)
    draft.status = finish(
        draft.status,
        draft.observed.resource.spec,
        replace(ending_of(facts), retry=False),
        facts,
        draft.observed.now,
        guard_digest=None,
        recorded=records_operations(draft.observed.resource.spec),
        override=None,
    )


def start(draft: Draft, operation: OperationStatus) -> None:
    """Write the intent down; the job is started once that is written."""
    draft.update(operation=operation, sequence=max(draft.status.sequence, operation.sequence))
    draft.after.append(StartJob(job_request(draft.observed, draft.status, operation)))
