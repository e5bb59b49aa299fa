"""`decide` for a FeatureStoreProject: a pure function from what is observed to what to do.

It reads top to bottom: absorb the job in flight, start the next operation, describe the state.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from feature_lineage.api.annotations import RECONCILE_REQUESTED_AT, override
from feature_lineage.api.enums import (
    BackfillState,
    DeletionPolicy,
    OperationKind,
    OperationPhase,
    OverrideKind,
    PlanVerdict,
    Result,
)
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import (
    BackfillStatus,
    FeatureStoreProjectStatus,
    OperationStatus,
    OverrideStatus,
    ScheduleStatus,
    SourceStatus,
)
from feature_lineage.errors import InvalidManifest
from feature_lineage.operations import backfills
from feature_lineage.operations.identity import operation_id
from feature_lineage.operations.plan import names_plan
from feature_lineage.operations.protection import guard_digest
from feature_lineage.operations.queue import Work
from feature_lineage.ports import Event, JobFacts, Key, SourceFacts
from feature_lineage.reconcile import candidates
from feature_lineage.reconcile.absorb import back_off, ending_of, finish, job_id
from feature_lineage.reconcile.candidates import Candidate, Situation, next_operation
from feature_lineage.reconcile.ownership import guard_failure, owner_failure
from feature_lineage.reconcile.project_conditions import conditions_of
from feature_lineage.reconcile.project_views import counts, judge_views, with_freshness
from feature_lineage.reconcile.requests import COMMANDS, inputs_digest, job_request
from feature_lineage.reconcile.values import (
    Action,
    Decision,
    KeepSnapshot,
    ObservedProject,
    Record,
    StartJob,
)

ProjectStatus = FeatureStoreProjectStatus
RUNNING_LOOK: Final = timedelta(seconds=60)


@dataclass
class Draft:
    """A decision while it is being made; it never leaves this module."""

    observed: ObservedProject
    status: ProjectStatus
    before: list[KeepSnapshot] = field(default_factory=list)
    after: list[Action] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    looks: list[datetime] = field(default_factory=list)

    def update(self, **changes: Any) -> None:
        self.status = self.status.model_copy(update=changes)

    def tell(self, kind: str, reason: str, message: str) -> None:
        metadata = self.observed.resource.metadata
        key = Key("FeatureStoreProject", metadata.namespace, metadata.name)
        self.events.append(Event(key, kind, reason, message))  # type: ignore[arg-type]


def decide(observed: ObservedProject) -> Decision[ProjectStatus]:
    """What follows from everything known about one project."""
    draft = Draft(observed, observed.resource.status)
    _note_source(draft)
    _sync_backfills(draft)
    _absorb_job(draft)
    situation = _situation(draft)
    _start_next(draft, situation)
    _record(draft)
    _sync_schedules(draft)
    _describe(draft, situation)
    _next_looks(draft)
    return Decision(
        status=draft.status,
        before=tuple(draft.before),
        after=tuple(draft.after),
        events=tuple(draft.events),
        next_look=min(draft.looks, default=None),
        finished=_finished(draft),
    )


def _note_source(draft: Draft) -> None:
    observed = draft.observed
    if isinstance(observed.source, SourceFacts):
        known = draft.status.source
        if known is None or known.revision != observed.source.revision:
            draft.update(
                source=SourceStatus(revision=observed.source.revision, observed_at=observed.now)
            )
    requested = observed.resource.metadata.annotations.get(RECONCILE_REQUESTED_AT)
    if requested is not None:
        draft.update(last_handled_reconcile_at=requested)


def _sync_backfills(draft: Draft) -> None:
    """A backfill whose content changed is a new one; the same content never runs twice."""
    known = {state.name: state for state in draft.status.backfills}
    states = []
    for spec in draft.observed.resource.spec.backfills:
        digest = backfills.content_digest(spec)
        state = known.get(spec.name)
        if state is None or state.digest != digest:
            state = BackfillStatus(name=spec.name, digest=digest, state=BackfillState.PENDING)
        states.append(state)
    draft.update(backfills=tuple(states))


def _absorb_job(draft: Draft) -> None:
    operation, job, now = draft.status.operation, draft.observed.job, draft.observed.now
    if operation is None or operation.phase is OperationPhase.BACKING_OFF:
        return
    if job is None and _outdated(draft, operation):
        draft.update(operation=None)  # it never ran, and what it would do is not wanted any more
    elif job is None:
        _start(draft, operation)
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


def records_operations(spec: FeatureStoreProjectSpec) -> bool:
    """Whether operations become ops runs in MLflow."""
    return spec.mlflow is not None and spec.mlflow.log_operations


def _situation(draft: Draft) -> Situation:
    observed = draft.observed
    return Situation(
        observed=observed,
        status=draft.status,
        inputs_digest=inputs_digest(observed),
        guard_ready=guard_failure(observed) is None,
        owned=owner_failure(observed) is None,
    )


def _start_next(draft: Draft, situation: Situation) -> None:
    operation = draft.status.operation
    if operation is not None and operation.phase is not OperationPhase.BACKING_OFF:
        return
    try:
        candidate = next_operation(situation)
    except InvalidManifest as error:
        draft.tell("Warning", error.reason, error.message)
        return
    now = draft.observed.now
    if operation is not None:
        waits = operation.not_before is not None and now < operation.not_before
        superseded = candidate is not None and _supersedes(candidate, operation)
        if not superseded:
            if waits and not draft.observed.requested:
                draft.looks.append(operation.not_before or now)
                return
            retried = operation.model_copy(
                update={"phase": OperationPhase.PENDING, "not_before": None}
            )
            _start(draft, retried)
            return
        _give_up(draft, operation)
    if candidate is not None:
        _start(draft, _operation(draft, candidate))


def _supersedes(candidate: Candidate, operation: OperationStatus) -> bool:
    """An apply with other inputs, or a deletion, takes the place of whatever waits."""
    if candidate.kind is OperationKind.DELETE:
        return operation.kind is not OperationKind.DELETE
    return candidate.work is Work.APPLY and candidate.inputs_digest != operation.inputs_digest


def _give_up(draft: Draft, operation: OperationStatus) -> None:
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


def _operation(draft: Draft, candidate: Candidate) -> OperationStatus:
    sequence = draft.status.sequence + 1
    metadata = draft.observed.resource.metadata
    return OperationStatus(
        id=operation_id(COMMANDS[candidate.kind], metadata.uid, sequence, candidate.inputs_digest),
        kind=candidate.kind,
        sequence=sequence,
        revision=candidate.revision or None,
        inputs_digest=candidate.inputs_digest or None,
        started_at=draft.observed.now,
        schedule=candidate.schedule,
        backfill=candidate.backfill,
        started_for=candidate.since if candidate.schedule else None,
        window_start=candidate.window_start,
        window_end=candidate.window_end,
        views=candidate.views,
    )


def _start(draft: Draft, operation: OperationStatus) -> None:
    """Write the intent down; the job is started once that is written."""
    draft.update(operation=operation, sequence=max(draft.status.sequence, operation.sequence))
    draft.after.append(StartJob(job_request(draft.observed, draft.status, operation)))


def _record(draft: Draft) -> None:
    """Every operation MLflow does not have yet, oldest first, while MLflow answers."""
    if not records_operations(draft.observed.resource.spec) or draft.observed.resource.spec.suspend:
        return
    models = draft.observed.models
    if models is None or models.failure is not None:
        return
    for operation in reversed(draft.status.operations):
        if operation.mlflow_run_id is None:
            draft.after.append(Record(operation.id))


def _sync_schedules(draft: Draft) -> None:
    known = {state.name: state for state in draft.status.schedules}
    states = []
    for schedule in draft.observed.resource.spec.schedules:
        due = candidates.schedule_state(schedule, draft.status, draft.observed)
        state = known.get(schedule.name, ScheduleStatus(name=schedule.name))
        handled = due.skipped or state.last
        states.append(state.model_copy(update={"next": due.next, "last": handled}))
        if due.next is not None and not draft.observed.resource.spec.suspend:
            draft.looks.append(due.next)
    draft.update(schedules=tuple(sorted(states, key=lambda state: state.name)))


def _describe(draft: Draft, situation: Situation) -> None:
    observed = draft.observed
    judged = judge_views(observed, draft.status)
    draft.status = with_freshness(draft.status, observed.resource.spec, judged)
    draft.looks += [item.next_stale_at for item in judged.values() if item.next_stale_at]
    conditions = conditions_of(observed, draft.status, situation, judged)
    draft.update(
        counts=counts(observed, judged),
        conditions=conditions.values,
        observed_generation=observed.resource.metadata.generation or None,
    )


def _next_looks(draft: Draft) -> None:
    observed, spec = draft.observed, draft.observed.resource.spec
    if spec.source is not None:
        draft.looks.append(observed.now + spec.source.poll_interval)
    if spec.mlflow is not None:
        draft.looks.append(observed.now + spec.mlflow.poll_interval)
    interval = spec.registry_poll_interval
    registry = draft.status.registry
    if interval is not None and registry is not None and registry.observed_at is not None:
        draft.looks.append(registry.observed_at + interval)
    draft.looks = [max(look, observed.now + timedelta(seconds=1)) for look in draft.looks]


def _finished(draft: Draft) -> bool:
    if not draft.observed.deleted or draft.status.operation is not None:
        return False
    spec = draft.observed.resource.spec
    if spec.deletion_policy is DeletionPolicy.RETAIN or draft.status.registry is None:
        return True
    done = [op for op in draft.status.operations if op.kind is OperationKind.DELETE]
    return bool(done) and done[0].result is Result.SUCCEEDED and done[0].mlflow_run_id is not None


def needed_jobs(status: ProjectStatus, *, recorded: bool) -> frozenset[str]:
    """Jobs whose result somebody still needs: in flight, or not on record yet."""
    needed = {
        operation.job
        for operation in status.operations
        if recorded and operation.mlflow_run_id is None and operation.job
    }
    if status.operation is not None:
        needed.add(job_id(status.operation))
    return frozenset(needed)
