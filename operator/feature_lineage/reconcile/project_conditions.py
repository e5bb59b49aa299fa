"""The conditions of a FeatureStoreProject: one small function each.

Ready means that the newest revision is in effect. Freshness, audit and single views never make a
project unready: a late view must not turn a rollout red.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from feature_lineage.api.conditions import ProjectCondition as C
from feature_lineage.api.enums import (
    ApplyMode,
    DeletionPolicy,
    OperationKind,
    OperationPhase,
    Result,
)
from feature_lineage.api.project_status import (
    FeatureStoreProjectStatus,
    OperationRecord,
    OperationStatus,
)
from feature_lineage.features.freshness import Freshness, FreshnessReason
from feature_lineage.operations.explain import short_revision
from feature_lineage.operations.protocol import TERMINAL_REASONS
from feature_lineage.ports import SourceFacts
from feature_lineage.reconcile.candidates import Situation
from feature_lineage.reconcile.conditions import Conditions
from feature_lineage.reconcile.ownership import APPLYING, MATERIALIZING, held
from feature_lineage.reconcile.values import Failure, ObservedProject

STALLING: Final = TERMINAL_REASONS | {"AdoptionWouldDelete", "InvalidManifest"}


def conditions_of(
    observed: ObservedProject,
    status: FeatureStoreProjectStatus,
    situation: Situation,
    judged: Mapping[str, Freshness],
) -> Conditions:
    """Every condition of the project, as of this pass."""
    metadata = observed.resource.metadata
    conditions = Conditions(status.conditions, observed.now, metadata.generation or None)
    _source_ready(observed, conditions)
    _applied(observed, status, situation, conditions)
    _materialized(observed, status, conditions)
    _fresh(conditions, judged, status)
    _facts_current(observed, status, conditions)
    _recorded(observed, status, conditions)
    _ready(observed, status, conditions)
    return conditions


def _source_ready(observed: ObservedProject, conditions: Conditions) -> None:
    source = observed.source
    if isinstance(source, SourceFacts):
        conditions.true(C.SOURCE_READY, message=short_revision(source.revision))
    elif source is None:
        conditions.true(C.SOURCE_READY, message="no source is needed")
    elif not source.outage:
        conditions.false(C.SOURCE_READY, source.reason, source.message)
    else:
        conditions.unknown(C.SOURCE_READY, "SourceUnreachable", source.message)


def _applied(
    observed: ObservedProject,
    status: FeatureStoreProjectStatus,
    situation: Situation,
    conditions: Conditions,
) -> None:
    spec, operation = observed.resource.spec, status.operation
    if spec.apply.mode is ApplyMode.OBSERVE:
        _observed(observed, status, conditions)
    elif operation is not None and operation.kind in APPLYING:
        _in_flight(observed, operation, conditions)
    elif status.last_apply is not None and (
        status.last_apply.inputs_digest == situation.inputs_digest
        or not isinstance(observed.source, SourceFacts)
    ):
        _as_last_applied(status, conditions)
    else:
        why = held(observed, OperationKind.APPLY)
        reason = why.reason if why else "Progressing"
        conditions.false(C.APPLIED, reason, why.message if why else "waits for its turn")


def _observed(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: Conditions
) -> None:
    looking = status.operation
    if (
        looking is not None
        and looking.kind is OperationKind.OBSERVE
        and looking.phase is OperationPhase.BACKING_OFF
    ):
        _in_flight(observed, looking, conditions)
        return
    # Whatever read the registry since a look that failed has made up for it.
    reads = (op for op in status.operations if op.registry_digest or _looks(op))
    newest = next(reads, None)
    if newest is not None and _looks(newest) and newest.result is Result.FAILED:
        conditions.false(C.APPLIED, newest.reason or "JobFailed", newest.message or "")
    elif status.registry is None or status.registry.digest is None:
        conditions.false(C.APPLIED, "Progressing", "the registry has not been read yet")
    else:
        conditions.true(C.APPLIED, "Observed", "somebody else applies; the registry was read")


def _looks(operation: OperationRecord) -> bool:
    return operation.kind is OperationKind.OBSERVE


def _in_flight(
    observed: ObservedProject, operation: OperationStatus, conditions: Conditions
) -> None:
    why = held(observed, operation.kind)
    if why is not None and operation.phase is not OperationPhase.RUNNING:
        conditions.false(C.APPLIED, why.reason, why.message)
    elif (waits := _waits(observed, operation)) is not None:
        conditions.false(C.APPLIED, waits.reason, waits.message)
    else:
        conditions.false(
            C.APPLIED, "Progressing", f"{operation.id} works on revision {_short(operation)}"
        )


def _waits(observed: ObservedProject, operation: OperationStatus | None) -> Failure | None:
    """What keeps the operation in flight from going on: its next attempt, or a job that waits."""
    job = observed.job
    if operation is None:
        return None
    if operation.phase is OperationPhase.BACKING_OFF and operation.not_before is not None:
        message = (
            f"{operation.message}; attempt {operation.attempt} starts at "
            f"{operation.not_before:%Y-%m-%dT%H:%M:%SZ}"
        )
        return Failure(operation.reason or "JobFailed", message)
    if job is not None and job.running and job.reason:
        return Failure(job.reason, f"{operation.id} waits: {job.message}")
    return None


def _short(operation: OperationStatus) -> str:
    return short_revision(operation.revision or "")


def _as_last_applied(status: FeatureStoreProjectStatus, conditions: Conditions) -> None:
    last = status.last_apply
    assert last is not None
    message = last.message or ""
    match last.result:
        case Result.SUCCEEDED:
            conditions.true(
                C.APPLIED, message=f"revision {short_revision(last.revision or '')} is in effect"
            )
        case Result.PLANNED:
            conditions.false(C.APPLIED, "Planned", message or "spec.apply.mode is PlanOnly")
        case Result.BLOCKED:
            conditions.false(C.APPLIED, last.reason or "Blocked", message)
        case _:
            conditions.false(C.APPLIED, last.reason or "JobFailed", message)


def _materialized(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: Conditions
) -> None:
    failing = sorted(
        view.name for view in status.feature_views if view.last_result is Result.FAILED
    )
    if failing:
        errors = {view.name: view.last_error for view in status.feature_views}
        more = f" and {len(failing) - 3} more" if len(failing) > 3 else ""
        told = "; ".join(f"{name}: {errors[name]}" for name in failing[:3])
        conditions.false(C.MATERIALIZED, "ViewsFailing", f"{told}{more}")
    elif (stuck := _never_came_to_its_views(observed, status)) is not None:
        conditions.false(C.MATERIALIZED, stuck.reason, stuck.message)
    elif any(view.materialized_until is not None for view in status.feature_views):
        conditions.true(C.MATERIALIZED)
    elif observed.resource.spec.suspend:
        conditions.unknown(C.MATERIALIZED, "Suspended", "spec.suspend is true")
    else:
        conditions.unknown(
            C.MATERIALIZED,
            "NeverRun",
            "nothing was materialized yet; add spec.schedules or spec.backfills",
        )


def _never_came_to_its_views(
    observed: ObservedProject, status: FeatureStoreProjectStatus
) -> Failure | None:
    """Why the newest materialization did nothing for any view: no view's own result tells."""
    operation = status.operation
    if operation is not None and operation.kind in MATERIALIZING:
        waits = _waits(observed, operation)
        if waits is not None:
            return waits
    last = next((each for each in status.operations if each.kind in MATERIALIZING), None)
    if last is None or last.result is not Result.FAILED or last.views:
        return None
    return Failure(last.reason or "JobFailed", f"{last.id}: {last.message}")


def _fresh(
    conditions: Conditions,
    judged: Mapping[str, Freshness],
    status: FeatureStoreProjectStatus,
) -> None:
    by_reason: dict[FreshnessReason, list[str]] = {}
    for name, freshness in sorted(judged.items()):
        by_reason.setdefault(freshness.reason, []).append(name)
    until = {view.name: view.materialized_until for view in status.feature_views}
    if names := by_reason.get(FreshnessReason.NEVER_MATERIALIZED):
        conditions.false(
            C.FRESH, "NeverMaterialized", f"never materialized: {', '.join(names[:10])}"
        )
    elif names := by_reason.get(FreshnessReason.STALE):
        told = ", ".join(f"{n} (until {until[n]:%Y-%m-%dT%H:%M:%SZ})" for n in names[:10])
        conditions.false(C.FRESH, "Stale", f"past their maxAge: {told}")
    elif names := by_reason.get(FreshnessReason.OBSERVED_TOO_SELDOM):
        conditions.unknown(
            C.FRESH,
            "ObservedTooSeldom",
            f"the registry was read too long ago to tell about {', '.join(names[:10])}; "
            "shorten spec.registry.pollInterval below half of maxAge",
        )
    elif by_reason.get(FreshnessReason.FRESH):
        conditions.true(C.FRESH)
    else:
        conditions.unknown(C.FRESH, "NoObjective", "spec.freshness sets no maxAge")


def _facts_current(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: Conditions
) -> None:
    models, registry = observed.models, status.registry
    interval = observed.resource.spec.registry_poll_interval
    if models is not None and models.failure is not None:
        as_of = f"{models.read_at:%Y-%m-%dT%H:%M:%SZ}" if models.read_at else "never"
        conditions.false(
            C.FACTS_CURRENT,
            "MLflowViewOld",
            f"facts about models are as of {as_of}: {models.failure.message}",
        )
    elif (
        interval is not None
        and registry is not None
        and registry.observed_at is not None
        and observed.now - registry.observed_at > 2 * interval + timedelta(minutes=1)
    ):
        conditions.false(
            C.FACTS_CURRENT,
            "RegistrySnapshotOld",
            f"the registry was last read at {registry.observed_at:%Y-%m-%dT%H:%M:%SZ}",
        )
    else:
        conditions.true(C.FACTS_CURRENT)


def _recorded(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: Conditions
) -> None:
    mlflow, models = observed.resource.spec.mlflow, observed.models
    if mlflow is None or not mlflow.log_operations:
        conditions.true(C.RECORDED, message="operations are not recorded: nothing asks for it")
        return
    waiting = sum(operation.mlflow_run_id is None for operation in status.operations)
    if models is not None and models.failure is not None and waiting:
        known = {"AuthFailed", "HostNotAllowed"}
        reason = models.failure.reason if models.failure.reason in known else "MLflowUnavailable"
        conditions.false(
            C.RECORDED, reason, f"{waiting} operations wait for MLflow: {models.failure.message}"
        )
    elif waiting == 0:
        conditions.true(C.RECORDED)
    elif conditions.get(C.RECORDED) is None:
        conditions.unknown(C.RECORDED, "Progressing", f"{waiting} operations are being recorded")
    # Otherwise what was found out at the last attempt stands until this one ends.


def _ready(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: Conditions
) -> None:
    source, applied = conditions.get(C.SOURCE_READY), conditions.get(C.APPLIED)
    assert source is not None
    assert applied is not None
    planned = observed.resource.spec.apply.mode is ApplyMode.PLAN_ONLY
    in_effect = applied.status == "True" or (planned and applied.reason == "Planned")
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
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: Conditions
) -> None:
    stuck = _deletion_blocked(observed, status)
    waits = held(observed, OperationKind.DELETE) or _waits(observed, status.operation)
    if stuck is not None:
        conditions.false(C.READY, stuck.reason, stuck.message)
    else:
        message = waits.message if waits else "the project is being deleted"
        conditions.false(C.READY, "Deleting", message)


def _deletion_blocked(
    observed: ObservedProject, status: FeatureStoreProjectStatus
) -> Failure | None:
    """Why the project's objects are still there, once nothing is tried any more."""
    policy = observed.resource.spec.deletion_policy
    if policy is not DeletionPolicy.DELETE or status.operation is not None:
        return None
    tried = next((op for op in status.operations if op.kind is OperationKind.DELETE), None)
    if tried is None or tried.result is Result.SUCCEEDED:
        return None
    return Failure("DeletionBlocked", tried.message or "the objects could not be deleted")


def _stalled(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: Conditions
) -> Failure | None:
    """What nothing will change until somebody changes spec, source or annotation."""
    if observed.deleted:
        return _deletion_blocked(observed, status)
    source, applied = observed.source, conditions.get(C.APPLIED)
    if isinstance(source, Failure) and source.terminal:
        return source
    if applied is None or applied.status == "True":
        return None
    if status.operation is not None and status.operation.kind in APPLYING:
        return None
    last = status.last_apply
    exhausted = last is not None and last.result is Result.FAILED and applied.reason == last.reason
    if applied.reason in STALLING or exhausted:
        return Failure(applied.reason, applied.message)
    return None
