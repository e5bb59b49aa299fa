"""The life of an operation: decided, running, waiting for another attempt, ended.

Every end of an operation, whatever its cause, goes through `end_operation`.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from feature_lineage.api.enums import (
    ApplyMode,
    DeletionPolicy,
    OperationKind,
    OperationPhase,
    Result,
)
from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import (
    FeatureStoreProjectStatus,
    RegistryStatus,
    RuntimeStatus,
)
from feature_lineage.decide.budget import MESSAGE, fit
from feature_lineage.decide.decision import CancelJob, KeepProbe, KeepSnapshot, StartJob
from feature_lineage.decide.events import AttemptFailed, OperationStarted, OperationWithdrawn
from feature_lineage.decide.facts import JobFacts, SourceFacts, key_of
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.decide.project.attempt import AttemptOutcome, backing_off, outcome_of
from feature_lineage.decide.project.end_events import end_events
from feature_lineage.decide.project.history import listed, record, records_operations
from feature_lineage.decide.project.job_request import inputs_digest, job_request
from feature_lineage.decide.project.newer_guard import answer_question, with_guard_digest
from feature_lineage.decide.project.plan_doubts import plan_doubts
from feature_lineage.decide.project.preconditions import blocked_by
from feature_lineage.decide.project.probing import after_dead_probe, probe_after, probe_status
from feature_lineage.decide.project.status_changes import (
    apply_changes,
    backfills_after,
    override_used,
    registry_after,
    schedules_after,
)
from feature_lineage.decide.project.step import Step
from feature_lineage.decide.project.suspects import left_views, puts_back, tried_with
from feature_lineage.decide.project.views import with_views
from feature_lineage.operations.backfills import content_digest
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.kinds import KINDS, Lane
from feature_lineage.reasons import Reason

RUNNING_INTERVAL: Final = timedelta(seconds=60)
WAITING_INTERVAL: Final = timedelta(seconds=30)
NOTHING_WRITTEN: Final = (Outcome.BLOCKED, Outcome.PLANNED)
STARTING_INTERVAL: Final = timedelta(seconds=5)
"""A job that does not start sends no events, so its state is read again after this time."""


def follow_job(observed: ObservedProject, step: Step, lane: Lane) -> Step:
    """Update the operation in flight by the state of its job: missing, running, or ended."""
    operation = step.operation(lane)
    if operation is None or operation.phase is OperationPhase.BACKING_OFF:
        return step
    job = observed.job_of(operation)
    if job is not None:
        if job.running:
            return _running(observed, step, operation, job)
        return _attempt_ended(observed, step, operation, job)
    if not outdated(observed, operation):
        if blocked_by(observed, operation.kind) is None:
            return start(observed, step, operation)
        return step
    if operation.phase is OperationPhase.PENDING and operation.attempt == 1:
        return withdraw(observed, step, operation, "it never ran and is not needed any more")
    return supersede(observed, step, operation)


def _running(
    observed: ObservedProject, step: Step, operation: OperationStatus, job: JobFacts
) -> Step:
    running: dict[str, Any] = {"phase": OperationPhase.RUNNING}
    if operation.failures == 0 and operation.reason != Reason.GUARD_UNAVAILABLE:
        # Its cause of waiting has ended, and no attempt has failed.
        running |= {"reason": None, "message": None}
    operation = operation.model_copy(update=running)
    step = answer_question(observed, step.with_operation(operation), operation, job)
    in_vain = not job.begun and job.reason and not job.cancelled
    if in_vain and (job.outdated or outdated(observed, operation)):
        # Its cause of waiting may never end, or may end only with the current spec.
        step = step.acting(CancelJob(operation.job, f"{job.reason}: {job.message}"))
    interval = WAITING_INTERVAL if job.reason else STARTING_INTERVAL
    return step.requeued((observed.now + (RUNNING_INTERVAL if job.begun else interval),))


def outdated(observed: ObservedProject, operation: OperationStatus) -> bool:
    """Whether the operation is not wanted any more, while none of its jobs has begun."""
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
    if puts_back(operation):
        return not left_views(spec, observed.resource.status)
    if operation.schedule is not None:
        return operation.schedule not in {schedule.name for schedule in spec.schedules}
    return False


def _void(observed: ObservedProject, operation: OperationStatus) -> bool:
    """Whether the deletion of the resource, as now requested, leaves the operation without work."""
    if operation.kind is OperationKind.DELETE:
        return observed.resource.spec.deletion_policy is DeletionPolicy.RETAIN
    return observed.deleted


def _attempt_ended(
    observed: ObservedProject, step: Step, operation: OperationStatus, job: JobFacts
) -> Step:
    ended = outcome_of(job)
    if ended.reason == operation.reason == Reason.GUARD_UNAVAILABLE:
        # Again the guard became too old while the job worked: the next attempt takes as long.
        ended = replace(ended, unspent=False)
    if job.cancelled and ended.unspent and KINDS[operation.kind].yields:
        return withdraw(observed, step, operation, "it yielded to another operation")
    left = ended.unspent or operation.failures < observed.resource.spec.runtime.retries
    if not (ended.retry and left) or _void(observed, operation):
        return end_operation(observed, step, operation, ended, job.report)
    report = job.report
    if report is not None and operation.overtaken_by is not None:
        report = _overtaken(report)
    waiting = backing_off(operation, ended, report, observed.now)
    step = _keeping_probe(observed, step, operation, ended, report)
    step = _keeping_snapshot(step, operation, ended, report).with_operation(waiting)
    failed = AttemptFailed(
        key_of(observed.resource),
        operation.id,
        operation.kind,
        operation.attempt,
        ended.reason,
        ended.message,
    )
    views = _views(observed, step, report, step.status.registry)
    return replace(step, status=views).telling(failed)


def start(observed: ObservedProject, step: Step, operation: OperationStatus) -> Step:
    """Write the operation to the status; its job is started after the write."""
    operation = with_guard_digest(observed, operation)
    first = step.status.sequence < operation.sequence
    step = step.with_operation(operation).update(
        sequence=max(step.status.sequence, operation.sequence)
    )
    request = job_request(observed, step.status, step.snapshot, operation, step.probe)
    started = OperationStarted(
        key_of(observed.resource), operation.id, operation.kind, operation.revision or ""
    )
    return step.acting(StartJob(request)).telling(*((started,) if first else ()))


def withdraw(
    observed: ObservedProject, step: Step, operation: OperationStatus, reason: str
) -> Step:
    """The operation leaves the status without a result; due operations then start again."""
    withdrawn = OperationWithdrawn(key_of(observed.resource), operation.id, operation.kind, reason)
    return step.without_operation(operation).telling(withdrawn)


def supersede(observed: ObservedProject, step: Step, operation: OperationStatus) -> Step:
    """End the operation without another attempt; its schedule or backfill continues."""
    running = operation.phase is OperationPhase.RUNNING
    message = "its job is gone" if running else operation.message or "failed"
    ended = AttemptOutcome(
        Result.FAILED,
        operation.reason or Reason.JOB_FAILED,
        fit(f"{message}; superseded before its next attempt", MESSAGE),
        retry=False,
    )
    attempt = operation.attempt if running else max(1, operation.attempt - 1)
    last = operation.model_copy(update={"attempt": attempt})
    return end_operation(observed, step, last, ended, None, superseded=True)


def end_operation(
    observed: ObservedProject,
    step: Step,
    operation: OperationStatus,
    ended: AttemptOutcome,
    report: JobReport | None,
    *,
    superseded: bool = False,
) -> Step:
    """End the operation: add it to the list, and take over the content of its report.

    Args:
        report: report of its last job; None if there is none.
        superseded: its tick or chunk is not finished, and is due again.
    """
    if report is not None and operation.overtaken_by is not None:
        report = _overtaken(report)
        by = f"{operation.overtaken_by} wrote the registry in the meantime; this read is not used"
        ended = replace(ended, message=ended.message or by)
    step = _keeping_probe(observed, step, operation, ended, report)
    step = _keeping_snapshot(step, operation, ended, report)
    status, spec, now = step.status, observed.resource.spec, observed.now
    permission = None if superseded else override_used(observed, operation, report)
    entry = record(operation, ended, report, now, permission)
    changes: dict[str, Any] = {
        "operations": listed((entry, *status.operations), records_operations(spec))
    }
    if report is not None and report.feast_version:
        changes["runtime"] = RuntimeStatus(feast_version=report.feast_version)
    if report is not None and report.registry_id and operation.kind is not OperationKind.PROBE:
        in_effect = _in_effect(observed, operation, ended)
        changes["registry"] = registry_after(
            status.registry, report, operation.id, now, in_effect=in_effect
        )
    if KINDS[operation.kind].plans:
        changes |= apply_changes(status, operation, ended, report, now)
    if operation.backfill is not None and not superseded:
        changes["backfills"] = backfills_after(status, operation, ended, now, spec)
    if operation.schedule is not None and not superseded:
        changes["schedules"] = schedules_after(status, operation)
    step = step.without_operation(operation).update(**changes)
    snapshot = report.snapshot if report is not None and report.registry_id else None
    events = end_events(
        observed.resource,
        entry,
        ended.message,
        report,
        superseded=superseded,
        doubts=plan_doubts(observed),
    )
    # While no job of ours materializes: the state of a view may be another tool's.
    read = operation.kind is OperationKind.OBSERVE and step.status.operation is None
    viewed = _views(observed, step, report, status.registry, read=read)
    tried = _put_back_tried(viewed, spec, operation)
    return replace(
        step,
        status=viewed.model_copy(update={"put_back_tried": tried}),
        snapshot=snapshot or step.snapshot,
        events=(*step.events, *events),
    )


def _views(
    observed: ObservedProject,
    step: Step,
    report: JobReport | None,
    before: RegistryStatus | None,
    *,
    read: bool = False,
) -> FeatureStoreProjectStatus:
    digest_for = tried_with(observed.resource.spec, step.snapshot)
    online_store = before.online_store if before else None
    return with_views(step.status, report, observed.now, digest_for, online_store, observed=read)


def _in_effect(
    observed: ObservedProject, operation: OperationStatus, ended: AttemptOutcome
) -> bool:
    """Whether the feature_store.yaml that the job used is in effect.

    That of a plan or of a blocked apply is not. A materialization uses the newest text of the spec,
    and so does an Observe beside applies, which reads the newest revision as well.
    """
    if observed.resource.spec.apply.mode is ApplyMode.OBSERVE:
        return True
    if KINDS[operation.kind].materializes:
        last = observed.resource.status.last_apply
        return last is None or last.result is Result.SUCCEEDED
    return KINDS[operation.kind].plans and ended.result is Result.SUCCEEDED


def _put_back_tried(
    status: FeatureStoreProjectStatus, spec: FeatureStoreProjectSpec, operation: OperationStatus
) -> str | None:
    """What the last operation that only puts back states tried to put back; None if all is done."""
    if not left_views(spec, status):
        return None
    return operation.inputs_digest if puts_back(operation) else status.put_back_tried


def _overtaken(report: JobReport) -> JobReport:
    """The report without the parts that an operation in the other lane has made outdated."""
    return report.model_copy(update={"snapshot": None, "views": (), "answers": ()})


def _keeping_probe(
    observed: ObservedProject,
    step: Step,
    operation: OperationStatus,
    ended: AttemptOutcome,
    report: JobReport | None,
) -> Step:
    """Store the keys of a materialization, or the answers of a probe, or that it died."""
    record = probe_after(observed, step.probe, step.snapshot, report)
    died = operation.kind is OperationKind.PROBE and ended.result is Result.FAILED
    if record is None and died and not ended.unspent:
        record = after_dead_probe(observed, step.probe, step.snapshot, report, ended.message)
    if record is None:
        return step
    step = replace(step, probe=record, before=(*step.before, KeepProbe(record)))
    return step.update(probe=probe_status(record, step.status.probe))


def _keeping_snapshot(
    step: Step, operation: OperationStatus, ended: AttemptOutcome, report: JobReport | None
) -> Step:
    """Store the snapshot of a report, unless it was read before a later write."""
    if report is None or report.snapshot is None:
        return step
    applied = operation.kind is OperationKind.APPLY and ended.result is Result.SUCCEEDED
    revision = (operation.revision or "") if applied else ""
    keep = KeepSnapshot(report.snapshot, report.finished_at, revision)
    step = replace(step, before=(*step.before, keep))
    reading = step.operation(Lane.READING)
    wrote = KINDS[operation.kind].writes_registry and report.outcome not in NOTHING_WRITTEN
    if reading is None or not wrote or reading.phase is OperationPhase.BACKING_OFF:
        return step
    return step.with_operation(reading.model_copy(update={"overtaken_by": operation.id}))
