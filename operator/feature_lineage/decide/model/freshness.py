"""Freshness of a model: that of the least fresh view its features are served from."""

from feature_lineage.api.model_status import ModelFreshnessStatus
from feature_lineage.api.types import Duration
from feature_lineage.decide.project.views import observed_at, view_states
from feature_lineage.decide.values import LinkedVersion, ObservedModel
from feature_lineage.features.freshness import OverallFreshness, judge_model


def judge(observed: ObservedModel, linked: LinkedVersion) -> OverallFreshness | None:
    """None while the registry or the model's features are not known."""
    project, snapshot = observed.project, observed.snapshot
    if project is None or snapshot is None or not linked.link.refs:
        return None
    own, states = observed.resource.spec.freshness, observed.states
    return judge_model(
        snapshot,
        linked.link.refs,
        view_states(project.spec, project.status) if states is None else states,
        observed.now,
        observed_at(project.spec, project.status),
        own.max_age if own else None,
    )


def model_freshness(observed: ObservedModel, linked: LinkedVersion) -> ModelFreshnessStatus | None:
    """The same as the status shows it: times, not ages."""
    judged = judge(observed, linked)
    if judged is None:
        return None
    return ModelFreshnessStatus(
        oldest_view=judged.oldest_view or None,
        materialized_until=judged.materialized_until,
        max_age=judged.max_age if isinstance(judged.max_age, Duration) else None,
        fresh=judged.fresh,
    )
