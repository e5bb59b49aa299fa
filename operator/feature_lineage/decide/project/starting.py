"""Starts the due operation in a lane: the next attempt, a replacement, or a new operation."""

from feature_lineage.api.enums import OperationKind, OperationPhase
from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.decide.decision import CancelJob
from feature_lineage.decide.events import SpecRefused
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.decide.project.due import next_operation
from feature_lineage.decide.project.due_operation import DecisionInput, DueOperation, urgency
from feature_lineage.decide.project.lifecycle import outdated, start, supersede, withdraw
from feature_lineage.decide.project.preconditions import blocked_by
from feature_lineage.decide.project.step import Step
from feature_lineage.errors import InvalidManifest
from feature_lineage.operations.identity import operation_id
from feature_lineage.operations.kinds import KINDS, Lane
from feature_lineage.reasons import Reason


def start_due(observed: ObservedProject, step: Step, lane: Lane, inputs: str) -> Step:
    """Start the first operation of a lane, if no job of the lane is running.

    Args:
        inputs: digest of all inputs of an apply.
    """
    operation = step.operation(lane)
    if operation is not None and operation.phase is OperationPhase.BACKING_OFF:
        if outdated(observed, operation):
            step, operation = supersede(observed, step, operation), None
    elif operation is not None and not KINDS[operation.kind].yields:
        return step
    try:
        due = next_operation(DecisionInput(observed, step.status, inputs), lane)
    except InvalidManifest as error:
        return step.telling(SpecRefused(key_of(observed.resource), error.reason, error.message))
    if operation is None:
        return step if due is None else start(observed, step, _decided(observed, step, due))
    if operation.phase is not OperationPhase.BACKING_OFF:
        return step if due is None else _give_way(observed, step, operation, due)
    if due is not None and _takes_the_place(due, operation):
        step = supersede(observed, step, operation)
        return start(observed, step, _decided(observed, step, due))
    if due is not None and _goes_before(observed, due, operation):
        reason = f"yields to {due.kind}; it starts again afterwards"
        step = withdraw(observed, step, operation, reason)
        return start(observed, step, _decided(observed, step, due))
    return _try_again(observed, step, operation)


def _try_again(observed: ObservedProject, step: Step, operation: OperationStatus) -> Step:
    not_before = operation.not_before
    if not_before is not None and observed.now < not_before and not observed.requested:
        return step.requeued((not_before,))
    if blocked_by(observed, operation.kind) is not None:
        return step
    again = {"phase": OperationPhase.PENDING, "not_before": None}
    return start(observed, step, operation.model_copy(update=again))


def _takes_the_place(due: DueOperation, operation: OperationStatus) -> bool:
    """An apply with other inputs, or a deletion, replaces an operation that waits."""
    if due.kind is OperationKind.DELETE:
        return operation.kind is not OperationKind.DELETE
    return KINDS[due.kind].plans and due.inputs_digest != operation.inputs_digest


def _goes_before(observed: ObservedProject, due: DueOperation, operation: OperationStatus) -> bool:
    """Whether a long operation yields to one that is due."""
    if not KINDS[operation.kind].yields or due.kind is operation.kind:
        return False
    now, since = observed.now, operation.started_for or operation.started_at or observed.now
    return urgency(due.kind, due.since, now) < urgency(operation.kind, since, now)


def _give_way(
    observed: ObservedProject, step: Step, operation: OperationStatus, due: DueOperation
) -> Step:
    """Cancel the running job for an operation with priority; its attempt uses no retry."""
    job = observed.job_of(operation)
    at_work = job is not None and job.running and not job.cancelled
    if not at_work or not _goes_before(observed, due, operation):
        return step
    why = f"{Reason.INTERRUPTED}: the job yields to {due.kind}"
    return step.acting(CancelJob(operation.job, why))


def _decided(observed: ObservedProject, step: Step, due: DueOperation) -> OperationStatus:
    """The operation as it is in the status."""
    sequence = step.status.sequence + 1
    metadata = observed.resource.metadata
    return OperationStatus(
        id=operation_id(due.kind, metadata.uid, sequence, due.inputs_digest),
        kind=due.kind,
        sequence=sequence,
        revision=due.revision or None,
        inputs_digest=due.inputs_digest or None,
        started_at=observed.now,
        schedule=due.schedule,
        backfill=due.backfill,
        started_for=due.since if due.schedule or KINDS[due.kind].yields else None,
        window_start=due.window_start,
        window_end=due.window_end,
        views=due.views,
    )
