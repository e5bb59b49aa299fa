"""Changes of the status at the end of an operation, except its list of operations."""

from datetime import datetime
from typing import Any

from feature_lineage.api.annotations import override
from feature_lineage.api.enums import (
    BackfillState,
    OperationKind,
    OverrideKind,
    PlanVerdict,
    Result,
)
from feature_lineage.api.operation_status import OperationStatus, OverrideStatus
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import (
    AppliedStatus,
    BackfillStatus,
    FeatureStoreProjectStatus,
    LastApply,
    RegistryStatus,
    ScheduleStatus,
)
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.decide.project.attempt import AttemptOutcome
from feature_lineage.decide.project.plan_status import plan_status
from feature_lineage.decide.project.preconditions import permission_failure
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.plan import names_plan


def registry_after(
    current: RegistryStatus | None,
    report: JobReport,
    operation_id: str,
    now: datetime,
    *,
    in_effect: bool,
) -> RegistryStatus:
    """The registry in the report; values that the report does not contain are kept.

    Args:
        in_effect: whether the job used the feature_store.yaml that is in effect.
    """
    seen = report.snapshot is not None
    kept = current or RegistryStatus()
    return RegistryStatus(
        id=report.registry_id,
        digest=report.snapshot.digest if report.snapshot else kept.digest,
        online_store=(report.online_store_id if in_effect else "") or kept.online_store,
        observed_at=report.finished_at if seen else kept.observed_at or now,
        operation_id=operation_id if seen else kept.operation_id,
    )


def apply_changes(
    status: FeatureStoreProjectStatus,
    operation: OperationStatus,
    ended: AttemptOutcome,
    report: JobReport | None,
    now: datetime,
) -> dict[str, Any]:
    """The result of the apply or plan, its plan, and the revision in effect."""
    changes: dict[str, Any] = {
        "last_apply": LastApply(
            operation_id=operation.id,
            inputs_digest=operation.inputs_digest,
            guard_digest=operation.guard_digest,
            result=ended.result,
            reason=ended.reason or None,
            message=ended.message or None,
            attempt=operation.attempt,
            at=now,
            revision=operation.revision,
        )
    }
    if report is None:
        return changes
    if report.plan is not None:
        changes["plan"] = plan_status(report.plan, operation.revision, status.plan, now)
    if ended.result is Result.SUCCEEDED and report.snapshot is not None:
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


def backfills_after(
    status: FeatureStoreProjectStatus,
    operation: OperationStatus,
    ended: AttemptOutcome,
    now: datetime,
    spec: FeatureStoreProjectSpec,
) -> tuple[BackfillStatus, ...]:
    """The backfill of the operation: failed, finished, or ready for its next chunk."""
    ends = {backfill.name: backfill.end for backfill in spec.backfills}
    changed = []
    for backfill in status.backfills:
        if (backfill.name, backfill.digest) != (operation.backfill, operation.inputs_digest):
            changed.append(backfill)
            continue
        through = operation.window_end
        if ended.result is not Result.SUCCEEDED or through is None:
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


def schedules_after(
    status: FeatureStoreProjectStatus, operation: OperationStatus
) -> tuple[ScheduleStatus, ...]:
    """The schedules after the tick of the operation."""
    states = {state.name: state for state in status.schedules}
    name = operation.schedule or ""
    state = states.get(name, ScheduleStatus(name=name))
    states[name] = state.model_copy(update={"last": operation.started_for})
    return tuple(states[key] for key in sorted(states))


def override_used(
    observed: ObservedProject, operation: OperationStatus, report: JobReport | None
) -> OverrideStatus | None:
    """The annotation that permitted the operation; None if none was needed or valid."""
    annotations = observed.resource.metadata.annotations
    if permission_failure(observed) is not None:
        return None
    if operation.kind is OperationKind.DELETE:
        given = override(annotations, OverrideKind.ALLOW_DELETE)
        return OverrideStatus(kind=given.kind, why=given.why) if given else None
    plan = report.plan if report else None
    if plan is None or plan.verdict is not PlanVerdict.ALLOWED:
        return None
    for kind in (OverrideKind.ALLOW_ADOPTION, OverrideKind.ALLOW_BREAKING):
        given = override(annotations, kind)
        if given is not None and names_plan(given.plan_digest, plan.digest):
            return OverrideStatus(kind=given.kind, why=given.why)
    return None
