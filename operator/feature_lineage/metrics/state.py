"""The state that a host exports in a scrape, and the data that the collector derives from it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.annotations import OWNER
from feature_lineage.api.enums import Verdict
from feature_lineage.api.model_status import ModelFreshnessStatus
from feature_lineage.decide.project.views import judge_views, observed_at, view_states
from feature_lineage.features.definitions import feeding_views
from feature_lineage.features.freshness import Freshness, ViewState
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.metrics.families import label
from feature_lineage.metrics.owners import Owners
from feature_lineage.operations.feature_shares import FeatureShare

Name = tuple[str, str]
"""(namespace, name) of a resource."""

MATERIALIZABLE = frozenset({"feature_view", "stream_feature_view"})


@dataclass(frozen=True, slots=True)
class FactTimes:
    """The times at which the facts about a project's models were read.

    Attributes:
        mlflow: age of the oldest fact in the last good view of MLflow; None: never read.
        guard: the same of the guard; None: there is none.
    """

    mlflow: datetime | None = None
    guard: datetime | None = None


@dataclass(frozen=True)
class State:
    """The resources to export; empty in a process that is not the leader.

    Attributes:
        models: iterated once; a host may create each model lazily.
        snapshots: of `status.registry.digest`, by project; optional.
        facts: by project; optional; without an entry no ages are exported.
        shares: by model; its features in the last answer of the probe; optional.
    """

    projects: tuple[FeatureStoreProject, ...] = ()
    models: Iterable[TrainedModel] = ()
    snapshots: Mapping[Name, RegistrySnapshot] = field(default_factory=dict)
    facts: Mapping[Name, FactTimes] = field(default_factory=dict)
    shares: Mapping[Name, tuple[FeatureShare, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConditionSample:
    """A condition without its message.

    Attributes:
        since: when its status last changed, in seconds since 1970.
    """

    type: str
    status: str
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class LineageSample:
    """A model's lineage without the feature list, which is the largest part.

    Attributes:
        views: feature views, as far as the status lists them.
        views_total: the number of all views.
    """

    service: str
    origin: str
    verdict: Verdict
    verdict_since: datetime | None
    problems: int
    views: tuple[str, ...]
    views_total: int


@dataclass(frozen=True, slots=True)
class ModelSample:
    """The exported fields of one model; ten thousand whole resources would take 200 MB.

    Attributes:
        name: namespace and name of the resource.
        project_name: namespace and name of the project it refers to.
        version: resolved, or as the spec names it.
        own_max_age: the model's own objective.
        owner: by its annotation, "" without one.
    """

    name: Name
    model: str
    alias: str
    project_name: Name
    version: str
    lineage: LineageSample | None
    freshness: ModelFreshnessStatus | None
    own_max_age: timedelta | None
    conditions: tuple[ConditionSample, ...]
    owner: str
    kind: str = "TrainedModel"

    @classmethod
    def of(cls, resource: TrainedModel) -> "ModelSample":
        spec, status = resource.spec, resource.status
        lineage, resolved = status.lineage, status.resolved
        return cls(
            name=name_of(resource),
            model=spec.model.name,
            alias=spec.model.alias or "",
            project_name=(
                spec.project_ref.namespace or resource.metadata.namespace,
                spec.project_ref.name,
            ),
            version=resolved.version if resolved is not None else spec.model.version or "",
            lineage=LineageSample(
                service=lineage.feature_service or "",
                origin=lineage.origin.value if lineage.origin else "",
                verdict=lineage.verdict,
                verdict_since=lineage.verdict_since,
                problems=lineage.problems_total,
                views=lineage.feature_views,
                views_total=lineage.feature_views_total,
            )
            if lineage is not None
            else None,
            freshness=status.freshness,
            own_max_age=spec.freshness.max_age if spec.freshness else None,
            conditions=conditions_of(resource),
            owner=label(resource.metadata.annotations.get(OWNER, "")),
        )


@dataclass(frozen=True)
class ProjectData:
    """A project with its freshness at the time of the scrape.

    Attributes:
        labels: namespace, name and Feast project.
        judged: freshness of every view that is served online.
        read_at: time of the last registry read, if others may materialize; None if only this
        product does.
        owners: of the views and services of the project.
    """

    project: FeatureStoreProject
    labels: tuple[str, str, str]
    snapshot: RegistrySnapshot | None
    facts: FactTimes
    states: Mapping[str, ViewState]
    judged: Mapping[str, Freshness]
    read_at: datetime | None
    owners: Owners

    def feeding_views(self, view: str) -> frozenset[str]:
        """The view itself and every view that feeds it."""
        if self.snapshot is None:
            return frozenset({view})
        return feeding_views(self.snapshot, view)


@dataclass(frozen=True)
class ScrapeData:
    """The input of one scrape's samples."""

    now: datetime
    projects: Mapping[Name, ProjectData]
    models: tuple[ModelSample, ...]
    shares: Mapping[Name, tuple[FeatureShare, ...]]

    def conditions(self) -> Iterator[tuple[str, Name, ConditionSample]]:
        """Kind and name of every resource, with each of its conditions."""
        for name, project in self.projects.items():
            for condition in conditions_of(project.project):
                yield project.project.kind, name, condition
        for model in self.models:
            for condition in model.conditions:
                yield model.kind, model.name, condition

    def project_of(self, model: ModelSample) -> ProjectData | None:
        """The model's project; None if the project does not allow the model's namespace."""
        data = self.projects.get(model.project_name)
        if data is None:
            return None
        allowed = data.project.spec.allowed_namespaces
        return data if allowed.permit(model.name[0], model.project_name[0]) else None


def name_of(resource: FeatureStoreProject | TrainedModel) -> Name:
    return resource.metadata.namespace, resource.metadata.name


def conditions_of(resource: FeatureStoreProject | TrainedModel) -> tuple[ConditionSample, ...]:
    """Conditions of a resource, without their messages."""
    return tuple(
        ConditionSample(c.type, c.status, c.reason, c.last_transition_time.timestamp())
        for c in resource.status.conditions
    )


def scrape_data(state: State, now: datetime) -> ScrapeData:
    """The state as of `now`, sorted by name."""
    return ScrapeData(
        now,
        dict(_projects(state, now)),
        tuple(sorted(map(ModelSample.of, state.models), key=lambda model: model.name)),
        state.shares,
    )


def _projects(state: State, now: datetime) -> Iterator[tuple[Name, ProjectData]]:
    for project in sorted(state.projects, key=name_of):
        name, status = name_of(project), project.status
        snapshot = state.snapshots.get(name)
        states = view_states(project.spec, status, snapshot)
        judged = judge_views(project.spec, status, snapshot, now)
        if snapshot is None:  # it is unknown whether views of other kinds are served online
            judged = {n: fresh for n, fresh in judged.items() if states[n].kind in MATERIALIZABLE}
        yield (
            name,
            ProjectData(
                project,
                (*name, project.spec.project),
                snapshot,
                state.facts.get(name, FactTimes()),
                states,
                judged,
                observed_at(project.spec, status),
                Owners(snapshot),
            ),
        )
