"""Links the versions of one project and computes their verdicts, with their baselines."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.project_spec import Protection
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.model.link import baseline_of, guarded_model, link_version
from feature_lineage.decide.observed import LinkedVersion
from feature_lineage.errors import FeatureLineageError
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.baseline import recorded_baseline, trained_at
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.models.training_list import trained_in
from feature_lineage.operations.protection import GuardedModel
from feature_lineage.ports import ModelRegistry, Ports
from feature_lineage.reconcile.cache import CachedTimeline, ReconcileCache
from feature_lineage.reconcile.cooperative_yield import CooperativeYield
from feature_lineage.reconcile.snapshot_cache import experiment_of

TIMELINE_MAX_AGE: Final = timedelta(minutes=10)

_log = logging.getLogger(__name__)


async def linked_versions(
    ports: Ports,
    cache: ReconcileCache,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
    view: RegistryView,
    snapshot: RegistrySnapshot | None,
    versions: Iterable[ModelVersion],
    declaring: TrainedModel | None = None,
    protection: Protection | None = None,
) -> tuple[tuple[LinkedVersion, GuardedModel | None], ...]:
    """Link and judge model versions, and find the protected ones.

    Their baselines are read one after another, and kept only as far as the cache of snapshots
    allows: together they may take more memory than the process has.

    Args:
        registry: MLflow; None during an outage, when only what is cached is used.
        snapshot: the project's registry as last read.
        declaring: the resource whose declared service applies to the versions.
        protection: finds the protected versions; None: none is looked for.

    Returns:
        The linked versions in the order of `versions`, each with its part of the guard.
    """
    versions = tuple(versions)
    history, reaches_back = await _history(ports, cache, project, registry, view, versions)
    # The choice of a first-sight baseline is final, so it needs the whole timeline.
    current = _current(project) if reaches_back else None
    chosen = [
        (version, baseline_of(view, version, history, current, project.status.applied))
        for version in versions
    ]
    by_digest: dict[str, list[int]] = {}
    for number, (_, baseline) in enumerate(chosen):
        by_digest.setdefault(baseline.digest if baseline is not None else "", []).append(number)
    linked: dict[int, tuple[LinkedVersion, GuardedModel | None]] = {}
    cooperative = CooperativeYield()
    for digest, numbers in sorted(by_digest.items()):
        wanted = (digest,) if digest else ()
        baselines = await cache.snapshots.read(ports, project, registry, wanted)
        for number in numbers:
            await cooperative.checkpoint()
            version, baseline = chosen[number]
            item = link_version(
                view,
                version,
                project.spec.project,
                baseline,
                baselines,
                snapshot,
                declared_service=declaring.spec.feature_service if declaring else None,
                on_conflict=declaring.spec.on_conflict.value if declaring else "Report",
            )
            guarded = None
            if protection is not None:
                guarded = guarded_model(item, baselines, snapshot, protection)
            linked[number] = item, guarded
    return tuple(linked[number] for number in range(len(chosen)))


async def _history(
    ports: Ports,
    cache: ReconcileCache,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
    view: RegistryView,
    versions: tuple[ModelVersion, ...],
) -> tuple[tuple[SnapshotRecord, ...], bool]:
    """The registry's timeline, and whether it is complete.

    The host's own records come last, the ops runs in MLflow supply what is older. The timeline is
    incomplete where MLflow may have older records and does not answer.
    """
    kept = await ports.snapshots.history(key_of(project))
    first = min(kept).at if kept else None
    moments = (
        trained_at(version, trained_in(version, view.run_of(version)))
        for version in versions
        if recorded_baseline(version.tags) is None
    )
    if all(first is not None and moment >= first for moment in moments):
        return kept, True
    recorded = await _recorded_history(ports, cache, project, registry)
    if recorded is None:
        return kept, False
    earlier = tuple(record for record in recorded if first is None or record.at < first)
    return (*earlier, *kept), True


async def _recorded_history(
    ports: Ports,
    cache: ReconcileCache,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
) -> tuple[SnapshotRecord, ...] | None:
    """The timeline in MLflow, at most ten minutes old; None if MLflow does not answer."""
    now, experiment, key = ports.clock.now(), experiment_of(project), key_of(project)
    known = cache.timelines.get(key)
    if known is not None and known.experiment != experiment:
        known = None
    if registry is None:
        return known.records if known is not None else None
    if known is None or known.registry != registry or now - known.at >= TIMELINE_MAX_AGE:
        try:
            records = await registry.history(experiment)
        except FeatureLineageError as error:
            _log.warning("the timeline of %s in MLflow: %s", key, error.message)
            return known.records if known is not None else None
        known = cache.timelines[key] = CachedTimeline(now, registry, experiment, records)
    return known.records


def _current(project: FeatureStoreProject) -> SnapshotRecord | None:
    registry = project.status.registry
    if registry is None or registry.digest is None or registry.observed_at is None:
        return None
    return SnapshotRecord(registry.observed_at, registry.digest)
