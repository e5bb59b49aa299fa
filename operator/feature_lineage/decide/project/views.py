"""The views of a project: their results from reports, their freshness, and the totals."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from feature_lineage.api.enums import ApplyMode, MaterializedBy, Result
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import Counts, FeatureStoreProjectStatus, FeatureViewStatus
from feature_lineage.api.types import Duration
from feature_lineage.decide.budget import ERROR, MAX_VIEWS, fit
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.decide.project.suspects import noted
from feature_lineage.features.freshness import (
    Freshness,
    ViewState,
    is_served,
    judge_view,
    place_of,
    with_sources,
)
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.verdicts import Verdict
from feature_lineage.operations.job_report import JobReport, ViewReport


def objectives(spec: FeatureStoreProjectSpec) -> tuple[dict[str, Duration], Duration | None]:
    """Freshness objectives: of views that have their own, and the one of all others."""
    if spec.freshness is None:
        return {}, None
    return {view.name: view.max_age for view in spec.freshness.views}, spec.freshness.max_age


def view_states(
    spec: FeatureStoreProjectSpec,
    status: FeatureStoreProjectStatus,
    snapshot: RegistrySnapshot | None,
) -> Mapping[str, ViewState]:
    """The known state of the materialization of each view."""
    own, every = objectives(spec)
    online_store = (status.registry.online_store if status.registry else None) or ""
    states = {
        view.name: ViewState(
            view.name,
            view.kind,
            view.materialized_until,
            view.newest_event_time,
            own.get(view.name, every),
            view.future_until,
            not_served=bool(view.not_served),
            elsewhere=_elsewhere(view, snapshot, online_store),
            by_other=view.by is MaterializedBy.EXTERNAL,
        )
        for view in status.feature_views
    }
    return with_sources(states, snapshot)


def _elsewhere(
    view: FeatureViewStatus, snapshot: RegistrySnapshot | None, online_store: str
) -> bool:
    """Whether the rows of the view are not where Feast looks for them now."""
    if snapshot is None or not view.written_to:
        return False
    place = place_of(snapshot, view.name, online_store)
    return bool(place) and view.written_to != place


def observed_at(
    spec: FeatureStoreProjectSpec, status: FeatureStoreProjectStatus
) -> datetime | None:
    """The time since which another writer may have materialized; None if only the operator does."""
    if spec.apply.mode is not ApplyMode.OBSERVE or status.registry is None:
        return None
    return status.registry.observed_at


def judge_views(
    spec: FeatureStoreProjectSpec,
    status: FeatureStoreProjectStatus,
    snapshot: RegistrySnapshot | None,
    now: datetime,
) -> dict[str, Freshness]:
    """Freshness of every view that is served online."""
    since = observed_at(spec, status)
    return {
        name: judge_view(state, now, since)
        for name, state in view_states(spec, status, snapshot).items()
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
        max_age = own.get(view.name, every) if freshness else None
        fresh = freshness.fresh if freshness else None
        same = view.max_age == max_age and view.fresh == fresh
        views[view.name] = (
            view if same else view.model_copy(update={"max_age": max_age, "fresh": fresh})
        )
    return status.model_copy(update={"feature_views": unhealthy_first(views)})


def counts(
    observed: ObservedProject, snapshot: RegistrySnapshot | None, judged: Mapping[str, Freshness]
) -> Counts:
    """Totals, also of items beyond the limits of lists; unknown totals keep their value."""
    before = observed.resource.status.counts or Counts()
    now = {
        **_registry_counts(snapshot),
        **_model_counts(observed, snapshot),
        "stale_views": sum(freshness.fresh is False for freshness in judged.values()),
    }
    return before.model_copy(update=now)


def _model_counts(observed: ObservedProject, snapshot: RegistrySnapshot | None) -> dict[str, int]:
    models = observed.models
    if models is None:  # the spec names no MLflow
        return {"linked_models": 0, "broken_models": 0}
    if models.read_at is None:
        return {}
    known = {"linked_models": len(models.linked)}
    if snapshot is None and observed.resource.status.registry is not None:
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


def with_views(
    status: FeatureStoreProjectStatus,
    report: JobReport | None,
    now: datetime,
    tried_with: Callable[[str], str | None] = lambda _name: None,
    online_store: str | None = None,
    *,
    observed: bool = False,
) -> FeatureStoreProjectStatus:
    """Take over the results of each view from a report; remove views that left the registry.

    Args:
        tried_with: see `suspects.tried_with`.
        online_store: the online store in effect before the operation.
        observed: see `suspects.noted`.
    """
    if report is None or not report.views:
        return status
    known = {view.name: view for view in status.feature_views}
    views = {
        view.name: noted(
            _view(known.get(view.name), view, now, _places(report, online_store)),
            view,
            tried_with,
            observed=observed,
        )
        for view in report.views
        if (report.snapshot is None and (view.result or view.name in known))
        or (report.snapshot is not None and report.snapshot.view(view.name) is not None)
    }
    if report.snapshot is None:
        views = known | views
    return status.model_copy(update={"feature_views": unhealthy_first(views)})


def _places(report: JobReport, online_store: str | None) -> Callable[[str], str]:
    """For a view that another tool materialized, the place of its rows; "" if it is not known.

    A materialization that is seen together with a move of the store may have been before it.
    """
    snapshot, moved = report.snapshot, online_store not in (None, report.online_store_id)
    if snapshot is None or moved:
        return lambda _name: ""
    return lambda name: place_of(snapshot, name, report.online_store_id)


def _view(
    known: FeatureViewStatus | None,
    seen: ViewReport,
    now: datetime,
    place: Callable[[str], str],
) -> FeatureViewStatus:
    view = known or FeatureViewStatus(name=seen.name)
    changes: dict[str, Any] = {"kind": seen.kind}
    until, ahead = seen.materialized_until, seen.future_until
    if until is not None and until.replace(microsecond=0) == view.future_until:
        # It has passed meanwhile. Its rows were read before, so it still proves nothing.
        until, ahead = view.materialized_until, until
        if seen.result == "Succeeded" and seen.end is not None:
            until = max(filter(None, (seen.end, until)))
    if until is None and seen.result == "Succeeded" and seen.end is not None:
        # Feast records no interval of on-demand views, and a dead job has not read the registry.
        known_until = view.materialized_until
        until = seen.end if known_until is None else max(seen.end, known_until)
    elif until is not None or ahead is not None:
        changes["future_until"] = ahead.replace(microsecond=0) if ahead else None
    if until is not None and until.replace(microsecond=0) != view.materialized_until:
        changes["materialized_until"] = until.replace(microsecond=0)
        changes["by"] = (
            MaterializedBy.OPERATOR if seen.result == "Succeeded" else MaterializedBy.EXTERNAL
        )
        if seen.result != "Succeeded":
            changes["written_to"] = place(seen.name) or view.written_to
    if seen.written_to:
        changes["written_to"] = seen.written_to
    if seen.result == "Skipped":
        changes |= {"last_result": Result.FAILED, "last_error": fit(seen.error, ERROR) or None}
    elif seen.result:
        succeeded = seen.result == "Succeeded"
        changes |= {
            "last_result": Result.SUCCEEDED if succeeded else Result.FAILED,
            "last_error": fit(seen.error, ERROR) or None,
            "attempted_at": now,
            "last_duration_seconds": None if seen.seconds is None else round(seen.seconds, 3),
            "consecutive_failures": 0 if succeeded else view.consecutive_failures + 1,
        }
        if succeeded:
            changes["rows"] = seen.rows
            newest = seen.newest_event_time
            changes["newest_event_time"] = (
                newest.replace(microsecond=0) if newest else view.newest_event_time
            )
    return view.model_copy(update=changes)


def outcome(view: ViewReport) -> dict[str, Any]:
    result = Result.SUCCEEDED if view.result == "Succeeded" else Result.FAILED
    return {"result": result, "rows": view.rows, "error": fit(view.error, ERROR) or None}


def unhealthy_first(views: Mapping[str, FeatureViewStatus]) -> tuple[FeatureViewStatus, ...]:
    """The list as the status shows it: failing and stale views first, then by name.

    Before them are the views of a dead job: only the list says whose state is put back.
    """

    def rank(view: FeatureViewStatus) -> tuple[bool, bool, bool, str]:
        dead = view.state_before is not None or bool(view.killed_jobs)
        failing = view.last_result is Result.FAILED
        return (not dead, not failing, view.fresh is not False, view.name)

    return tuple(sorted(views.values(), key=rank))[:MAX_VIEWS]
