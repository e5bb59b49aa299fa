"""Samples about projects: their views, plans, operations, schedules and the age of their facts."""

from collections.abc import Iterator
from datetime import datetime

from feature_lineage.api.enums import OperationKind, PlanVerdict
from feature_lineage.decide.project.suspects import puts_back
from feature_lineage.decide.project.views import objectives
from feature_lineage.features.freshness import is_future
from feature_lineage.metrics.families import Row
from feature_lineage.metrics.state import ProjectData, ScrapeData
from feature_lineage.operations.kinds import KINDS


def freshness(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        for state in project.states.values():
            until = state.materialized_until
            if until is not None and not is_future(until, data.now):
                yield (*project.labels, state.name), (data.now - until).total_seconds()


def never_materialized(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        for name in project.judged:
            state = project.states[name]
            never = state.materialized_until is None and state.future_until is None
            yield (*project.labels, name), float(never)


def stale(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        for name, judged in project.judged.items():
            if judged.fresh is not None:
                yield (*project.labels, name), float(not judged.fresh)


def max_age(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        own, every = objectives(project.project.spec)
        for name in project.judged:
            objective = own.get(name, every)
            if objective is not None:
                yield (*project.labels, name), objective.total_seconds()


def rows(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        for view in project.project.status.feature_views:
            if view.rows is not None:
                yield (*project.labels, view.name), float(view.rows)


def consecutive_failures(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        for view in project.project.status.feature_views:
            if view.name in project.judged or view.last_result is not None:
                yield (*project.labels, view.name), float(view.consecutive_failures)


def models(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        counts = project.project.status.counts
        if counts is not None:
            yield (*project.labels, "linked"), float(counts.linked_models)
            yield (*project.labels, "broken"), float(counts.broken_models)


def plan_blocked(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        plan = project.project.status.plan
        if plan is not None and plan.verdict is not None:
            yield project.labels, float(plan.verdict is PlanVerdict.BLOCKED)


def plan_blocked_since(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        plan = project.project.status.plan
        if plan is not None and plan.blocked_since is not None:
            yield project.labels, plan.blocked_since.timestamp()


def plan_impacts(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        plan = project.project.status.plan
        if plan is not None:
            yield project.labels, float(plan.impacts_total)


def operation_in_progress(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        kinds = {operation.kind for operation in project.project.status.in_flight}
        for kind in OperationKind:
            yield (*project.labels, kind.value), float(kind in kinds)


def last_success(data: ScrapeData) -> Iterator[Row]:
    """Apply: from `status.applied`; other kinds: from the operations in the status."""
    for project in data.projects.values():
        status = project.project.status
        ends: dict[OperationKind, datetime] = {}
        if status.applied is not None and status.applied.at is not None:
            ends[OperationKind.APPLY] = status.applied.at
        for record in status.operations:
            end = record.finished_at
            succeeded = record.result is KINDS[record.kind].success and not puts_back(record)
            if end is not None and succeeded:
                ends[record.kind] = max(end, ends.get(record.kind, end))
        for kind, end in sorted(ends.items()):
            yield (*project.labels, kind.value), end.timestamp()


def unrecorded(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        mlflow = project.project.spec.mlflow
        if mlflow is not None and mlflow.log_operations:
            waiting = [
                record
                for record in project.project.status.operations
                if record.mlflow_run_id is None and record.job is not None
            ]
            yield project.labels, float(len(waiting))


def mlflow_view_age(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        yield from _age(data, project, project.facts.mlflow)


def registry_snapshot_age(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        registry = project.project.status.registry
        yield from _age(data, project, registry.observed_at if registry else None)


def guard_age(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        yield from _age(data, project, project.facts.guard)


def schedule_next(data: ScrapeData) -> Iterator[Row]:
    for project in data.projects.values():
        for schedule in project.project.status.schedules:
            if schedule.next is not None:
                yield (*project.labels, schedule.name), schedule.next.timestamp()


def _age(data: ScrapeData, project: ProjectData, read_at: datetime | None) -> Iterator[Row]:
    if read_at is not None:
        yield project.labels, (data.now - read_at).total_seconds()
