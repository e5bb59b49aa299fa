"""Passes over a model that had nothing to do: the next one is spared while that holds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.conditions import ProjectCondition, ProjectReason, find_condition
from feature_lineage.api.model_status import ModelFreshnessStatus
from feature_lineage.decide.values import ObservedModel
from feature_lineage.reconcile.cache import LOOK_AGAIN
from feature_lineage.reconcile.observe_model import ModelInputs

WITH_OBJECTIVE: Final = timedelta(minutes=1)
"""Where an age counts, time alone changes more than the one moment that the status tells."""


@dataclass(frozen=True, slots=True)
class QuietReconcile:
    """A quiet pass.

    Attributes:
        glance: all it depended on.
        until: when the time alone may lead to something else.
    """

    inputs: ModelInputs
    until: datetime

    def holds(self, inputs: ModelInputs, now: datetime) -> bool:
        """Whether a pass now would be as quiet."""
        return now < self.until and self.inputs.same(inputs)


def quiet_until_of(
    observed: ObservedModel,
    inputs: ModelInputs,
    freshness: ModelFreshnessStatus | None,
    now: datetime,
) -> datetime:
    """When a quiet pass is worth repeating though nothing has changed."""
    until = now + LOOK_AGAIN
    if freshness is not None and freshness.max_age is not None:
        until = now + WITH_OBJECTIVE
        if freshness.fresh and freshness.materialized_until is not None:
            until = min(until, freshness.materialized_until + freshness.max_age)
    project = inputs.project
    if project is None or project.spec.mlflow is None or not _in_doubt(observed, inputs, project):
        return until
    return min(until, now + project.spec.mlflow.poll_interval)


def _in_doubt(observed: ObservedModel, inputs: ModelInputs, project: FeatureStoreProject) -> bool:
    """Whether MLflow may have more to tell without saying so: it did not answer somebody."""
    facts = find_condition(project.status.conditions, ProjectCondition.FACTS_CURRENT)
    unanswered = facts is not None and facts.reason == ProjectReason.MLFLOW_VIEW_OLD
    no_baseline = observed.linked is not None and observed.linked.baseline is None
    return inputs.failure is not None or unanswered or no_baseline
