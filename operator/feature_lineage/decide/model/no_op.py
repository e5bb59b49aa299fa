"""Computes until when a reconcile of a model is a no-op while its inputs stay the same."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.conditions import ProjectCondition, find_condition
from feature_lineage.api.model_status import ModelFreshnessStatus, TrainedModelStatus
from feature_lineage.decide.decision import Decision
from feature_lineage.decide.model.decide import decide_model
from feature_lineage.decide.observed import ObservedModel
from feature_lineage.reasons import Reason

RECHECK_INTERVAL: Final = timedelta(minutes=10)
RECHECK_WITH_OBJECTIVE: Final = timedelta(minutes=1)
"""With a freshness objective, re-evaluate every minute."""


def no_op_until(
    observed: ObservedModel,
    written: TrainedModel,
    decision: Decision[TrainedModelStatus],
    now: datetime,
) -> datetime | None:
    """The time at which the next reconcile may have work; None: immediately.

    Args:
        observed: the observation from which `decision` was made.
        written: the model after this reconcile.
    """
    # A snapshot that could not be read may be readable at the next attempt, without any event.
    if decision.after or decision.finished or _snapshot_missing(observed):
        return None
    if written.status != observed.resource.status:
        following = decide_model(replace(observed, resource=written))
        if following.status != written.status or following.after or following.events:
            return None
    return _recheck_at(observed, written.status.freshness, now)


def _snapshot_missing(observed: ObservedModel) -> bool:
    """Whether the registry snapshot that the project's status names could not be read."""
    project = observed.project
    if project is None or project.spec.mlflow is None or project.status.registry is None:
        return False
    return project.status.registry.digest is not None and observed.snapshot is None


def _recheck_at(
    observed: ObservedModel, freshness: ModelFreshnessStatus | None, now: datetime
) -> datetime:
    until = now + RECHECK_INTERVAL
    if freshness is not None and freshness.max_age is not None:
        until = now + RECHECK_WITH_OBJECTIVE
        if freshness.fresh and freshness.materialized_until is not None:
            until = min(until, freshness.materialized_until + freshness.max_age)
    project = observed.project
    if project is None or project.spec.mlflow is None or not _facts_incomplete(observed, project):
        return until
    return min(until, now + project.spec.mlflow.poll_interval)


def _facts_incomplete(observed: ObservedModel, project: FeatureStoreProject) -> bool:
    """Whether MLflow did not answer a request: its next answer may differ without any event."""
    facts = find_condition(project.status.conditions, ProjectCondition.FACTS_CURRENT)
    view_old = facts is not None and facts.reason == Reason.MLFLOW_VIEW_OLD
    no_baseline = observed.linked is not None and observed.linked.baseline is None
    return observed.failure is not None or view_old or no_baseline
