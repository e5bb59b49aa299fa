"""What came of acting, and what it means for the status.

An action that failed is no error of the pass: it is a fact, told by the condition it belongs to.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from feature_lineage.api import Condition
from feature_lineage.api.conditions import (
    PROJECT_REASONS,
    ModelCondition,
    ProjectCondition,
    find_condition,
)
from feature_lineage.api.enums import OperationPhase, Result
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.decide.project.endings import finish
from feature_lineage.decide.values import AttemptOutcome, Failure
from feature_lineage.errors import WaitingError

MOVED: Final = WaitingError.reason
"""The repo is not what it was when the operation was decided: what it is now is decided next."""

RETRY_START: Final = timedelta(seconds=30)
CHANGED: Final = timedelta(seconds=1)
REFUSALS: Final = frozenset(
    {"MLflowUnavailable", "AuthFailed", "HostNotAllowed", "ExperimentDeleted", "TagTooLong"}
)
STARTING: Final = (
    PROJECT_REASONS[ProjectCondition.APPLIED] | PROJECT_REASONS[ProjectCondition.SOURCE_READY]
)
"""Why a job does not start, by the words of the conditions; anything else is a failed job."""


@dataclass
class ActionResults:
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

    @property
    def retry_after(self) -> timedelta:
        """When to look again after a failure; at once where only the repo has moved on."""
        moved = self.not_started is not None and self.not_started.reason == MOVED
        return CHANGED if moved and self.not_recorded is None else RETRY_START


def settle(
    status: FeatureStoreProjectStatus,
    spec: FeatureStoreProjectSpec,
    outcomes: ActionResults,
    now: datetime,
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
    if outcomes.not_recorded is not None:
        status = status.model_copy(
            update={"conditions": _not_recorded(status, outcomes.not_recorded, now)}
        )
    failure = outcomes.not_started
    if failure is None or status.operation is None or failure.reason == MOVED:
        return status
    if failure.reason not in STARTING:
        failure = replace(failure, reason="JobFailed")
    if failure.terminal:
        ending = AttemptOutcome(Result.FAILED, failure.reason, failure.message, retry=False)
        return finish(status, spec, ending, None, now, recorded=True, override=None)
    waiting = status.operation.model_copy(
        update={
            "phase": OperationPhase.BACKING_OFF,
            "not_before": (now + RETRY_START).replace(microsecond=0),
            "reason": failure.reason,
            "message": failure.message,
        }
    )
    return status.model_copy(update={"operation": waiting})


def settle_model(
    status: TrainedModelStatus, outcomes: ActionResults, now: datetime
) -> TrainedModelStatus:
    """The status once it is known whether the tags were taken."""
    if outcomes.not_recorded is None:
        return status
    conditions = _told(status.conditions, ModelCondition.TAGGED, outcomes.not_recorded, now)
    return status.model_copy(update={"conditions": conditions})


def _not_recorded(
    status: FeatureStoreProjectStatus, failure: Failure, now: datetime
) -> tuple[Condition, ...]:
    waiting = sum(operation.mlflow_run_id is None for operation in status.operations)
    told = replace(failure, message=f"{waiting} operations wait for MLflow: {failure.message}")
    return _told(status.conditions, ProjectCondition.RECORDED, told, now)


def _told(
    current: tuple[Condition, ...], type_: StrEnum, failure: Failure, now: datetime
) -> tuple[Condition, ...]:
    before = find_condition(current, type_)
    conditions = ConditionSet(current, now, before.observed_generation if before else None)
    reason = failure.reason if failure.reason in REFUSALS else "RequestRejected"
    conditions.false(type_, reason, failure.message)
    return conditions.values
