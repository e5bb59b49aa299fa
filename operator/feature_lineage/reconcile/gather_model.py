"""Gathers everything `decide_model` needs to know about one model, through the ports."""

from collections.abc import Iterator

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.enums import NamespacesFrom
from feature_lineage.errors import FeatureLineageError
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.ports import ModelRegistry, Ports
from feature_lineage.reconcile.linking import linked_versions
from feature_lineage.reconcile.memory import Memory, current_snapshot, key_of, seniority
from feature_lineage.reconcile.values import (
    Failure,
    LinkedVersion,
    ObservedModel,
)


async def observe_model(ports: Ports, memory: Memory, model: TrainedModel) -> ObservedModel:
    """Everything known about one model."""
    project = _project_of(ports, model)
    if project is None or project.spec.mlflow is None:
        return ObservedModel(model, ports.clock.now(), project=project)
    snapshot = await current_snapshot(ports, memory, project)
    registry: ModelRegistry | None = None
    failure: Failure | None = None
    view: RegistryView | None = None
    linked: tuple[LinkedVersion, ...] = ()
    left: ModelVersion | None = None
    try:
        registry = await ports.registries.of(project)
        if registry is not None:
            view = await registry.view(max_age=project.spec.mlflow.poll_interval)
    except FeatureLineageError as error:
        failure = Failure.of(error)
        view = registry.last_view if registry is not None else None
        registry = None  # an outage: nothing more is asked of it in this pass
    if view is not None:
        version = _version_of(view, model)
        left = _left(ports, view, model, project, version)
        if version is not None:
            linked, _ = await linked_versions(
                ports, memory, project, registry, view, snapshot, [version], model
            )
    return ObservedModel(
        model,
        ports.clock.now(),
        project=project,
        view=view,
        failure=failure,
        linked=linked[0] if linked else None,
        elders=_older_models(ports, view, model, project, linked[0].version)
        if linked and view
        else (),
        left=left,
        snapshot=snapshot,
    )


def _project_of(ports: Ports, model: TrainedModel) -> FeatureStoreProject | None:
    """The project a model refers to; one that is not permitted reads like one that is not there."""
    reference, own = model.spec.project_ref, model.metadata.namespace
    namespace = reference.namespace or own
    project = ports.resources.project(namespace, reference.name)
    if project is None or namespace == own:
        return project
    allowed = project.spec.allowed_namespaces
    permitted = allowed.from_ is NamespacesFrom.ALL or (
        allowed.from_ is NamespacesFrom.LIST and own in allowed.names
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
    """Resources on the same registered model, of this project or another on its MLflow server."""
    for other in ports.resources.models_named(model.spec.model.name):
        home = _project_of(ports, other)
        if home is not None and _server_of(home) == _server_of(project):
            yield other


def _server_of(project: FeatureStoreProject) -> tuple[str | None, str | None, str | None] | None:
    mlflow = project.spec.mlflow
    if mlflow is None:
        return None
    address = mlflow.tracking_uri.rstrip("/") if mlflow.tracking_uri is not None else None
    return mlflow.server_ref, address, mlflow.workspace


def _left(
    ports: Ports,
    view: RegistryView,
    model: TrainedModel,
    project: FeatureStoreProject,
    current: ModelVersion | None,
) -> ModelVersion | None:
    """The version the alias pointed to before, where no other resource stands for it."""
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
    """Older resources that stand for the same version: they write its tags."""
    own = seniority(model)
    return tuple(
        f"{other.metadata.namespace}/{other.metadata.name}"
        for other in _on_same_server(ports, model, project)
        if key_of(other) != key_of(model)
        and seniority(other) < own
        and not other.spec.suspend
        and _version_of(view, other) == version
    )
