"""Keeps the status of a project within its size: see `decide.budget`.

A total counts what is left out. The ops run in MLflow has all changes, impacts and views.
"""

from collections.abc import Iterable

from feature_lineage.api.enums import Result
from feature_lineage.api.operation_status import OperationRecord, OperationStatus, OperationView
from feature_lineage.api.project_status import (
    Counts,
    FeatureStoreProjectStatus,
    FeatureViewStatus,
    PlanChange,
    PlanImpact,
    PlanStatus,
)
from feature_lineage.decide import budget
from feature_lineage.decide.budget import (
    first_that_fit,
    fit,
    short_name,
    size,
    total_of,
    with_short_texts,
)
from feature_lineage.decide.project.step import FIELDS


def bounded(
    status: FeatureStoreProjectStatus, before: FeatureStoreProjectStatus, *, recorded: bool
) -> FeatureStoreProjectStatus:
    """The status with at most `MAX_STATUS` bytes.

    Args:
        before: the stored status; one without a change stays as it is.
        recorded: operations become ops runs in MLflow.
    """
    if status == before:
        return before
    operations, views = status.operations, status.feature_views
    flights = {field: _in_flight(getattr(status, field)) for field in FIELDS.values()}
    rest = status.model_copy(update={"operations": (), "feature_views": (), **flights})
    # The names of views in flight are those of the request of the job: they are not shortened.
    rest = with_short_texts(rest.model_copy(update=dict.fromkeys(flights)))
    rest = rest.model_copy(update={**flights, "plan": _plan(rest.plan)})
    left = budget.MAX_STATUS - size(rest) - budget.KIB
    kept = _operations(operations, min(budget.OPERATIONS, left - budget.FEATURE_VIEWS))
    lost = [op for op in operations[len(kept) :] if recorded and _waits(op)]
    return rest.model_copy(
        update={
            "operations": kept,
            "feature_views": _views(views, left - size(kept)),
            "counts": _with_lost(rest.counts, len(lost)),
        }
    )


def _waits(operation: OperationRecord) -> bool:
    return operation.mlflow_run_id is None and operation.job is not None


def _with_lost(counts: Counts | None, lost: int) -> Counts | None:
    if not lost:
        return counts
    counts = counts or Counts()
    total = (counts.unrecorded_operations or 0) + lost
    return counts.model_copy(update={"unrecorded_operations": total})


def _in_flight(operation: OperationStatus | None) -> OperationStatus | None:
    if operation is None:
        return None
    views = operation.views
    short = with_short_texts(operation.model_copy(update={"views": ()}))
    kept = _views_in_flight(views)
    total = operation.views_total or total_of(views, kept)
    return short.model_copy(update={"views": kept, "views_total": total})


def _views_in_flight(views: tuple[OperationView, ...]) -> tuple[OperationView, ...]:
    """The views with short errors; those that still have work come first if not all fit."""
    for limit in (budget.ERROR, budget.SHORT_ERROR, 0):
        short = tuple(_with_error(view, limit) for view in views)
        if size(short) <= budget.IN_FLIGHT_VIEWS:
            return short
    work_first = sorted(short, key=lambda view: view.result is Result.SUCCEEDED)
    kept = first_that_fit(work_first, budget.IN_FLIGHT_VIEWS)
    names = {view.name for view in kept}
    return tuple(view for view in short if view.name in names)


def _with_error(view: OperationView, limit: int) -> OperationView:
    error = fit(view.error, limit) if view.error and limit else None
    return view if error == view.error else view.model_copy(update={"error": error})


def _plan(plan: PlanStatus | None) -> PlanStatus | None:
    if plan is None:
        return None
    tables = first_that_fit(plan.online_tables_dropped, budget.TABLES_DROPPED)
    return plan.model_copy(
        update={
            "changes": _changes(plan.changes),
            "impacts": _impacts(plan.impacts),
            "online_tables_dropped": tables,
            "online_tables_dropped_total": plan.online_tables_dropped_total
            or total_of(plan.online_tables_dropped, tables),
        }
    )


def _changes(changes: tuple[PlanChange, ...]) -> tuple[PlanChange, ...]:
    """The changes that fit: each has fewer details before changes are left out."""
    for limit in budget.DETAILS:
        short = tuple(_with_few_details(change, limit) for change in changes)
        if size(short) <= budget.CHANGES:
            return short
    return first_that_fit(short, budget.CHANGES)


def _with_few_details(change: PlanChange, limit: int) -> PlanChange:
    kept = first_that_fit(change.details, limit)
    total = change.details_total or total_of(change.details, kept)
    return change.model_copy(update={"details": kept, "details_total": total})


def _impacts(impacts: tuple[PlanImpact, ...]) -> tuple[PlanImpact, ...]:
    """The impacts that fit: each has fewer problems before impacts are left out."""
    for limit in budget.IMPACT_PROBLEMS:
        short = tuple(_with_few_problems(impact, limit) for impact in impacts)
        if size(short) <= budget.IMPACTS:
            return short
    return first_that_fit(short, budget.IMPACTS)


def _with_few_problems(impact: PlanImpact, limit: int) -> PlanImpact:
    aliases = first_that_fit(impact.aliases, budget.ALIASES)
    problems = first_that_fit(impact.problems, limit)
    return impact.model_copy(
        update={
            "aliases": aliases,
            "aliases_total": impact.aliases_total or total_of(impact.aliases, aliases),
            "problems": problems,
            "problems_total": impact.problems_total or total_of(impact.problems, problems),
        }
    )


def _operations(operations: tuple[OperationRecord, ...], limit: int) -> tuple[OperationRecord, ...]:
    """The newest operations that fit: first all have fewer views, then the oldest are left out."""
    short = tuple(map(with_short_texts, operations))
    if size(short) <= limit:
        return short
    short = tuple(map(_with_few_views, short))
    return short if size(short) <= limit else first_that_fit(short, limit)


def _with_few_views(operation: OperationRecord) -> OperationRecord:
    short = tuple(
        view.model_copy(update={"error": fit(view.error, budget.SHORT_ERROR)})
        if view.error
        else view
        for view in operation.views
    )
    kept = first_that_fit(short, budget.RECORD_VIEWS)
    total = operation.views_total or total_of(short, kept)
    return operation.model_copy(update={"views": kept, "views_total": total})


def _views(views: Iterable[FeatureViewStatus], limit: int) -> tuple[FeatureViewStatus, ...]:
    """The views that fit, unhealthy ones first: errors become shorter before views are left out.

    The name of a view is compared with the registry, so a view whose name is too long is left out.
    """
    named = [view for view in views if short_name(view.name) == view.name]
    for error in (budget.ERROR, budget.SHORT_ERROR, 0):
        texts = {**budget.TEXTS, "last_error": error}
        short = tuple(with_short_texts(_without_error(view, error), texts) for view in named)
        if size(short) <= limit:
            return short
    return first_that_fit(short, limit)


def _without_error(view: FeatureViewStatus, limit: int) -> FeatureViewStatus:
    return view if limit or not view.last_error else view.model_copy(update={"last_error": None})
