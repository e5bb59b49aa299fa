"""Finished operations: the list in the status, and their ops runs in MLflow."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.enums import OperationKind, Result
from feature_lineage.api.operation_status import (
    OperationRecord,
    OperationStatus,
    OperationViewResult,
    OverrideStatus,
)
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import AliasHistoryStatus, FeatureStoreProjectStatus
from feature_lineage.decide.budget import KEPT_OPERATIONS, KEPT_PROBES, MAX_OPERATION_VIEWS
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.decide.project.attempt import AttemptOutcome
from feature_lineage.decide.project.views import outcome
from feature_lineage.operations.alias_history import AliasState
from feature_lineage.operations.job_report import JobReport, ViewReport
from feature_lineage.operations.ops_run_builder import ops_run
from feature_lineage.operations.records import Operation, OpsRun


def record(
    operation: OperationStatus,
    ended: AttemptOutcome,
    report: JobReport | None,
    now: datetime,
    override: OverrideStatus | None,
) -> OperationRecord:
    views = _view_results(operation, report)
    total = operation.views_total or len(views)
    return OperationRecord(
        id=operation.id,
        kind=operation.kind,
        revision=operation.revision,
        started_at=operation.started_at,
        finished_at=report.finished_at if report else now,
        result=ended.result,
        reason=ended.reason or None,
        message=ended.message or (report.write_batches if report else "") or None,
        attempt=operation.attempt,
        job=operation.job,
        schedule=operation.schedule,
        backfill=operation.backfill,
        override=override,
        views=views[:MAX_OPERATION_VIEWS],
        views_total=total if total > MAX_OPERATION_VIEWS else None,
        registry_digest=report.snapshot.digest if report and report.snapshot else None,
        inputs_digest=operation.inputs_digest,
    )


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
            results[view.name] = OperationViewResult(name=view.name, **outcome(view))
    return tuple(results[name] for name in sorted(results))


def listed(operations: Iterable[OperationRecord], recorded: bool) -> tuple[OperationRecord, ...]:
    kept, fitting, probes = [], 0, 0
    for record in operations:
        waits = recorded and record.mlflow_run_id is None and record.job is not None
        probes += record.kind is OperationKind.PROBE
        # Probes are many, and the failure of a rare operation is what a person looks for.
        fits = record.kind is not OperationKind.PROBE or probes <= KEPT_PROBES
        if (fits and fitting < KEPT_OPERATIONS) or waits:
            kept.append(record)
        fitting += fits
    return tuple(kept)


def records_operations(spec: FeatureStoreProjectSpec) -> bool:
    """Whether operations become ops runs in MLflow."""
    return spec.mlflow is not None and spec.mlflow.log_operations


def needed_jobs(status: FeatureStoreProjectStatus, *, recorded: bool) -> frozenset[str]:
    """Names of the jobs whose report is still needed: in flight, or not recorded yet."""
    needed = {
        operation.job
        for operation in status.operations
        if recorded and operation.mlflow_run_id is None and operation.job
    }
    return frozenset(needed | {operation.job for operation in status.in_flight})


def with_runs(
    status: FeatureStoreProjectStatus, recorded: Mapping[str, str]
) -> FeatureStoreProjectStatus:
    """The status with the MLflow runs of the operations that were recorded, by operation id."""
    operations = tuple(
        operation.model_copy(update={"mlflow_run_id": recorded[operation.id]})
        if operation.id in recorded
        else operation
        for operation in status.operations
    )
    return status.model_copy(update={"operations": operations})


def with_aliases(
    status: FeatureStoreProjectStatus, recorded: AliasState | None
) -> FeatureStoreProjectStatus:
    """The status with the last record of aliases; None or a state without a record: unchanged."""
    if recorded is None or not recorded.record:
        return status
    mark = AliasHistoryStatus(
        record=recorded.record, digest=recorded.digest, at=recorded.at.replace(microsecond=0)
    )
    return status.model_copy(update={"alias_history": mark})


def waiting_records(observed: ObservedProject, status: FeatureStoreProjectStatus) -> str:
    """What waits to be recorded, for people; "" if nothing."""
    operations = sum(operation.mlflow_run_id is None for operation in status.operations)
    pending = observed.aliases.pending if observed.aliases is not None else ()
    mark = status.alias_history
    done = next((n + 1 for n, c in enumerate(pending) if mark and c.state.record == mark.record), 0)
    parts = (f"{operations} operations", f"{len(pending) - done} changes of aliases")
    return " and ".join(part for part in parts if not part.startswith("0 "))


def ops_run_of(
    project: FeatureStoreProject, listed: OperationRecord, job: JobFacts | None
) -> OpsRun:
    """The ops run of one operation, as complete as the remaining data of its job allows."""
    mlflow, metadata = project.spec.mlflow, project.metadata
    assert mlflow is not None
    earlier = {
        other.registry_digest
        for other in project.status.operations
        if other.id != listed.id
        and other.mlflow_run_id is not None
        and other.result in (Result.SUCCEEDED, Result.PLANNED)
    }
    started = listed.started_at or listed.finished_at
    ended = listed.finished_at or started
    assert started is not None
    assert ended is not None
    report = _whole(listed, job.report) if job is not None and job.report is not None else None
    operation = Operation(
        id=listed.id,
        kind=listed.kind,
        project=project.spec.project,
        resource=f"{metadata.namespace}/{metadata.name}",
        started_at=started,
        ended_at=ended,
        revision=listed.revision or "",
        attempt=listed.attempt,
        override=f"{listed.override.kind}: {listed.override.why}" if listed.override else "",
        incremental=_incremental(project.spec, listed),
        snapshot_on_record=listed.registry_digest in earlier,
        succeeded=listed.result in (Result.SUCCEEDED, Result.PLANNED),
        reason=listed.reason or "",
        message=listed.message or "",
        views=tuple(
            ViewReport(
                name=view.name,
                kind="",
                result="Succeeded" if view.result is Result.SUCCEEDED else "Failed",
                rows=view.rows,
                error=view.error or "",
            )
            for view in listed.views
        ),
    )
    return ops_run(operation, report, experiment_suffix=mlflow.ops_experiment_suffix)


def _whole(listed: OperationRecord, report: JobReport) -> JobReport:
    """The last attempt's report, with the views that an earlier attempt finished."""
    done = {view.name: view for view in listed.views if view.result is Result.SUCCEEDED}
    views = tuple(
        view.model_copy(update={"result": "Succeeded", "rows": done[view.name].rows})
        if not view.result and view.name in done
        else view
        for view in report.views
    )
    changes: dict[str, Any] = {"views": views}
    if listed.registry_digest is None:
        changes["snapshot"] = None  # it was not taken over: the timeline must not have it either
    return report.model_copy(update=changes)


def _incremental(spec: FeatureStoreProjectSpec, listed: OperationRecord) -> bool:
    """Whether each view's window began where its last one ended."""
    named = (schedule for schedule in spec.schedules if schedule.name == listed.schedule)
    return any(schedule.window is None for schedule in named)
