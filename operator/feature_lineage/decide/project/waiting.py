"""What keeps an operation that was decided on from going on."""

from feature_lineage.api.enums import OperationPhase
from feature_lineage.api.project_status import OperationStatus
from feature_lineage.decide.values import Failure, ObservedProject
from feature_lineage.reasons import Reason


def waits(observed: ObservedProject, operation: OperationStatus | None) -> Failure | None:
    """What keeps the operation in flight from going on: its next attempt, or a job that waits."""
    job = observed.job
    if operation is None:
        return None
    if operation.phase is OperationPhase.BACKING_OFF and operation.not_before is not None:
        message = (
            f"{operation.message}; attempt {operation.attempt} starts at "
            f"{operation.not_before:%Y-%m-%dT%H:%M:%SZ}"
        )
        return Failure(operation.reason or Reason.JOB_FAILED, message)
    if job is not None and job.running and job.reason:
        return Failure(job.reason, f"{operation.id} waits: {job.message}")
    return None
