"""Reads the model registry of a project; during an outage, the last successful read."""

from datetime import timedelta

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.observed import Failure
from feature_lineage.errors import FeatureLineageError
from feature_lineage.models.facts import RegistryView
from feature_lineage.ports import ModelRegistry, Ports


async def read_model_registry(
    ports: Ports,
    project: FeatureStoreProject,
    max_age: timedelta,
    namespace: str | None = None,
    *,
    full: bool = False,
    wait: bool = True,
) -> tuple[ModelRegistry | None, RegistryView | None, Failure | None]:
    """The registry, its view, and why the view is not newer; see `ModelRegistry.view`.

    With the namespace of a TrainedModel, these are the models that the TrainedModel may use, too.
    After a failure the registry is None: this reconcile sends no further requests.
    """
    registry = None
    try:
        registry = await ports.registries.of(project, namespace)
        if registry is None:
            return None, None, None
        return registry, await registry.view(max_age=max_age, full=full, wait=wait), None
    except FeatureLineageError as error:
        return None, registry.last_view if registry is not None else None, Failure.of(error)
