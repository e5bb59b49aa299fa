"""Operations of the past, as the status lists them, and which jobs somebody still needs."""

from collections.abc import Iterable
from datetime import datetime

from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import (
    FeatureStoreProjectStatus,
    OperationRecord,
    OperationStatus,
    OperationViewResult,
    OverrideStatus,
)
from feature_lineage.decide.project.view_status import outcome
from feature_lineage.decide.values import AttemptOutcome
from feature_lineage.operations.protocol import JobReport

KEPT_OPERATIONS = 10


def job_id(operation: OperationStatus) -> str:
    """Name of the job of this attempt: another attempt is another job of the same operation."""
    return f"{operation.id}-{operation.attempt}"


def record(
    operation: OperationStatus,
    ending: AttemptOutcome,
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
    return tuple(results[name] for name in sorted(results))[:100]


def listed(operations: Iterable[OperationRecord], recorded: bool) -> tuple[OperationRecord, ...]:
    kept = []
    for index, record in enumerate(operations):
        waits = recorded and record.mlflow_run_id is None and record.job is not None
        if index < KEPT_OPERATIONS or waits:
            kept.append(record)
    return tuple(kept)


def records_operations(spec: FeatureStoreProjectSpec) -> bool:
    """Whether operations become ops runs in MLflow."""
    return spec.mlflow is not None and spec.mlflow.log_operations


def needed_jobs(status: FeatureStoreProjectStatus, *, recorded: bool) -> frozenset[str]:
    """Jobs whose result somebody still needs: in flight, or not on record yet."""
    needed = {
        operation.job
        for operation in status.operations
        if recorded and operation.mlflow_run_id is None and operation.job
    }
    if status.operation is not None:
        needed.add(job_id(status.operation))
    return frozenset(needed)
