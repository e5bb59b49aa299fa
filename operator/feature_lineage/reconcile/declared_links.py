"""Versions that a probe asks for though they have no alias, or with a service that is declared.

A TrainedModel may declare the number of a version, and the service that serves it.
"""

from collections.abc import Iterable

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.observed import LinkedVersion
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import RegistryView
from feature_lineage.ports import ModelRegistry, Ports
from feature_lineage.reconcile.cache import ReconcileCache
from feature_lineage.reconcile.declared_versions import permitted_versions
from feature_lineage.reconcile.link_versions import linked_versions

Declaration = tuple[str, object]
"""The name of a registered model, and `ModelStamp.declares`."""


def declarations(
    ports: Ports, project: FeatureStoreProject, view: RegistryView
) -> tuple[Declaration, ...]:
    """The declarations of a project that is probed. Cheap: no TrainedModel is built."""
    if not project.spec.probe_keys:
        return ()
    key = key_of(project)
    return tuple(
        (name, stamp.declares)
        for name in view.versions
        for stamp in ports.resources.stamps_named(name)
        if stamp.declares is not None and stamp.project == key
    )


async def declared_links(
    ports: Ports,
    cache: ReconcileCache,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
    view: RegistryView,
    snapshot: RegistrySnapshot | None,
    declared: Iterable[Declaration],
    linked: Iterable[LinkedVersion],
) -> tuple[LinkedVersion, ...]:
    """The declared versions as their TrainedModels see them.

    Args:
        linked: all versions that are linked without these declarations.
    """
    known = {(item.version.name, item.version.version): item for item in linked}
    found: list[LinkedVersion] = []
    async for model, version in permitted_versions(ports, project, view, {n for n, _ in declared}):
        if model.spec.feature_service is not None:
            ((item, _),) = await linked_versions(
                ports, cache, project, registry, view, snapshot, [version], model
            )
            found.append(item)
        elif model.spec.declares and (version.name, version.version) in known:
            found.append(known[version.name, version.version])
    return tuple(found)
