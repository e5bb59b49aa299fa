"""The conditions of a project that do not affect Ready.

A late view, a missing record or old facts must not fail a rollout.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from feature_lineage.api.conditions import ProjectCondition as C
from feature_lineage.api.conditions import reason_in
from feature_lineage.api.enums import BackfillState, Result
from feature_lineage.api.operation_status import OperationRecord
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import FeatureStoreProjectStatus, FeatureViewStatus
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.decide.observed import Failure, ObservedProject
from feature_lineage.decide.project.access_events import cause
from feature_lineage.decide.project.history import waiting_records
from feature_lineage.decide.project.preconditions import waiting_reason
from feature_lineage.decide.project.suspects import end_of_left_state
from feature_lineage.decide.project.views import objectives
from feature_lineage.features.freshness import Freshness
from feature_lineage.operations import backfills
from feature_lineage.operations.kinds import KINDS
from feature_lineage.reasons import Reason
from feature_lineage.shorten import listed


def set_non_gating_conditions(
    observed: ObservedProject,
    status: FeatureStoreProjectStatus,
    judged: Mapping[str, Freshness],
    conditions: ConditionSet,
) -> None:
    """Set these conditions for this reconcile."""
    _materialized(observed, status, conditions)
    _fresh(observed, conditions, judged, status)
    _facts_current(observed, status, conditions)
    _recorded(observed, status, conditions)


def _materialized(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: ConditionSet
) -> None:
    failing = sorted(
        view.name for view in status.feature_views if view.last_result is Result.FAILED
    )
    if failing:
        errors = {view.name: view.last_error for view in status.feature_views}
        texts = [f"{name}: {errors[name]}" for name in failing]
        conditions.false(C.MATERIALIZED, Reason.VIEWS_FAILING, listed(texts, 3, "; "))
    elif (stuck := _never_came_to_its_views(observed, status)) is not None:
        conditions.false(C.MATERIALIZED, stuck.reason, stuck.message)
    elif any(view.materialized_until is not None for view in status.feature_views):
        conditions.true(C.MATERIALIZED)
    elif observed.resource.spec.suspend:
        conditions.unknown(C.MATERIALIZED, Reason.SUSPENDED, "spec.suspend is true")
    else:
        conditions.unknown(C.MATERIALIZED, Reason.NEVER_RUN, _never_run(observed, status))


def _never_run(observed: ObservedProject, status: FeatureStoreProjectStatus) -> str:
    """What the first materialization waits for."""
    spec, fact = observed.resource.spec, "nothing was materialized yet"
    if status.operation is not None and KINDS[status.operation.kind].materializes:
        return f"{fact}; {status.operation.id} is running"
    started = _next_backfill(spec, status)
    if started is not None and started[0] <= observed.now:
        return f"{fact}; a backfill of spec.backfills starts when no other operation runs"
    ticks = [(each.next, each.name) for each in status.schedules if each.next is not None]
    if ticks:
        at, name = min(ticks)
        return f"{fact}; the next tick of schedule {name} is at {_z(at)}"
    if started is not None:
        at, name = started
        return f"{fact}; the next chunk of backfill {name} ends, and starts, at {_z(at)}"
    last = _last_materialization(status)
    if last is not None and last.result is Result.SUCCEEDED:
        return f"{fact}; {last.id} found no view that can be materialized"
    if spec.schedules or spec.backfills:
        return f"{fact}; the first materialization follows the first apply"
    return f"{fact}; add spec.schedules or spec.backfills"


def _next_backfill(
    spec: FeatureStoreProjectSpec, status: FeatureStoreProjectStatus
) -> tuple[datetime, str] | None:
    """When a backfill that is not finished may continue, and its name."""
    finished = BackfillState.SUCCEEDED, BackfillState.FAILED
    states = {each.name: each for each in status.backfills if each.state not in finished}
    starts = (
        (backfills.starts_at(each, states[each.name].completed_through), each.name)
        for each in spec.backfills
        if each.name in states
    )
    return min(((at, name) for at, name in starts if at is not None), default=None)


def _last_materialization(status: FeatureStoreProjectStatus) -> OperationRecord | None:
    return next((each for each in status.operations if KINDS[each.kind].materializes), None)


def _never_came_to_its_views(
    observed: ObservedProject, status: FeatureStoreProjectStatus
) -> Failure | None:
    """Why the newest materialization did nothing for any view, which no result of a view shows."""
    operation = status.operation
    if operation is not None and KINDS[operation.kind].materializes:
        why = waiting_reason(observed, operation)
        if why is not None:
            return why
    last = _last_materialization(status)
    if last is None or last.result is not Result.FAILED or last.views:
        return None
    return Failure(last.reason or Reason.JOB_FAILED, f"{last.id}: {last.message}")


def _fresh(
    observed: ObservedProject,
    conditions: ConditionSet,
    judged: Mapping[str, Freshness],
    status: FeatureStoreProjectStatus,
) -> None:
    by_reason: dict[Reason, list[str]] = {}
    for name, freshness in sorted(judged.items()):
        by_reason.setdefault(freshness.reason, []).append(name)
    shown = {view.name: view for view in status.feature_views}
    if names := by_reason.get(Reason.NOT_SERVED):
        conditions.false(
            C.FRESH,
            Reason.NOT_SERVED,
            "Feast does not serve these views, because a job died while they were materialized, or "
            f"another tool materializes them: {listed(names, 10)}; "
            f"{end_of_left_state(observed.resource.spec)}",
        )
    elif names := by_reason.get(Reason.NOT_IN_ONLINE_STORE):
        conditions.false(
            C.FRESH,
            Reason.NOT_IN_ONLINE_STORE,
            "the rows of these views were written to another online store, or under other join "
            "keys; the next materialization by a schedule writes all of them again: "
            f"{listed(names, 10)}",
        )
    elif names := by_reason.get(Reason.NEVER_MATERIALIZED):
        conditions.false(
            C.FRESH, Reason.NEVER_MATERIALIZED, f"never materialized: {listed(names, 10)}"
        )
    elif names := by_reason.get(Reason.WATERMARK_IN_FUTURE):
        listing = listed([f"{n} (until {_ahead(shown[n])})" for n in names], 10)
        conditions.false(
            C.FRESH,
            Reason.WATERMARK_IN_FUTURE,
            "materialized until a time after now, which says nothing about the rows since then; "
            f"materialize them again, as a schedule does: {listing}",
        )
    elif names := by_reason.get(Reason.STALE):
        listing = listed([f"{n} (until {_until(shown[n])})" for n in names], 10)
        conditions.false(C.FRESH, Reason.STALE, f"past their maxAge: {listing}")
    elif names := by_reason.get(Reason.OBSERVED_TOO_SELDOM):
        conditions.unknown(
            C.FRESH,
            Reason.OBSERVED_TOO_SELDOM,
            f"the registry was read too long ago to decide about {listed(names, 10)}; "
            "shorten spec.registry.pollInterval below half of maxAge",
        )
    elif by_reason.get(Reason.SUCCEEDED):
        conditions.true(C.FRESH)
    else:
        why = _without_objective(observed, judged, status)
        conditions.unknown(C.FRESH, Reason.NO_OBJECTIVE, why)


def _without_objective(
    observed: ObservedProject,
    judged: Mapping[str, Freshness],
    status: FeatureStoreProjectStatus,
) -> str:
    if not any(objectives(observed.resource.spec)):
        return "spec.freshness sets no maxAge"
    if judged:
        return "spec.freshness sets a maxAge only for views that are not materialized"
    if status.registry is None:
        return "the registry has not been read yet"
    return "no view of the registry is online and enabled, so nothing of it can be stale"


def _ahead(view: FeatureViewStatus) -> str:
    return _z(view.future_until or view.materialized_until)


def _until(view: FeatureViewStatus) -> str:
    return _z(view.materialized_until)


def _z(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment is not None else "?"


def _facts_current(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: ConditionSet
) -> None:
    models, registry = observed.models, status.registry
    interval = observed.resource.spec.registry_poll_interval
    if models is not None and models.failure is not None:
        as_of = f"{models.read_at:%Y-%m-%dT%H:%M:%SZ}" if models.read_at else "never"
        conditions.false(
            C.FACTS_CURRENT,
            Reason.MLFLOW_VIEW_OLD,
            f"facts about models are as of {as_of}{cause(models.failure)}{models.failure.message}",
        )
    elif observed.snapshot_lost or observed.damage:
        lost = "the last" if observed.snapshot_lost else "an older"
        why = observed.damage or "nothing of it is stored"
        conditions.false(
            C.FACTS_CURRENT,
            Reason.REGISTRY_SNAPSHOT_LOST,
            f"{lost} snapshot of the registry is lost: {why}; the registry is read again within"
            " ten minutes, or at once if you request a reconcile",
        )
    elif (
        interval is not None
        and registry is not None
        and registry.observed_at is not None
        and observed.now - registry.observed_at > 2 * interval + timedelta(minutes=1)
    ):
        conditions.false(
            C.FACTS_CURRENT,
            Reason.REGISTRY_SNAPSHOT_OLD,
            f"the registry was last read at {registry.observed_at:%Y-%m-%dT%H:%M:%SZ}",
        )
    else:
        conditions.true(C.FACTS_CURRENT)


def _recorded(
    observed: ObservedProject, status: FeatureStoreProjectStatus, conditions: ConditionSet
) -> None:
    mlflow, models = observed.resource.spec.mlflow, observed.models
    if mlflow is None or not mlflow.log_operations:
        conditions.true(C.RECORDED, message="operations are not recorded, as spec.mlflow says")
        return
    waiting = waiting_records(observed, status)
    if models is not None and models.failure is not None and waiting:
        reason = reason_in(C.RECORDED, models.failure.reason, Reason.MLFLOW_UNAVAILABLE)
        conditions.false(C.RECORDED, reason, f"{waiting} wait for MLflow: {models.failure.message}")
    elif observed.aliases is not None and observed.aliases.failure is not None:
        failure = observed.aliases.failure
        reason = reason_in(C.RECORDED, failure.reason, Reason.REQUEST_REJECTED)
        message = f"moves of aliases are not recorded: {failure.message}"
        conditions.false(C.RECORDED, reason, message)
    elif not waiting:
        lost = status.counts.unrecorded_operations if status.counts else None
        left_out = f"{lost} operations left the list before MLflow had their run" if lost else ""
        conditions.true(C.RECORDED, message=left_out)
    elif conditions.get(C.RECORDED) is None:
        conditions.unknown(C.RECORDED, Reason.PROGRESSING, f"{waiting} are being recorded")
    # Otherwise the result of the last attempt stays until this attempt ends.
