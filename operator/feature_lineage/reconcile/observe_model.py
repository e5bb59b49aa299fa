"""Observes one model through the ports, as input of `decide_model`.

First the cheap inputs are collected: where they are the same as at the last no-op reconcile, the
reconcile ends there. Only otherwise links, baselines and verdicts are computed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.conditions import ModelCondition, find_condition
from feature_lineage.api.enums import NamespacesFrom, TagsMode
from feature_lineage.decide.facts import key_of, seniority
from feature_lineage.decide.project.views import view_states
from feature_lineage.decide.values import (
    Failure,
    LinkedVersion,
    ObservedModel,
)
from feature_lineage.errors import FeatureLineageError
from feature_lineage.features.freshness import ViewState
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView, TrainingRun
from feature_lineage.ports import ModelRegistry, ModelStamp, Ports, RegistryAddress
from feature_lineage.reasons import Reason
from feature_lineage.reconcile.cache import ReconcileCache
from feature_lineage.reconcile.link_versions import linked_versions

Other = tuple[ModelStamp, RegistryAddress | None]


@dataclass(frozen=True)
class ModelInputs:
    """Everything that a reconcile of a model depends on besides the time.

    The status of the project names the digest of its registry, so the registry is not read for it.

    Attributes:
        stamp: state of the resource.
        project: None where missing or not permitted.
        registry: None where the project names none, or MLflow does not answer.
        view: MLflow as last read; None where never.
        failure: why the view is not newer.
        seen: whether there is a view.
        versions: of the registered model, with their runs.
        others: the resources for the same registered model: their states, and the model registry
            of their projects.
        history: the registry's timeline in the host's store.
    """

    stamp: ModelStamp
    project: FeatureStoreProject | None
    registry: ModelRegistry | None = None
    view: RegistryView | None = None
    failure: Failure | None = None
    seen: bool = False
    versions: tuple[tuple[ModelVersion, TrainingRun | None], ...] = ()
    others: tuple[Other, ...] = ()
    history: tuple[SnapshotRecord, ...] = ()

    def kept(self, written: TrainedModel) -> "ModelInputs":
        """These inputs for a later `same`, without the view, which has all of MLflow's models.

        Args:
            written: the resource as this reconcile left it.
        """
        before, after = self.stamp, ModelStamp.of(written)
        others = tuple((after if stamp == before else stamp, at) for stamp, at in self.others)
        return replace(self, stamp=after, registry=None, view=None, others=others)

    def same(self, other: "ModelInputs") -> bool:
        """Whether a reconcile with the other inputs has the same result."""
        return (
            self.stamp == other.stamp
            and self.project is other.project
            and self.failure == other.failure
            and self.seen == other.seen
            and self.versions == other.versions
            and self.others == other.others
            and self.history == other.history
        )


async def model_inputs(ports: Ports, model: TrainedModel) -> ModelInputs:
    """The inputs of a model; MLflow is read where the last reading is too old."""
    project = _project_of(ports, ModelStamp.of(model))
    if project is None or project.spec.mlflow is None:
        return ModelInputs(ModelStamp.of(model), project)
    registry: ModelRegistry | None = None
    failure: Failure | None = None
    view: RegistryView | None = None
    try:
        registry = await ports.registries.of(project)
        if registry is not None:
            view = await registry.view(max_age=project.spec.mlflow.poll_interval, wait=False)
    except FeatureLineageError as error:
        failure = Failure.of(error)
        view = registry.last_view if registry is not None else None
        registry = None  # an outage: this reconcile sends no further requests
    name = model.spec.model.name
    versions = view.versions.get(name, {}).values() if view is not None else ()
    return ModelInputs(
        ModelStamp.of(model),
        project,
        registry,
        view,
        failure,
        view is not None,
        tuple((version, view.run_of(version)) for version in versions) if view else (),
        _others(ports, name),
        await ports.snapshots.history(key_of(project)),
    )


async def observe_model(
    ports: Ports, cache: ReconcileCache, model: TrainedModel, inputs: ModelInputs
) -> ObservedModel:
    """The observation that `decide_model` needs."""
    project, view = inputs.project, inputs.view
    if project is None or project.spec.mlflow is None:
        return ObservedModel(model, ports.clock.now(), project=project)
    snapshot = await cache.snapshots.current(ports, project)
    linked: tuple[LinkedVersion, ...] = ()
    left: ModelVersion | None = None
    if view is not None:
        version = _version_of(view, model)
        left = _left(ports, view, model, project, version)
        known = (
            _known_link(cache, model, inputs, snapshot, version) if version is not None else None
        )
        if known is not None:
            linked = (known,)
        elif version is not None:
            linked, _ = await linked_versions(
                ports, cache, project, inputs.registry, view, snapshot, [version], model
            )
    return ObservedModel(
        model,
        ports.clock.now(),
        project=project,
        view=view,
        failure=inputs.failure,
        linked=linked[0] if linked else None,
        older_owners=_older_models(ports, view, model, project, linked[0].version)
        if linked and view
        else (),
        left=left,
        snapshot=snapshot,
        states=_states(cache, project),
    )


def _known_link(
    cache: ReconcileCache,
    model: TrainedModel,
    inputs: ModelInputs,
    snapshot: RegistrySnapshot | None,
    version: ModelVersion,
) -> LinkedVersion | None:
    """The link that the project's reconcile computed from the same facts; None where none."""
    if model.spec.feature_service is not None or inputs.project is None or inputs.view is None:
        return None
    cached = cache.facts.get(key_of(inputs.project))
    digest = snapshot.digest if snapshot else ""
    if cached is None or not cached.of(inputs.view, digest, inputs.failure, inputs.project):
        return None
    found = cached.by_version.get((version.name, version.version))
    return found if found is not None and found.version is version else None


def _states(cache: ReconcileCache, project: FeatureStoreProject) -> Mapping[str, ViewState]:
    """States of the project's views, computed once for all its models."""
    key = key_of(project)
    known = cache.states.get(key)
    if known is None or known[0] is not project:
        known = cache.states[key] = (project, view_states(project.spec, project.status))
    return known[1]


def _project_of(ports: Ports, stamp: ModelStamp) -> FeatureStoreProject | None:
    """The project that a model refers to; None where it is missing or not permitted."""
    project = ports.resources.project(stamp.project.namespace, stamp.project.name)
    if project is None or stamp.project.namespace == stamp.namespace:
        return project
    allowed = project.spec.allowed_namespaces
    permitted = allowed.from_ is NamespacesFrom.ALL or (
        allowed.from_ is NamespacesFrom.LIST and stamp.namespace in allowed.names
    )
    return project if permitted else None


def _version_of(view: RegistryView, model: TrainedModel) -> ModelVersion | None:
    reference = model.spec.model
    if reference.alias is not None:
        return view.by_alias(reference.name, reference.alias)
    return view.version(reference.name, reference.version or "")


def _on_same_server(
    ports: Ports, model: TrainedModel, project: FeatureStoreProject
) -> Iterator[TrainedModel]:
    """Resources for the same registered model in the same model registry."""
    address = ports.registries.address_of(project)
    for other in ports.resources.models_named(model.spec.model.name) if address else ():
        if _address_of(ports, ModelStamp.of(other)) == address:
            yield other


def _address_of(ports: Ports, stamp: ModelStamp) -> RegistryAddress | None:
    """The model registry of the project that a model refers to."""
    home = _project_of(ports, stamp)
    return ports.registries.address_of(home) if home is not None else None


def _others(ports: Ports, name: str) -> tuple[Other, ...]:
    """The inputs of `_on_same_server`, without building the resources."""
    return tuple((stamp, _address_of(ports, stamp)) for stamp in ports.resources.stamps_named(name))


def _left(
    ports: Ports,
    view: RegistryView,
    model: TrainedModel,
    project: FeatureStoreProject,
    current: ModelVersion | None,
) -> ModelVersion | None:
    """The version that the alias pointed to before, if no other resource refers to it."""
    name = model.spec.model.name
    numbers = [entry.version for entry in model.status.history[:2]]
    past = next((n for n in numbers if current is None or n != current.version), None)
    version = view.version(name, past) if past is not None else None
    if version is None:
        return None
    followed = any(
        _version_of(view, other) == version for other in _on_same_server(ports, model, project)
    )
    return None if followed else version


def _older_models(
    ports: Ports,
    view: RegistryView,
    model: TrainedModel,
    project: FeatureStoreProject,
    version: ModelVersion,
) -> tuple[str, ...]:
    """Names of older resources that refer to the same version and write its tags."""
    own = seniority(model)
    return tuple(
        f"{other.metadata.namespace}/{other.metadata.name}"
        for other in _on_same_server(ports, model, project)
        if key_of(other) != key_of(model)
        and seniority(other) < own
        and _writes(other)
        and _version_of(view, other) == version
    )


def _writes(model: TrainedModel) -> bool:
    """Whether the resource writes tags, and its last attempt was not refused."""
    if model.spec.suspend or model.spec.tags.mode is TagsMode.OFF:
        return False
    tagged = find_condition(model.status.conditions, ModelCondition.TAGGED)
    return tagged is None or (tagged.status != "Unknown" and tagged.reason != Reason.AUTH_FAILED)
