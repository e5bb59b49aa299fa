"""Finds versions that belong to a project only because a TrainedModel of the project says so.

Neither such a version nor its run names a Feast project.
"""

from collections.abc import AsyncIterator, Iterable

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.decide.facts import key_of
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.models.recorded import projects_of
from feature_lineage.ports import ModelStamp, Ports
from feature_lineage.reconcile.model_registry import read_model_registry

Declaring = tuple[str, ModelStamp]
"""The name of a registered model, and a TrainedModel for it."""


def declaring_models(
    ports: Ports, project: FeatureStoreProject, view: RegistryView
) -> tuple[Declaring, ...]:
    """The TrainedModels of a project for registered models with versions that name no project.

    Cheap: no TrainedModel is built.
    """
    key = key_of(project)
    return tuple(
        (name, stamp)
        for name, versions in view.versions.items()
        for stamp in ports.resources.stamps_named(name)
        if stamp.project == key and any(_names_none(view, version) for version in versions.values())
    )


async def declared_versions(
    ports: Ports,
    project: FeatureStoreProject,
    view: RegistryView,
    declaring: tuple[Declaring, ...],
) -> tuple[tuple[TrainedModel, ModelVersion], ...]:
    """The versions of these TrainedModels that name no project, each once.

    A TrainedModel counts if the project permits its namespace, and if both may see the model.
    """
    found: dict[tuple[str, str], tuple[TrainedModel, ModelVersion]] = {}
    async for model, version in permitted_versions(ports, project, view, {n for n, _ in declaring}):
        if _names_none(view, version):
            found.setdefault((version.name, version.version), (model, version))
    return tuple(found.values())


async def permitted_versions(
    ports: Ports, project: FeatureStoreProject, view: RegistryView, names: Iterable[str]
) -> AsyncIterator[tuple[TrainedModel, ModelVersion]]:
    """The TrainedModels that the project permits, each with its version, if there is one.

    Args:
        names: of registered models.
    """
    for name in sorted(names):
        for model in sorted(ports.resources.models_named(name), key=lambda m: str(key_of(m))):
            if ModelStamp.of(model).project != key_of(project) or not _permits(project, model):
                continue
            version = version_of(await _seen_by(ports, project, view, model), model)
            if version is not None:
                yield model, version


def version_of(view: RegistryView, model: TrainedModel) -> ModelVersion | None:
    """The version of the alias or number of a TrainedModel; None if there is none."""
    reference = model.spec.model
    if reference.alias is not None:
        return view.by_alias(reference.name, reference.alias)
    return view.version(reference.name, reference.version or "")


def _names_none(view: RegistryView, version: ModelVersion) -> bool:
    return not projects_of(version, view.run_of(version))


def _permits(project: FeatureStoreProject, model: TrainedModel) -> bool:
    allowed = project.spec.allowed_namespaces
    return allowed.permit(model.metadata.namespace, project.metadata.namespace)


async def _seen_by(
    ports: Ports, project: FeatureStoreProject, view: RegistryView, model: TrainedModel
) -> RegistryView:
    """The models that the project and the namespace of the TrainedModel may see."""
    namespace, mlflow = model.metadata.namespace, project.spec.mlflow
    if namespace == project.metadata.namespace or mlflow is None:
        return view
    _, seen, _ = await read_model_registry(
        ports, project, mlflow.poll_interval, namespace, wait=False
    )
    return seen if seen is not None else RegistryView(view.read_at, {}, {})
