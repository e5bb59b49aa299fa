"""Samples about models: versions, feature views, verdicts and freshness."""

from collections.abc import Callable, Iterator
from datetime import datetime

from feature_lineage.api.conditions import ModelCondition
from feature_lineage.api.enums import Verdict
from feature_lineage.features.freshness import judge_model
from feature_lineage.features.refs import FeatureRef
from feature_lineage.metrics.families import Row
from feature_lineage.metrics.state import ModelSample, ProjectData, ScrapeData
from feature_lineage.operations.feature_shares import FeatureShare
from feature_lineage.reasons import Reason


def info(data: ScrapeData) -> Iterator[Row]:
    for model in data.models:
        lineage = model.lineage
        service, origin = (lineage.service, lineage.origin) if lineage else ("", "")
        project = data.project_of(model)
        owners = project.owners.of(service, lineage.views) if project and lineage else ("", "")
        common = (*_model(model), model.version, service, origin, model.owner, *owners)
        yield (*common, *_project_labels(data, model)), 1.0


def feature_views(data: ScrapeData) -> Iterator[Row]:
    """One sample for each view that feeds a model: including those behind an on-demand
    view, since these are materialized."""
    for model in data.models:
        lineage, project = model.lineage, data.project_of(model)
        if lineage is None or project is None:
            continue
        common = (*_model(model), model.version, lineage.service)
        feeding = {name for view in lineage.views for name in project.feeding_views(view)}
        for name in sorted(feeding):
            yield (*common, name, *_project_labels(data, model)), 1.0


def verdict(data: ScrapeData) -> Iterator[Row]:
    for model in data.models:
        current = model.lineage.verdict if model.lineage is not None else Verdict.UNKNOWN
        for each in Verdict:
            yield (*_model(model), each.value), float(each is current)


def verdict_since(data: ScrapeData) -> Iterator[Row]:
    for model in data.models:
        lineage = model.lineage
        if lineage is not None and lineage.verdict_since is not None:
            yield _model(model), lineage.verdict_since.timestamp()


def problems(data: ScrapeData) -> Iterator[Row]:
    for model in data.models:
        if model.lineage is not None:
            yield _model(model), float(model.lineage.problems)


def features_fresh(data: ScrapeData) -> Iterator[Row]:
    for model in data.models:
        fresh = _fresh(model, data.project_of(model), data.now)
        if fresh is not None:
            yield _model(model), float(fresh)


def serving(data: ScrapeData) -> Iterator[Row]:
    for model in data.models:
        for condition in model.conditions:
            if condition.type == ModelCondition.SERVING and condition.status != "Unknown":
                yield _model(model), float(condition.status == "True")


def null_ratio(data: ScrapeData) -> Iterator[Row]:
    return _by_feature(data, lambda share: share.null_ratio)


def skew_ratio(data: ScrapeData) -> Iterator[Row]:
    return _by_feature(data, lambda share: share.skew_ratio)


def _by_feature(data: ScrapeData, ratio: Callable[[FeatureShare], float | None]) -> Iterator[Row]:
    for model in data.models:
        for share in data.shares.get(model.name, ()):
            if (value := ratio(share)) is not None:
                yield (*_model(model), share.column), value


def _fresh(model: ModelSample, project: ProjectData | None, now: datetime) -> bool | None:
    lineage = model.lineage
    if lineage is None or project is None:
        return None
    if model.freshness is not None and model.freshness.reason == Reason.NOT_SERVED:
        return False  # also what no time says: a view that is not online any more
    partial = lineage.views_total > len(lineage.views)
    if project.snapshot is None or partial:
        return _fresh_in_status(model, now)
    return judge_model(
        project.snapshot,
        [FeatureRef(view, "") for view in lineage.views],  # only views matter here
        project.states,
        now,
        project.read_at,
        model.own_max_age,
    ).fresh


def _fresh_in_status(model: ModelSample, now: datetime) -> bool | None:
    """Freshness from the status, or False if the deciding view is stale by now."""
    known = model.freshness
    if known is None or not known.fresh or known.max_age is None:
        return known.fresh if known is not None else None
    return known.materialized_until is not None and now < known.materialized_until + known.max_age


def _model(model: ModelSample) -> tuple[str, str, str, str]:
    return (*model.name, model.model, model.alias)


def _project_labels(data: ScrapeData, model: ModelSample) -> tuple[str, str, str]:
    project = data.project_of(model)
    return (*model.project_name, project.project.spec.project if project is not None else "")
