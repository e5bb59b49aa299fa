"""Absorbs the job in flight: it goes on, waits for another attempt, or is over."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from feature_lineage.api.annotations import override
from feature_lineage.api.enums import (
    ApplyMode,
    DeletionPolicy,
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
from feature_lineage.decide.facts import JobFacts, SourceFacts
from feature_lineage.decide.project.draft import Draft
from feature_lineage.decide.project.endings import back_off, ending_of, finish
from feature_lineage.decide.project.history import job_id, records_operations
from feature_lineage.decide.project.job_request import inputs_digest, job_request
from feature_lineage.decide.project.preconditions import blocked_by, permission_failure
from feature_lineage.decide.values import (
    AttemptOutcome,
    CancelJob,
    KeepSnapshot,
    ObservedProject,
    StartJob,
)
from feature_lineage.operations.backfills import content_digest
from feature_lineage.operations.explain import explain_harm
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.plan import names_plan
from feature_lineage.operations.protection import guard_digest

RUNNING_LOOK: Final = timedelta(seconds=60)
WAITING_LOOK: Final = timedelta(seconds=30)
STARTING_LOOK: Final = timedelta(seconds=5)
"""No change of a Job tells why its pod does not begin: that is looked for."""


def absorb_job(draft: Draft) -> None:
    operation, job, now = draft.status.operation, draft.observed.job, draft.observed.now
    if operation is None or operation.phase is OperationPhase.BACKING_OFF:
        return
    if job is None and outdated(draft.observed, operation):
        if operation.phase is OperationPhase.PENDING and operation.attempt == 1:
            draft.update(operation=None)  # it never ran, and nobody wants it any more
        else:
            give_up(draft, operation)
    elif job is None:
        if blocked_by(draft.observed, operation.kind) is None:
            start(draft, operation)
    elif job.running:
        running: dict[str, Any] = {"phase": OperationPhase.RUNNING}
        if operation.failures == 0:
            # It waited for something, and that is over; no attempt has failed.
            running |= {"reason": None, "message": None}
        draft.update(operation=operation.model_copy(update=running))
        if not job.begun and job.reason and (job.outdated or outdated(draft.observed, operation)):
            # Whatever it waits for may never come, or only with what the project says now.
            draft.after.append(CancelJob(job_id(operation), f"{job.reason}: {job.message}"))
        draft.looks.append(now + _patience(job))
    else:
        _end(draft, operation)


def _patience(job: JobFacts) -> timedelta:
    if job.begun:
        return RUNNING_LOOK
    return WAITING_LOOK if job.reason else STARTING_LOOK


def outdated(observed: ObservedProject, operation: OperationStatus) -> bool:
    """Whether nobody wants what the operation would do, while it has no job that has begun."""
    spec = observed.resource.spec
    if _void(observed, operation):
        return True
    if KINDS[operation.kind].plans:
        if spec.apply.mode is ApplyMode.OBSERVE:
            return True
        known = isinstance(observed.source, SourceFacts)
        return known and operation.inputs_digest != inputs_digest(observed)
    if operation.backfill is not None:
        return operation.inputs_digest not in {content_digest(each) for each in spec.backfills}
    if operation.schedule is not None:
        return operation.schedule not in {schedule.name for schedule in spec.schedules}
    return False


def _void(observed: ObservedProject, operation: OperationStatus) -> bool:
    """Whether the deletion of the resource, as it is wanted now, leaves nothing of it to do."""
    if operation.kind is OperationKind.DELETE:
        return observed.resource.spec.deletion_policy is DeletionPolicy.RETAIN
    return observed.deleted


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
    left = ending.unspent or operation.failures < spec.runtime.retries
    if ending.retry and left and not _void(observed, operation):
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
    draft.status = finish(
        draft.status,
        observed.resource.spec,
        ending,
        job,
        observed.now,
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
    _tell_of_harm(draft, operation, ending)
    for text in job.report.warnings if job.report else ():
        draft.tell("Warning", "Warning", text)


def _tell_of_harm(draft: Draft, operation: OperationStatus, ending: AttemptOutcome) -> None:
    """What was let through is not hidden: a promoted model may have no resource that turns red."""
    job = draft.observed.job
    plan = job.report.plan if job and job.report else None
    applied = operation.kind is OperationKind.APPLY and ending.result is Result.SUCCEEDED
    if plan is not None and applied and (told := explain_harm(plan, operation.revision or "")):
        draft.tell("Warning", "ModelsHurt", told)


def _override_used(draft: Draft, operation: OperationStatus) -> OverrideStatus | None:
    job = draft.observed.job
    plan = job.report.plan if job and job.report else None
    annotations = draft.observed.resource.metadata.annotations
    if permission_failure(draft.observed) is not None:
        return None
    if operation.kind is OperationKind.DELETE:
        given = override(annotations, OverrideKind.ALLOW_DELETE)
        return OverrideStatus(kind=given.kind, why=given.why) if given else None
    if plan is None or plan.verdict is not PlanVerdict.ALLOWED:
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
    """The operation is over without another attempt; what it was part of goes on without it."""
    running = operation.phase is OperationPhase.RUNNING
    told = "its job is gone" if running else operation.message or "failed"
    facts = JobFacts(
        running=False,
        reason=operation.reason or "JobFailed",
        message=f"{told}; superseded before its next attempt",
    )
    attempt = operation.attempt if running else max(1, operation.attempt - 1)
    draft.update(operation=operation.model_copy(update={"attempt": attempt}))
    backfills = draft.status.backfills
    draft.status = finish(
        draft.status,
        draft.observed.resource.spec,
        replace(ending_of(facts), retry=False),
        facts,
        draft.observed.now,
        recorded=records_operations(draft.observed.resource.spec),
        override=None,
    )
    draft.update(backfills=backfills)


def start(draft: Draft, operation: OperationStatus) -> None:
    """Write the intent down; the job is started once that is written."""
    guard = draft.observed.models.guard if draft.observed.models else None
    if KINDS[operation.kind].plans and guard is not None:
        operation = operation.model_copy(update={"guard_digest": guard_digest(guard)})
    draft.update(operation=operation, sequence=max(draft.status.sequence, operation.sequence))
    draft.after.append(StartJob(job_request(draft.observed, draft.status, operation)))
