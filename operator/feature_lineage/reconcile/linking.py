"""Links and judges the versions of one project against the registries they were trained on."""

from collections.abc import Iterable

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.ports import ModelRegistry, Ports
from feature_lineage.reconcile.facts import baseline_of, link_version
from feature_lineage.reconcile.memory import Memory, experiment_of, key_of, snapshots
from feature_lineage.reconcile.values import (
    LinkedVersion,
)


async def linked_versions(
    ports: Ports,
    memory: Memory,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
    view: RegistryView,
    snapshot: RegistrySnapshot | None,
    versions: Iterable[ModelVersion],
    declaring: TrainedModel | None = None,
) -> tuple[tuple[LinkedVersion, ...], dict[str, RegistrySnapshot]]:
    history = await ports.snapshots.history(key_of(project))
    if not history and registry is not None:
        history = await registry.history(experiment_of(project))
    current = _current(project)
    chosen = [(version, baseline_of(view, version, history, current)) for version in versions]
    wanted = {baseline.digest for _, baseline in chosen if baseline is not None}
    baselines = await snapshots(ports, memory, project, registry, sorted(wanted))
    linked = tuple(
        link_version(
            view,
            version,
            project.spec.project,
            baseline,
            baselines,
            snapshot,
            declared_service=declaring.spec.feature_service if declaring else None,
            on_conflict=declaring.spec.on_conflict.value if declaring else "Report",
        )
        for version, baseline in chosen
    )
    return linked, baselines


def _current(project: FeatureStoreProject) -> SnapshotRecord | None:
    registry = project.status.registry
    if registry is None or registry.digest is None or registry.observed_at is None:
        return None
    return SnapshotRecord(registry.observed_at, registry.digest)
