"""Observes one model through the ports, as input of `decide_model`."""

from collections.abc import Iterator, Mapping

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.conditions import ModelCondition, find_condition
from feature_lineage.api.enums import TagsMode
from feature_lineage.decide.facts import key_of, seniority
from feature_lineage.decide.observed import LinkedVersion, ObservedModel
from feature_lineage.decide.project.views import view_states
from feature_lineage.features.freshness import ViewState
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.models.recorded import projects_of
from feature_lineage.ports import ModelStamp, Ports
from feature_lineage.reasons import Reason
from feature_lineage.reconcile.cache import ReconcileCache
from feature_lineage.reconcile.declared_versions import version_of
from feature_lineage.reconcile.feature_server import refused_server
from feature_lineage.reconcile.link_versions import linked_versions
from feature_lineage.reconcile.unchanged import ModelInputs, address_of


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
        version = version_of(view, model)
        left = _left(ports, view, model, project, version)
        known = (
            _known_link(cache, model, inputs, snapshot, version) if version is not None else None
        )
        if known is not None:
            linked = (known,)
        elif version is not None:
            found = await linked_versions(
                ports, cache, project, inputs.registry, view, snapshot, [version], model
            )
            linked = tuple(item for item, _ in found)
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
        states=_states(cache, project, snapshot),
        probe=await cache.probes.current(ports, project),
        server_refused=refused_server(ports, project),
    )


def _known_link(
    cache: ReconcileCache,
    model: TrainedModel,
    inputs: ModelInputs,
    snapshot: RegistrySnapshot | None,
    version: ModelVersion,
) -> LinkedVersion | None:
    """The link that the project's reconcile computed from the same facts; None if there is none."""
    if model.spec.feature_service is not None or inputs.project is None or inputs.view is None:
        return None
    if not projects_of(version, inputs.view.run_of(version)):
        # Another TrainedModel may declare a service for it.
        return None
    cached = cache.facts.get(key_of(inputs.project))
    digest = snapshot.digest if snapshot else ""
    if cached is None or not cached.of(inputs.view, digest, inputs.failure, inputs.project):
        return None
    found = cached.by_version.get((version.name, version.version))
    return found if found is not None and found.version is version else None


def _states(
    cache: ReconcileCache, project: FeatureStoreProject, snapshot: RegistrySnapshot | None
) -> Mapping[str, ViewState]:
    """States of the project's views, computed once for all its models."""
    key = key_of(project)
    digest = snapshot.digest if snapshot else ""
    known = cache.states.get(key)
    if known is None or known[0] is not project or known[1] != digest:
        states = view_states(project.spec, project.status, snapshot)
        known = cache.states[key] = (project, digest, states)
    return known[2]


def _on_same_server(
    ports: Ports, model: TrainedModel, project: FeatureStoreProject
) -> Iterator[TrainedModel]:
    """Resources that may tag the same registered model in the same model registry."""
    name = model.spec.model.name
    address = ports.registries.address_of(project, name, model.metadata.namespace)
    for other in ports.resources.models_named(name) if address else ():
        if address_of(ports, ModelStamp.of(other), name) == address:
            yield other


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
        version_of(view, other) == version for other in _on_same_server(ports, model, project)
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
        and version_of(view, other) == version
    )


def _writes(model: TrainedModel) -> bool:
    """Whether the resource writes tags, and its last attempt was not refused."""
    if model.spec.suspend or model.spec.tags.mode is TagsMode.OFF:
        return False
    tagged = find_condition(model.status.conditions, ModelCondition.TAGGED)
    return tagged is None or (tagged.status != "Unknown" and tagged.reason != Reason.AUTH_FAILED)
