"""What came of acting, and what it means for the status."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from feature_lineage.api.enums import OperationPhase
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.reconcile.values import Failure

RETRY_START = timedelta(seconds=30)


@dataclass
class Outcomes:
    """What the actions of one pass led to.

    Attributes:
        recorded: operation id → MLflow run id.
        not_started: why the job could not be started.
        not_recorded: why MLflow did not take something.
    """

    recorded: dict[str, str] = field(default_factory=dict)
    not_started: Failure | None = None
    not_recorded: Failure | None = None

    @property
    def failed(self) -> bool:
        return self.not_started is not None or self.not_recorded is not None


def settle(
    status: FeatureStoreProjectStatus, outcomes: Outcomes, now: datetime
) -> FeatureStoreProjectStatus:
    """The status once it is known what the actions led to."""
    if outcomes.recorded:
        operations = tuple(
            operation.model_copy(update={"mlflow_run_id": outcomes.recorded[operation.id]})
            if operation.id in outcomes.recorded
            else operation
            for operation in status.operations
        )
        status = status.model_copy(update={"operations": operations})
    if outcomes.not_started is not None and status.operation is not None:
        waiting = status.operation.model_copy(
            update={
                "phase": OperationPhase.BACKING_OFF,
                "not_before": (now + RETRY_START).replace(microsecond=0),
                "reason": outcomes.not_started.reason,
                "message": outcomes.not_started.message,
            }
        )
        status = status.model_copy(update={"operation": waiting})
    return status
