"""Freshness of a project's views and the totals of its status, computed anew each pass."""

from collections.abc import Mapping
from datetime import datetime

from feature_lineage.api.enums import ApplyMode
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import (
    Counts,
    FeatureStoreProjectStatus,
    FeatureViewStatus,
)
from feature_lineage.api.types import Duration
from feature_lineage.decide.project.view_status import unhealthy_first
from feature_lineage.decide.values import ObservedProject
from feature_lineage.features.freshness import (
    Freshness,
    ViewState,
    is_served,
    judge_view,
)
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.verdicts import Verdict
from feature_lineage.reasons import Reason


def objectives(spec: FeatureStoreProjectSpec) -> tuple[dict[str, Duration], Duration | None]:
    """Freshness objectives: of views that have their own, and of all others."""
    if spec.freshness is None:
        return {}, None
    return {view.name: view.max_age for view in spec.freshness.views}, spec.freshness.max_age


def view_states(
    spec: FeatureStoreProjectSpec, status: FeatureStoreProjectStatus
) -> dict[str, ViewState]:
    """What is known of the materialization of each view."""
    own, every = objectives(spec)
    return {
        view.name: ViewState(
            view.name,
            view.kind,
            view.materialized_until,
            view.newest_event_time,
            own.get(view.name, every),
        )
        for view in status.feature_views
    }


def observed_at(
    spec: FeatureStoreProjectSpec, status: FeatureStoreProjectStatus
) -> datetime | None:
    """Since when somebody else may have materialized unseen; None where only we do."""
    if spec.apply.mode is not ApplyMode.OBSERVE or status.registry is None:
        return None
    return status.registry.observed_at


def judge_views(
    observed: ObservedProject, status: FeatureStoreProjectStatus
) -> dict[str, Freshness]:
    """Freshness of every view that is served online."""
    spec, snapshot = observed.resource.spec, observed.snapshot
    since = observed_at(spec, status)
    return {
        name: judge_view(state, observed.now, since)
        for name, state in view_states(spec, status).items()
        if snapshot is None or is_served(snapshot, name)
    }


def with_freshness(
    status: FeatureStoreProjectStatus,
    spec: FeatureStoreProjectSpec,
    judged: Mapping[str, Freshness],
) -> FeatureStoreProjectStatus:
    """The views with objective and freshness, unhealthy ones first."""
    views: dict[str, FeatureViewStatus] = {}
    own, every = objectives(spec)
    for view in status.feature_views:
        freshness = judged.get(view.name)
        views[view.name] = view.model_copy(
            update={
                "max_age": own.get(view.name, every) if freshness else None,
                "fresh": freshness.fresh if freshness else None,
            }
        )
    return status.model_copy(update={"feature_views": unhealthy_first(views)})


def counts(observed: ObservedProject, judged: Mapping[str, Freshness]) -> Counts:
    """Totals, also behind lists that are capped; what is not known now stays as it was."""
    before = observed.resource.status.counts or Counts()
    stale = (Reason.STALE, Reason.NEVER_MATERIALIZED)
    now = {
        **_registry_counts(observed.snapshot),
        **_model_counts(observed),
        "stale_views": sum(freshness.reason in stale for freshness in judged.values()),
    }
    return before.model_copy(update=now)


def _model_counts(observed: ObservedProject) -> dict[str, int]:
    models = observed.models
    if models is None:  # the spec names no MLflow
        return {"linked_models": 0, "broken_models": 0}
    if models.read_at is None:
        return {}
    known = {"linked_models": len(models.linked)}
    if observed.snapshot is None and observed.resource.status.registry is not None:
        return known
    verdicts = [item.judgement.verdict for item in models.linked if item.judgement is not None]
    return {**known, "broken_models": verdicts.count(Verdict.BROKEN)}


def _registry_counts(snapshot: RegistrySnapshot | None) -> dict[str, int]:
    if snapshot is None:
        return {}
    views = list(snapshot.views())
    return {
        "feature_views": len(views),
        "features": sum(len(spec.get("features", ())) for _, _, spec in views),
        "feature_services": len(snapshot.objects.get("feature_service", {})),
    }
