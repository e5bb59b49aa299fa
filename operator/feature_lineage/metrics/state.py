"""What a host hands over for a scrape, and the same put in order for the collector."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.enums import NamespacesFrom
from feature_lineage.features.definitions import feeding_views
from feature_lineage.features.freshness import Freshness, ViewState
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.reconcile.project_views import judge_views, observed_at, view_states
from feature_lineage.reconcile.values import ObservedProject

Name = tuple[str, str]
"""(namespace, name) of a resource."""

MATERIALIZABLE = frozenset({"feature_view", "stream_feature_view"})


@dataclass(frozen=True, slots=True)
class FactTimes:
    """When the facts about a project's models were read.

    Attributes:
        mlflow: age of the oldest fact in the last good view of MLflow; None: never read.
        guard: the same of the guard; None: there is none.
    """

    mlflow: datetime | None = None
    guard: datetime | None = None


@dataclass(frozen=True)
class State:
    """Everything a scrape speaks of; empty in a process that is not the leader.

    Attributes:
        snapshots: of `status.registry.digest`, by project; a project without is fine.
        facts: by project; a project without has no ages to show.
    """

    projects: tuple[FeatureStoreProject, ...] = ()
    models: tuple[TrainedModel, ...] = ()
    snapshots: Mapping[Name, RegistrySnapshot] = field(default_factory=dict)
    facts: Mapping[Name, FactTimes] = field(default_factory=dict)


@dataclass(frozen=True)
class ProjectScene:
    """A project with what the present makes of it.

    Attributes:
        labels: namespace, name and Feast project.
        judged: freshness of every view that is served online.
        read_at: since when somebody else may have materialized unseen, None where only we do.
        feeding: view → itself and all that feed it; filled as models ask.
    """

    project: FeatureStoreProject
    labels: tuple[str, str, str]
    snapshot: RegistrySnapshot | None
    facts: FactTimes
    states: Mapping[str, ViewState]
    judged: Mapping[str, Freshness]
    read_at: datetime | None
    feeding: dict[str, frozenset[str]] = field(default_factory=dict)

    def feeding_views(self, view: str) -> frozenset[str]:
        """The view itself and every view that feeds it."""
        if self.snapshot is None:
            return frozenset({view})
        if view not in self.feeding:
            self.feeding[view] = feeding_views(self.snapshot, view)
        return self.feeding[view]


@dataclass(frozen=True)
class Scene:
    """One moment: everything that the samples of one scrape are computed from."""

    now: datetime
    projects: Mapping[Name, ProjectScene]
    models: tuple[TrainedModel, ...]

    def resources(self) -> Iterator[FeatureStoreProject | TrainedModel]:
        for project in self.projects.values():
            yield project.project
        yield from self.models

    def project_of(self, model: TrainedModel) -> ProjectScene | None:
        """The project a model refers to, unless that project keeps its namespace out: then its
        freshness is none of the model's business, whatever an older status says."""
        namespace, name = home_of(model)
        scene = self.projects.get((namespace, name))
        own = model.metadata.namespace
        if scene is None or namespace == own:
            return scene
        allowed = scene.project.spec.allowed_namespaces
        permitted = allowed.from_ is NamespacesFrom.ALL or (
            allowed.from_ is NamespacesFrom.LIST and own in allowed.names
        )
        return scene if permitted else None


def home_of(model: TrainedModel) -> Name:
    """(namespace, name) of the project a model refers to."""
    reference = model.spec.project_ref
    return reference.namespace or model.metadata.namespace, reference.name


def name_of(resource: FeatureStoreProject | TrainedModel) -> Name:
    return resource.metadata.namespace, resource.metadata.name


def scene_of(state: State, now: datetime) -> Scene:
    """The state as of `now`, in a stable order: what is alike stays beside each other."""
    return Scene(
        now,
        dict(_projects(state, now)),
        tuple(sorted(state.models, key=name_of)),
    )


def _projects(state: State, now: datetime) -> Iterator[tuple[Name, ProjectScene]]:
    for project in sorted(state.projects, key=name_of):
        name, status = name_of(project), project.status
        snapshot = state.snapshots.get(name)
        states = view_states(project.spec, status)
        judged = judge_views(ObservedProject(project, now, snapshot=snapshot), status)
        if snapshot is None:  # then nothing says what is served, and not every kind is
            judged = {n: fresh for n, fresh in judged.items() if states[n].kind in MATERIALIZABLE}
        yield (
            name,
            ProjectScene(
                project,
                (*name, project.spec.project),
                snapshot,
                state.facts.get(name, FactTimes()),
                states,
                judged,
                observed_at(project.spec, status),
            ),
        )
