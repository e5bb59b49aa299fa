"""`decide` for a FeatureStoreProject: a pure function from what is observed to what to do.

It reads top to bottom: absorb the job in flight, start the next operation, describe the state.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api.annotations import RECONCILE_REQUESTED_AT
from feature_lineage.api.enums import (
    BackfillState,
    DeletionPolicy,
    OperationKind,
    OperationPhase,
    Result,
)
from feature_lineage.api.project_status import (
    BackfillStatus,
    OperationStatus,
    ScheduleStatus,
    SourceStatus,
)
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.project.conditions import conditions_of
from feature_lineage.decide.project.draft import Draft, ProjectStatus
from feature_lineage.decide.project.due import (
    Candidate,
    DecisionInput,
    last_looked,
    next_operation,
    schedule_state,
)
from feature_lineage.decide.project.history import listed, records_operations
from feature_lineage.decide.project.job_request import inputs_digest, own_registry
from feature_lineage.decide.project.lifecycle import absorb_job, give_up, outdated, start
from feature_lineage.decide.project.preconditions import blocked_by
from feature_lineage.decide.project.queue import Work
from feature_lineage.decide.project.views import counts, judge_views, with_freshness
from feature_lineage.decide.values import (
    Decision,
    Failure,
    ObservedProject,
    Record,
)
from feature_lineage.errors import InvalidManifest
from feature_lineage.operations import backfills
from feature_lineage.operations.identity import operation_id

WAITING: Final = timedelta(minutes=1)


def decide(observed: ObservedProject) -> Decision[ProjectStatus]:
    """What follows from everything known about one project."""
    # A status tells whole seconds: it must be the same when it comes back from where it is kept.
    now, observed = observed.now, replace(observed, now=observed.now.replace(microsecond=0))
    draft = Draft(observed, observed.resource.status)
    _note_source(draft)
    _sync_backfills(draft)
    _note_new_schedules(draft)
    absorb_job(draft)
    situation = _situation(draft)
    _start_next(draft, situation)
    _record(draft)
    _sync_schedules(draft)
    _describe(draft, situation)
    _next_looks(draft, now)
    return Decision(
        status=draft.status,
        before=tuple(draft.before),
        after=tuple(draft.after),
        events=tuple(draft.events),
        requeue_at=min(draft.looks, default=None),
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


def _note_new_schedules(draft: Draft) -> None:
    """A schedule that joins a resource begins now: no tick before was ever its own."""
    known = {state.name for state in draft.status.schedules}
    if draft.status.observed_generation is None:
        return
    new = tuple(
        ScheduleStatus(name=schedule.name, last=draft.observed.now)
        for schedule in draft.observed.resource.spec.schedules
        if schedule.name not in known
    )
    if new:
        draft.update(schedules=(*draft.status.schedules, *new))


def _sync_backfills(draft: Draft) -> None:
    """A backfill whose content changed is a new one; the same content never runs twice.

    What is done stays listed though its manifest entry goes, so that it is not done again when
    that comes back. A failed one goes on when somebody asks to look now.
    """
    known = {state.name: state for state in draft.status.backfills}
    named = {spec.name for spec in draft.observed.resource.spec.backfills}
    done = BackfillState.SUCCEEDED
    states = [s for s in known.values() if s.name not in named and s.state is done]
    for spec in draft.observed.resource.spec.backfills:
        digest = backfills.content_digest(spec)
        state = known.get(spec.name)
        if state is None or state.digest != digest:
            state = BackfillStatus(name=spec.name, digest=digest, state=BackfillState.PENDING)
        elif state.state is BackfillState.FAILED and draft.observed.requested:
            again = {"state": BackfillState.RUNNING, "finished_at": None}
            state = state.model_copy(update=again)
        states.append(state)
    draft.update(backfills=tuple(states))


def _situation(draft: Draft) -> DecisionInput:
    observed = draft.observed
    return DecisionInput(
        observed=observed,
        status=draft.status,
        inputs_digest=inputs_digest(observed),
    )


def _start_next(draft: Draft, situation: DecisionInput) -> None:
    operation = draft.status.operation
    if operation is not None and operation.phase is not OperationPhase.BACKING_OFF:
        return
    if operation is not None and outdated(draft.observed, operation):
        give_up(draft, operation)
        operation, situation = None, replace(situation, status=draft.status)
    try:
        candidate = next_operation(situation)
    except InvalidManifest as error:
        draft.tell("Warning", error.reason, error.message)
        return
    if operation is not None:
        if candidate is None or not _supersedes(candidate, operation):
            _try_again(draft, operation)
            return
        give_up(draft, operation)
    if candidate is not None:
        start(draft, _operation(draft, candidate))


def _try_again(draft: Draft, operation: OperationStatus) -> None:
    observed, not_before = draft.observed, operation.not_before
    if not_before is not None and observed.now < not_before and not observed.requested:
        draft.looks.append(not_before)
    elif blocked_by(observed, operation.kind) is None:
        start(
            draft,
            operation.model_copy(update={"phase": OperationPhase.PENDING, "not_before": None}),
        )


def _supersedes(candidate: Candidate, operation: OperationStatus) -> bool:
    """An apply with other inputs, or a deletion, takes the place of whatever waits."""
    if candidate.kind is OperationKind.DELETE:
        return operation.kind is not OperationKind.DELETE
    return candidate.work is Work.APPLY and candidate.inputs_digest != operation.inputs_digest


def _operation(draft: Draft, candidate: Candidate) -> OperationStatus:
    sequence = draft.status.sequence + 1
    metadata = draft.observed.resource.metadata
    return OperationStatus(
        id=operation_id(candidate.kind, metadata.uid, sequence, candidate.inputs_digest),
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


def _record(draft: Draft) -> None:
    """Every operation MLflow does not have yet, oldest first, while MLflow answers."""
    spec = draft.observed.resource.spec
    draft.update(operations=listed(draft.status.operations, records_operations(spec)))
    if not records_operations(spec) or (spec.suspend and not draft.observed.deleted):
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
        due = schedule_state(schedule, draft.status, draft.observed)
        state = known.get(schedule.name, ScheduleStatus(name=schedule.name))
        handled = due.skipped or state.last
        states.append(state.model_copy(update={"next": due.next, "last": handled}))
        if due.next is not None and not draft.observed.resource.spec.suspend:
            draft.looks.append(due.next)
    draft.update(schedules=tuple(sorted(states, key=lambda state: state.name)))


def _describe(draft: Draft, situation: DecisionInput) -> None:
    # What a job has just reported is what is known now, though it is kept a moment later.
    observed = draft.observed
    if draft.before:
        observed = replace(observed, snapshot=draft.before[-1].snapshot)
    judged = judge_views(observed, draft.status)
    draft.status = with_freshness(draft.status, observed.resource.spec, judged)
    draft.looks += [item.next_stale_at for item in judged.values() if item.next_stale_at]
    conditions = conditions_of(observed, draft.status, situation, judged)
    draft.update(
        counts=counts(observed, judged),
        conditions=conditions.values,
        observed_generation=observed.resource.metadata.generation or None,
    )


def _next_looks(draft: Draft, now: datetime) -> None:
    observed, spec = draft.observed, draft.observed.resource.spec
    if spec.source is not None:
        draft.looks.append(now + spec.source.poll_interval)
    if spec.mlflow is not None:
        draft.looks.append(now + spec.mlflow.poll_interval)
    if spec.source is None and isinstance(observed.source, Failure):
        draft.looks.append(now + WAITING)
    interval, looked = spec.registry_poll_interval, last_looked(draft.status)
    if interval is not None and looked is not None and looked + interval > now:
        draft.looks.append(looked + interval)
    draft.looks = [max(look, now + timedelta(seconds=1)) for look in draft.looks]


def _finished(draft: Draft) -> bool:
    """Whether a deleted resource may go: retained, or deleted and on record."""
    spec, status = draft.observed.resource.spec, draft.status
    if not draft.observed.deleted or status.operation is not None:
        return False
    waits = any(operation.mlflow_run_id is None for operation in status.operations)
    if records_operations(spec) and waits:
        return False  # no audit run is lost
    if spec.deletion_policy is DeletionPolicy.RETAIN or not own_registry(spec, status):
        return True
    done = next((op for op in status.operations if op.kind is OperationKind.DELETE), None)
    return done is not None and done.result is Result.SUCCEEDED
