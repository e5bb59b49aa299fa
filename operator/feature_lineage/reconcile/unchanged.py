"""The inputs of a model's reconcile; while they are the same, a no-op reconcile is skipped."""

from dataclasses import dataclass, replace
from datetime import datetime

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.observed import Failure
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.models.facts import ModelVersion, RegistryView, TrainingRun
from feature_lineage.ports import ModelRegistry, ModelStamp, Ports, RegistryAddress
from feature_lineage.reconcile.model_registry import read_model_registry

Other = tuple[ModelStamp, RegistryAddress | None]


@dataclass(frozen=True)
class ModelInputs:
    """Everything that a reconcile of a model depends on besides the time.

    The status of the project names the digest of its registry, so the registry is not read for it.

    Attributes:
        stamp: state of the resource.
        project: None if missing or not permitted.
        registry: None if the project names none, or MLflow does not answer.
        view: MLflow as last read; None if never.
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
            written: the resource after this reconcile.
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
    """The inputs of a model; MLflow is read if the last read is too old."""
    project = _project_of(ports, ModelStamp.of(model))
    if project is None or project.spec.mlflow is None:
        return ModelInputs(ModelStamp.of(model), project)
    max_age, namespace = project.spec.mlflow.poll_interval, model.metadata.namespace
    registry, view, failure = await read_model_registry(
        ports, project, max_age, namespace, wait=False
    )
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


@dataclass(frozen=True, slots=True)
class NoOpReconcile:
    """A reconcile without a write and without an action.

    Attributes:
        inputs: everything it depended on besides the time.
        until: when the time alone may change its result.
    """

    inputs: ModelInputs
    until: datetime

    def holds(self, inputs: ModelInputs, now: datetime) -> bool:
        """Whether a reconcile with these inputs would be a no-op as well."""
        return now < self.until and self.inputs.same(inputs)


def _project_of(ports: Ports, stamp: ModelStamp) -> FeatureStoreProject | None:
    """The project that a model refers to; None if it is missing or not permitted."""
    project = ports.resources.project(stamp.project.namespace, stamp.project.name)
    if project is None:
        return None
    allowed = project.spec.allowed_namespaces
    return project if allowed.permit(stamp.namespace, stamp.project.namespace) else None


def address_of(ports: Ports, stamp: ModelStamp, name: str) -> RegistryAddress | None:
    """The model registry in which a resource may tag its registered model."""
    home = _project_of(ports, stamp)
    if home is None:
        return None
    return ports.registries.address_of(home, name, stamp.namespace)


def _others(ports: Ports, name: str) -> tuple[Other, ...]:
    """The other resources for a registered model, without building them."""
    stamps = ports.resources.stamps_named(name)
    return tuple((stamp, address_of(ports, stamp, name)) for stamp in stamps)
