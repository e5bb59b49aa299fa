"""Updates the status with the results of the actions of a reconcile.

A failed action is not an error of the reconcile: it is a fact, which a condition reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api import Condition, TrainedModel
from feature_lineage.api.conditions import (
    PROJECT_REASONS,
    ModelCondition,
    ProjectCondition,
    find_condition,
    reason_in,
)
from feature_lineage.api.enums import OperationPhase, Result
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.decide.events import DomainEvent
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.observed import Failure, ObservedProject
from feature_lineage.decide.project.access_events import write_refused
from feature_lineage.decide.project.attempt import AttemptOutcome
from feature_lineage.decide.project.bounded import bounded
from feature_lineage.decide.project.history import (
    records_operations,
    waiting_records,
    with_aliases,
    with_runs,
)
from feature_lineage.decide.project.lifecycle import end_operation
from feature_lineage.decide.project.step import Step
from feature_lineage.errors import WaitingError
from feature_lineage.operations.alias_history import AliasState
from feature_lineage.reasons import Reason

MOVED: Final = WaitingError.reason
"""The repo has changed since the operation was decided: the next reconcile decides again."""

RETRY_START: Final = timedelta(seconds=30)
CHANGED: Final = timedelta(seconds=1)
STARTING: Final = (
    PROJECT_REASONS[ProjectCondition.APPLIED] | PROJECT_REASONS[ProjectCondition.SOURCE_READY]
)
"""Reasons of a job that does not start, for its conditions; others become JobFailed."""


@dataclass(frozen=True)
class ActionResults:
    """The results of the actions of one reconcile.

    Attributes:
        recorded: operation id → MLflow run id.
        not_started: job → failure of its start.
        not_recorded: failure of a write to MLflow.
        not_told: failure to cancel a running job, or to send a newer guard to it.
        aliases: the state of the last record of aliases that was written.
    """

    recorded: Mapping[str, str] = field(default_factory=dict)
    not_started: Mapping[str, Failure] = field(default_factory=dict)
    not_recorded: Failure | None = None
    not_told: Failure | None = None
    aliases: AliasState | None = None

    @property
    def failed(self) -> bool:
        others = (self.not_recorded, self.not_told)
        return bool(self.not_started) or any(failure is not None for failure in others)

    @property
    def retry_after(self) -> timedelta:
        """The time to wait after a failure; one second if only the repo has changed."""
        moved = all(failure.reason == MOVED for failure in self.not_started.values())
        others = self.not_recorded or self.not_told
        return CHANGED if moved and others is None else RETRY_START


def conclude(
    observed: ObservedProject,
    status: FeatureStoreProjectStatus,
    results: ActionResults,
    now: datetime,
) -> Step:
    """The status and the domain events after the results of the actions are known.

    Args:
        status: the status that was written before the actions.
        now: time at which the actions were done.
    """
    observed = replace(observed, now=now.replace(microsecond=0))
    step = Step(with_aliases(with_runs(status, results.recorded), results.aliases))
    if results.not_recorded is not None:
        conditions = _not_recorded(observed, step.status, results.not_recorded, now)
        step = step.update(conditions=conditions)
        before, after = (
            find_condition(each.conditions, ProjectCondition.RECORDED)
            for each in (observed.resource.status, step.status)
        )
        key = key_of(observed.resource)
        step = step.telling(*write_refused(key, results.not_recorded, before, after))
    for operation in status.in_flight:
        failure = results.not_started.get(operation.job)
        if failure is not None and failure.reason != MOVED:
            step = _not_started(observed, step, operation, failure)
    recorded = records_operations(observed.resource.spec)
    return replace(step, status=bounded(step.status, status, recorded=recorded))


def _not_started(
    observed: ObservedProject, step: Step, operation: OperationStatus, failure: Failure
) -> Step:
    """Fail the operation if only a change of the spec can help; otherwise start it again later."""
    if failure.reason not in STARTING:
        failure = replace(failure, reason=Reason.JOB_FAILED)
    if failure.terminal:
        ended = AttemptOutcome(Result.FAILED, failure.reason, failure.message, retry=False)
        return end_operation(observed, step, operation, ended, None)
    waiting = {
        "phase": OperationPhase.BACKING_OFF,
        "not_before": observed.now + RETRY_START,
        "reason": failure.reason,
        "message": failure.message,
    }
    return step.with_operation(operation.model_copy(update=waiting))


def conclude_model(
    model: TrainedModel, status: TrainedModelStatus, results: ActionResults, now: datetime
) -> tuple[TrainedModelStatus, tuple[DomainEvent, ...]]:
    """The status and the domain events after MLflow has accepted or refused the tags.

    Args:
        model: as it was before the reconcile.
        status: the status that was written before the actions.
    """
    failure = results.not_recorded
    if failure is None:
        return status, ()
    conditions = _refused(status.conditions, ModelCondition.TAGGED, failure, now)
    before, after = (
        find_condition(each, ModelCondition.TAGGED)
        for each in (model.status.conditions, conditions)
    )
    told = tuple(write_refused(key_of(model), failure, before, after))
    return status.model_copy(update={"conditions": conditions}), told


def _not_recorded(
    observed: ObservedProject, status: FeatureStoreProjectStatus, failure: Failure, now: datetime
) -> tuple[Condition, ...]:
    waiting = waiting_records(observed, status)
    counted = replace(failure, message=f"{waiting} wait for MLflow: {failure.message}")
    return _refused(status.conditions, ProjectCondition.RECORDED, counted, now)


def _refused(
    current: tuple[Condition, ...],
    type_: ProjectCondition | ModelCondition,
    failure: Failure,
    now: datetime,
) -> tuple[Condition, ...]:
    before = find_condition(current, type_)
    conditions = ConditionSet(current, now, before.observed_generation if before else None)
    reason = reason_in(type_, failure.reason, Reason.REQUEST_REJECTED)
    conditions.false(type_, reason, failure.message)
    return conditions.values
