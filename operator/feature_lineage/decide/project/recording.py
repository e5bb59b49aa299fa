"""From a finished operation to the ops run that MLflow shall hold."""

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.enums import Result
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import OperationRecord
from feature_lineage.decide.facts import JobFacts
from feature_lineage.operations.audit import ops_run
from feature_lineage.operations.protocol import JobReport
from feature_lineage.operations.records import Operation, OpsRun


def ops_run_of(
    project: FeatureStoreProject, listed: OperationRecord, job: JobFacts | None
) -> OpsRun:
    """The audit record of one operation, as complete as what is left of its job."""
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
    )
    return ops_run(operation, report, experiment_suffix=mlflow.ops_experiment_suffix)


def _whole(listed: OperationRecord, report: JobReport) -> JobReport:
    """The last attempt's report, with the views that an earlier attempt had done."""
    done = {view.name: view for view in listed.views if view.result is Result.SUCCEEDED}
    views = tuple(
        view.model_copy(update={"result": "Succeeded", "rows": done[view.name].rows})
        if not view.result and view.name in done
        else view
        for view in report.views
    )
    return report.model_copy(update={"views": views})


def _incremental(spec: FeatureStoreProjectSpec, listed: OperationRecord) -> bool:
    """Whether each view's window began where its last one ended."""
    named = (schedule for schedule in spec.schedules if schedule.name == listed.schedule)
    return any(schedule.window is None for schedule in named)
