"""What a finished job means for the status of its project.

A job's end is absorbed in one patch: the operation leaves `status.operation`, joins
`status.operations`, and everything its report says about registry, plan and views is taken over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from feature_lineage.api.enums import (
    ApplyMode,
    BackfillState,
    ChangeAction,
    MaterializedBy,
    OperationKind,
    OperationPhase,
    PlanVerdict,
    Result,
    Verdict,
)
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import (
    AppliedStatus,
    FeatureStoreProjectStatus,
    FeatureViewStatus,
    LastApply,
    OperationRecord,
    OperationStatus,
    OperationViewResult,
    OverrideStatus,
    PlanChange,
    PlanImpact,
    PlanStatus,
    Problem,
    RegistryStatus,
    RuntimeStatus,
)
from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.models.verdicts import BREAKING
from feature_lineage.operations.backoff import delay
from feature_lineage.operations.plan import Plan
from feature_lineage.operations.protocol import JobReport, Outcome, ViewReport
from feature_lineage.ports import JobFacts

MAX_CHANGES = 50
MAX_IMPACTS = 50
MAX_PROBLEMS = 50
MAX_VIEWS = 500
KEPT_OPERATIONS = 10
APPLYING = frozenset({OperationKind.APPLY, OperationKind.PLAN})
MATERIALIZING = frozenset({OperationKind.MATERIALIZE, OperationKind.BACKFILL})
_CREATED = frozenset({ChangeClass.CREATED})
_DELETED = frozenset({ChangeClass.DELETED})


@dataclass(frozen=True, slots=True)
class Ending:
    """How one attempt ended, whether or not it left a report.

    Attributes:
        result: how the operation would be shown if it ended here.
        retry: whether another attempt may help.
        unspent: the attempt does not count (the job stepped back before it did anything).
    """

    result: Result
    reason: str
    message: str
    retry: bool
    unspent: bool = False


def ending_of(job: JobFacts) -> Ending:
    """Judge a job that is not running any more."""
    report = job.report
    if report is None:
        return Ending(Result.FAILED, job.reason or "JobFailed", job.message, retry=True)
    match report.outcome:
        case Outcome.SUCCEEDED:
            return Ending(Result.SUCCEEDED, "", report.message, retry=False)
        case Outcome.PLANNED:
            return Ending(Result.PLANNED, "", report.message, retry=False)
        case Outcome.BLOCKED:
            reason = report.reason or "Blocked"
            return Ending(Result.BLOCKED, reason, report.message, retry=False)
        case Outcome.PARTIAL:
            return Ending(Result.FAILED, "ViewsFailing", report.message, retry=True)
        case Outcome.STEPPED_BACK:
            reason = report.reason or "GuardUnavailable"
            return Ending(Result.FAILED, reason, report.message, retry=True, unspent=True)
        case Outcome.FAILED:
            retry = report.exit_code != 65
            return Ending(Result.FAILED, report.reason or "JobFailed", report.message, retry=retry)


def back_off(
    status: FeatureStoreProjectStatus, ending: Ending, job: JobFacts, now: datetime
) -> FeatureStoreProjectStatus:
    """The operation in flight waits for its next attempt; views that are done are not repeated."""
    operation = status.operation
    if operation is None:
        return status
    done = {view.name: view for view in (job.report.views if job.report else ()) if view.result}
    views = tuple(
        view.model_copy(update=_outcome(done[view.name])) if view.name in done else view
        for view in operation.views
    )
    wait = now + delay(operation.id, operation.attempt)
    if ending.unspent and operation.attempt <= 2:
        wait = now + timedelta(seconds=1)
    waiting = operation.model_copy(
        update={
            "phase": OperationPhase.BACKING_OFF,
            "attempt": operation.attempt + 1,
            "not_before": wait,
            "views": views,
            "reason": ending.reason,
            "message": ending.message,
        }
    )
    return _with_views(status.model_copy(update={"operation": waiting}), job.report, now)


def _outcome(view: ViewReport) -> dict[str, Any]:
    result = Result.SUCCEEDED if view.result == "Succeeded" else Result.FAILED
    return {"result": result, "rows": view.rows, "error": view.error or None}


def finish(
    status: FeatureStoreProjectStatus,
    spec: FeatureStoreProjectSpec,
    ending: Ending,
    job: JobFacts | None,
    now: datetime,
    *,
    guard_digest: str | None,
    recorded: bool,
    override: OverrideStatus | None,
) -> FeatureStoreProjectStatus:
    """The operation is over: everything it found out is taken over.

    Args:
        guard_digest: of the facts about models the apply was held against.
        recorded: whether MLflow is to have it (then it stays listed until it does).
        override: the annotation that let it through.
    """
    operation = status.operation
    if operation is None:
        return status
    report = job.report if job else None
    changes: dict[str, Any] = {
        "operation": None,
        "operations": _listed(
            (_record(operation, ending, report, now, override), *status.operations), recorded
        ),
    }
    if report is not None and report.feast_version:
        changes["runtime"] = RuntimeStatus(feast_version=report.feast_version)
    if report is not None and report.registry_id:
        changes["registry"] = _registry(status.registry, report, now)
    if operation.kind in APPLYING:
        changes |= _apply_outcome(status, operation, ending, report, now, guard_digest)
    if operation.backfill:
        changes["backfills"] = _backfills(status, operation, ending, now, spec)
    return _with_views(status.model_copy(update=changes), report, now)


def _registry(current: RegistryStatus | None, report: JobReport, now: datetime) -> RegistryStatus:
    seen = report.snapshot is not None
    kept = current or RegistryStatus()
    return RegistryStatus(
        id=report.registry_id,
        digest=report.snapshot.digest if report.snapshot else kept.digest,
        observed_at=report.finished_at if seen else kept.observed_at or now,
        operation_id=report.operation_id if seen else kept.operation_id,
    )


def _record(
    operation: OperationStatus,
    ending: Ending,
    report: JobReport | None,
    now: datetime,
    override: OverrideStatus | None,
) -> OperationRecord:
    return OperationRecord(
        id=operation.id,
        kind=operation.kind,
        revision=operation.revision,
        started_at=operation.started_at,
        finished_at=report.finished_at if report else now,
        result=ending.result,
        reason=ending.reason or None,
        message=(ending.message or None) and ending.message[:1024],
        attempt=operation.attempt,
        job=job_id(operation),
        schedule=operation.schedule,
        backfill=operation.backfill,
        override=override,
        views=_view_results(operation, report),
        registry_digest=report.snapshot.digest if report and report.snapshot else None,
        inputs_digest=operation.inputs_digest,
    )


def job_id(operation: OperationStatus) -> str:
    """Name of the job of this attempt: another attempt is another job of the same operation."""
    return f"{operation.id}-{operation.attempt}"


def _view_results(
    operation: OperationStatus, report: JobReport | None
) -> tuple[OperationViewResult, ...]:
    results = {
        view.name: OperationViewResult(
            name=view.name, result=view.result, rows=view.rows, error=view.error
        )
        for view in operation.views
        if view.result is not None
    }
    for view in report.views if report else ():
        if view.result:
            results[view.name] = OperationViewResult(name=view.name, **_outcome(view))
    return tuple(results[name] for name in sorted(results))[:100]


def _listed(operations: Iterable[OperationRecord], recorded: bool) -> tuple[OperationRecord, ...]:
    kept = []
    for index, record in enumerate(operations):
        waits = recorded and record.mlflow_run_id is None and record.job is not None
        if index < KEPT_OPERATIONS or waits:
            kept.append(record)
    return tuple(kept)


def _apply_outcome(
    status: FeatureStoreProjectStatus,
    operation: OperationStatus,
    ending: Ending,
    report: JobReport | None,
    now: datetime,
    guard_digest: str | None,
) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "last_apply": LastApply(
            operation_id=operation.id,
            inputs_digest=operation.inputs_digest,
            guard_digest=guard_digest,
            result=ending.result,
            reason=ending.reason or None,
            message=ending.message[:2000] or None,
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
            registry_digest=report.snapshot.digest,
            at=report.finished_at,
            created=report.counts.get("created", 0),
            updated=report.counts.get("updated", 0),
            deleted=report.counts.get("deleted", 0),
            operation_id=operation.id,
        )
    return changes


def plan_status(
    plan: Plan, revision: str | None, before: PlanStatus | None, now: datetime
) -> PlanStatus:
    """A plan as the status shows it: capped, with totals."""
    blocked = plan.verdict.value == PlanVerdict.BLOCKED.value
    since = before.blocked_since if before and before.blocked_since else now
    return PlanStatus(
        revision=revision,
        digest=plan.digest,
        verdict=PlanVerdict(plan.verdict.value),
        changes=_changes(plan.changes)[:MAX_CHANGES],
        changes_total=len(_changes(plan.changes)),
        impacts=tuple(
            PlanImpact(
                model=impact.model,
                version=impact.version,
                aliases=impact.aliases,
                verdict=Verdict.BROKEN
                if any(problem.kind in BREAKING for problem in impact.problems)
                else Verdict.CHANGED,
                problems=tuple(
                    Problem(
                        feature=problem.feature,
                        kind=str(problem.kind),
                        was=problem.was or None,
                        now=problem.now or None,
                    )
                    for problem in impact.problems[:MAX_PROBLEMS]
                ),
            )
            for impact in plan.impacts[:MAX_IMPACTS]
        ),
        impacts_total=len(plan.impacts),
        online_tables_dropped=plan.online_tables_dropped[:MAX_CHANGES],
        blocked_since=since if blocked else None,
    )


def _changes(changes: Iterable[Change]) -> tuple[PlanChange, ...]:
    """One entry an object: what happens to it, and the details."""
    grouped: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        grouped.setdefault((change.kind, change.name), []).append(change)
    return tuple(
        PlanChange(kind=kind, name=name, action=_action(group), details=_details(group))
        for (kind, name), group in sorted(grouped.items())
    )


def _action(group: list[Change]) -> ChangeAction:
    whole = {change.change for change in group if not change.feature}
    if whole & _CREATED:
        return ChangeAction.CREATE
    return ChangeAction.DELETE if whole & _DELETED else ChangeAction.UPDATE


def _details(group: list[Change]) -> tuple[str, ...]:
    details = []
    for change in group:
        if change.change in _CREATED | _DELETED and not change.feature:
            continue
        arrow = f": {change.was} → {change.now}" if change.was or change.now else ""
        subject = f" {change.feature}" if change.feature else ""
        details.append(f"{change.change}{subject}{arrow}"[:200])
    return tuple(details[:20])


def _with_views(
    status: FeatureStoreProjectStatus, report: JobReport | None, now: datetime
) -> FeatureStoreProjectStatus:
    """Take over what a report says of each view; a view that left the registry leaves the list."""
    if report is None or not report.views:
        return status
    known = {view.name: view for view in status.feature_views}
    views = {
        view.name: _view(known.get(view.name), view, now)
        for view in report.views
        if report.snapshot is None or report.snapshot.view(view.name) is not None
    }
    if report.snapshot is None:
        views = known | views
    return status.model_copy(update={"feature_views": unhealthy_first(views)})


def _view(known: FeatureViewStatus | None, seen: ViewReport, now: datetime) -> FeatureViewStatus:
    view = known or FeatureViewStatus(name=seen.name)
    changes: dict[str, Any] = {"kind": seen.kind}
    until = seen.materialized_until
    if until is not None and until.replace(microsecond=0) != view.materialized_until:
        changes["materialized_until"] = until.replace(microsecond=0)
        changes["by"] = (
            MaterializedBy.OPERATOR if seen.result == "Succeeded" else MaterializedBy.EXTERNAL
        )
    if seen.result:
        succeeded = seen.result == "Succeeded"
        changes |= {
            "last_result": Result.SUCCEEDED if succeeded else Result.FAILED,
            "last_error": seen.error or None,
            "attempted_at": now,
            "last_duration_seconds": None if seen.seconds is None else round(seen.seconds, 3),
            "consecutive_failures": 0 if succeeded else view.consecutive_failures + 1,
        }
        if succeeded:
            changes["rows"] = seen.rows
            changes["newest_event_time"] = seen.newest_event_time or view.newest_event_time
    return view.model_copy(update=changes)


def unhealthy_first(views: Mapping[str, FeatureViewStatus]) -> tuple[FeatureViewStatus, ...]:
    """The list as the status shows it: failing and stale views first, then by name."""

    def rank(view: FeatureViewStatus) -> tuple[bool, bool, str]:
        failing = view.last_result is Result.FAILED
        return (not failing, view.fresh is not False, view.name)

    return tuple(sorted(views.values(), key=rank))[:MAX_VIEWS]


def _backfills(
    status: FeatureStoreProjectStatus,
    operation: OperationStatus,
    ending: Ending,
    now: datetime,
    spec: FeatureStoreProjectSpec,
) -> tuple[Any, ...]:
    ends = {backfill.name: backfill.end for backfill in spec.backfills}
    changed = []
    for backfill in status.backfills:
        if backfill.name != operation.backfill:
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


def observes(spec: FeatureStoreProjectSpec) -> bool:
    """Whether somebody else applies."""
    return spec.apply.mode is ApplyMode.OBSERVE
