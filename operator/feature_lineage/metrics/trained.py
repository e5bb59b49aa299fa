"""Samples about models: what they stand for, what feeds them, and what became of that."""

from collections.abc import Iterator
from datetime import datetime

from feature_lineage.api import TrainedModel
from feature_lineage.api.enums import Verdict
from feature_lineage.features.freshness import judge_model
from feature_lineage.features.refs import FeatureRef
from feature_lineage.metrics.families import Row
from feature_lineage.metrics.state import ProjectScene, Scene, home_of, name_of


def info(scene: Scene) -> Iterator[Row]:
    for model in scene.models:
        lineage = model.status.lineage
        service = (lineage.feature_service if lineage else None) or ""
        origin = (lineage.origin.value if lineage and lineage.origin else None) or ""
        yield (*_model(model), _version(model), service, origin, *_home(scene, model)), 1.0


def feature_views(scene: Scene) -> Iterator[Row]:
    """One sample for each view that feeds a model: also those behind an on-demand view, since
    they are the ones that are materialized."""
    for model in scene.models:
        lineage, project = model.status.lineage, scene.project_of(model)
        if lineage is None or project is None:
            continue
        common = (*_model(model), _version(model), lineage.feature_service or "")
        feeding = {name for view in lineage.feature_views for name in project.feeding_views(view)}
        for name in sorted(feeding):
            yield (*common, name, *_home(scene, model)), 1.0


def verdict(scene: Scene) -> Iterator[Row]:
    for model in scene.models:
        lineage = model.status.lineage
        current = lineage.verdict if lineage is not None else Verdict.UNKNOWN
        for each in Verdict:
            yield (*_model(model), each.value), float(each is current)


def verdict_since(scene: Scene) -> Iterator[Row]:
    for model in scene.models:
        lineage = model.status.lineage
        if lineage is not None and lineage.verdict_since is not None:
            yield _model(model), lineage.verdict_since.timestamp()


def problems(scene: Scene) -> Iterator[Row]:
    for model in scene.models:
        lineage = model.status.lineage
        if lineage is not None:
            yield _model(model), float(lineage.problems_total)


def features_fresh(scene: Scene) -> Iterator[Row]:
    for model in scene.models:
        fresh = _fresh(model, scene.project_of(model), scene.now)
        if fresh is not None:
            yield _model(model), float(fresh)


def _fresh(model: TrainedModel, project: ProjectScene | None, now: datetime) -> bool | None:
    lineage = model.status.lineage
    if lineage is None or project is None:
        return None
    partial = lineage.feature_views_total > len(lineage.feature_views)
    if project.snapshot is None or partial:
        return _fresh_as_written(model, now)
    own = model.spec.freshness
    return judge_model(
        project.snapshot,
        [FeatureRef(view, "") for view in lineage.feature_views],  # only views matter here
        project.states,
        now,
        project.read_at,
        own.max_age if own else None,
    ).fresh


def _fresh_as_written(model: TrainedModel, now: datetime) -> bool | None:
    """What the status says, unless the view that decides has gone stale since."""
    known = model.status.freshness
    if known is None or not known.fresh or known.max_age is None:
        return known.fresh if known is not None else None
    return known.materialized_until is not None and now < known.materialized_until + known.max_age


def _model(model: TrainedModel) -> tuple[str, str, str, str]:
    reference = model.spec.model
    return (*name_of(model), reference.name, reference.alias or "")


def _version(model: TrainedModel) -> str:
    resolved = model.status.resolved
    return resolved.version if resolved is not None else model.spec.model.version or ""


def _home(scene: Scene, model: TrainedModel) -> tuple[str, str, str]:
    project = scene.project_of(model)
    return (*home_of(model), project.project.spec.project if project is not None else "")
