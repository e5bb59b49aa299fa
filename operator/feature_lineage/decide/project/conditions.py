"""The conditions of a FeatureStoreProject: one small function each.

Ready means that the newest revision is in effect. Conditions that do not affect Ready are in
`non_gating_conditions`.
"""

from collections.abc import Mapping

from feature_lineage.api.conditions import ProjectCondition as C
from feature_lineage.api.enums import (
    ApplyMode,
    DeletionPolicy,
    OperationKind,
    OperationPhase,
    Result,
)
from feature_lineage.api.operation_status import OperationRecord, OperationStatus
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.observed import Failure, ObservedProject
from feature_lineage.decide.project.non_gating_conditions import set_non_gating_conditions
from feature_lineage.decide.project.preconditions import blocked_by, waiting_reason
from feature_lineage.features.freshness import Freshness
from feature_lineage.operations.explain import short_revision
from feature_lineage.operations.kinds import KINDS
from feature_lineage.reasons import TERMINAL_REASONS, Reason


def conditions_of(
    observed: ObservedProject,
    status: FeatureStoreProjectStatus,
    inputs: str,
    judged: Mapping[str, Freshness],
) -> ConditionSet:
    """Set every condition of the project for this reconcile.

    Args:
        inputs: digest of all inputs of an apply.
    """
    metadata = observed.resource.metadata
    conditions = ConditionSet(status.conditions, observed.now, metadata.generation or None)
    _source_ready(observed, conditions)
    _applied(observed, status, inputs, conditions)
    set_non_gating_conditions(observed, status, judged, conditions)
    _ready(observed, status, conditions)
    return conditions


def _source_ready(observed: ObservedProject, conditions: ConditionSet) -> None:
    source = observed.source
    if isinstance(source, SourceFacts):
        conditions.true(C.SOURCE_READY, message=short_revision(source.revision))
    elif source is None:
        conditions.true(C.SOURCE_READY, message="no source is needed")
    elif not source.outage:
        conditions.false(C.SOURCE_READY, source.reason, source.message)
    else:
        conditions.unknown(C.SOURCE_READY, Reason.SOURCE_UNREACHABLE, source.message)


def _applied(
    observed: ObservedProject,
    status: FeatureStoreProjectStatus,
    inputs: str,
    conditions: ConditionSet,
) -> None:
    spec, operation = observed.resource.spec, status.operation
    if spec.apply.mode is ApplyMode.OBSERVE:
        _registry_observed(observed, status, conditions)
    elif operation is not None and KINDS[operation.kind].plans:
        _in_flight(observed, operation, conditions)
    elif status.last_apply is not None and (
        status.last_apply.inputs_digest == inputs or not isinstance(observed.source, SourceFacts)
    ):
        _as_last_applied(status, conditions)
    else:
        why = blocked_by(observed, OperationKind.APPLY)
        reason = why.reason if why else Reason.PROGRESSING
        conditions.false(C.APPLIED, reason, why.message if why else "waits for another operation")


def _registry_observed(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: ConditionSet
) -> None:
    """Only an Observe counts: other kinds in the reading lane have their own conditions."""
    reading = status.reading_operation
    if (
        reading is not None
        and reading.kind is OperationKind.OBSERVE
        and reading.phase is OperationPhase.BACKING_OFF
    ):
        _in_flight(observed, reading, conditions)
        return
    # A later operation that read the registry replaces a failed Observe.
    reads = (op for op in status.operations if op.registry_digest or _is_observe(op))
    newest = next(reads, None)
    if newest is not None and _is_observe(newest) and newest.result is Result.FAILED:
        conditions.false(C.APPLIED, newest.reason or Reason.JOB_FAILED, newest.message or "")
    elif status.registry is None or status.registry.digest is None:
        conditions.false(C.APPLIED, Reason.PROGRESSING, "the registry has not been read yet")
    else:
        conditions.true(C.APPLIED, Reason.OBSERVED, "another tool applies; the registry was read")


def _is_observe(operation: OperationRecord) -> bool:
    return operation.kind is OperationKind.OBSERVE


def _in_flight(
    observed: ObservedProject, operation: OperationStatus, conditions: ConditionSet
) -> None:
    why = blocked_by(observed, operation.kind)
    if why is not None and operation.phase is not OperationPhase.RUNNING:
        conditions.false(C.APPLIED, why.reason, why.message)
    elif (stuck := waiting_reason(observed, operation)) is not None:
        conditions.false(C.APPLIED, stuck.reason, stuck.message)
    else:
        conditions.false(
            C.APPLIED, Reason.PROGRESSING, f"{operation.id} works on revision {_short(operation)}"
        )


def _short(operation: OperationStatus) -> str:
    return short_revision(operation.revision or "")


def _as_last_applied(status: FeatureStoreProjectStatus, conditions: ConditionSet) -> None:
    last = status.last_apply
    assert last is not None
    message = last.message or ""
    match last.result:
        case Result.SUCCEEDED:
            conditions.true(
                C.APPLIED, message=f"revision {short_revision(last.revision or '')} is in effect"
            )
        case Result.PLANNED:
            conditions.false(C.APPLIED, Reason.PLANNED, message or "spec.apply.mode is PlanOnly")
        case Result.BLOCKED:
            conditions.false(C.APPLIED, last.reason or Reason.BLOCKED, message)
        case _:
            conditions.false(C.APPLIED, last.reason or Reason.JOB_FAILED, message)


def _ready(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: ConditionSet
) -> None:
    source, applied = conditions.get(C.SOURCE_READY), conditions.get(C.APPLIED)
    assert source is not None
    assert applied is not None
    planned = observed.resource.spec.apply.mode is ApplyMode.PLAN_ONLY
    in_effect = applied.status == "True" or (planned and applied.reason == Reason.PLANNED)
    if observed.deleted:
        _deleting(observed, status, conditions)
    elif source.status != "True":
        conditions.false(C.READY, source.reason, source.message)
    elif not in_effect:
        conditions.false(C.READY, applied.reason, applied.message)
    else:
        conditions.true(C.READY, applied.reason, applied.message)
    stalled = _stalled(observed, status, conditions)
    conditions.only_while(
        C.STALLED, stalled is not None, *((stalled.reason, stalled.message) if stalled else ())
    )
    ready = conditions.get(C.READY)
    assert ready is not None
    working = ready.status != "True" and stalled is None and not observed.resource.spec.suspend
    conditions.only_while(C.RECONCILING, working, ready.reason, ready.message)


def _deleting(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: ConditionSet
) -> None:
    stuck = _deletion_blocked(observed, status)
    why = blocked_by(observed, OperationKind.DELETE) or waiting_reason(observed, status.operation)
    if stuck is not None:
        conditions.false(C.READY, stuck.reason, stuck.message)
    else:
        message = why.message if why else "the project is being deleted"
        conditions.false(C.READY, Reason.DELETING, message)


def _deletion_blocked(
    observed: ObservedProject, status: FeatureStoreProjectStatus
) -> Failure | None:
    """Why the objects of the project still exist after the last retry."""
    policy = observed.resource.spec.deletion_policy
    if policy is not DeletionPolicy.DELETE or status.operation is not None:
        return None
    tried = status.newest(OperationKind.DELETE)
    if tried is None or tried.result is Result.SUCCEEDED:
        return None
    return Failure(Reason.DELETION_BLOCKED, tried.message or "the objects could not be deleted")


def _stalled(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: ConditionSet
) -> Failure | None:
    """Why the project waits for a change of spec, source or annotations; None if it does not."""
    if observed.deleted:
        return _deletion_blocked(observed, status)
    source, applied = observed.source, conditions.get(C.APPLIED)
    if isinstance(source, Failure) and source.terminal:
        return source
    if applied is None or applied.status == "True":
        return None
    if status.operation is not None and KINDS[status.operation.kind].plans:
        return None
    last = status.last_apply
    exhausted = last is not None and last.result is Result.FAILED and applied.reason == last.reason
    if applied.reason in TERMINAL_REASONS or exhausted:
        return Failure(applied.reason, applied.message)
    return None
