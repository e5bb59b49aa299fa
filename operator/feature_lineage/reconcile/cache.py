"""What is worth not reading or computing twice; losing it costs time and nothing else."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.refs import KeySource
from feature_lineage.api.sources import Source
from feature_lineage.decide.facts import Key, SourceFacts, key_of
from feature_lineage.decide.values import (
    Failure,
    LinkedVersion,
    ModelFacts,
)
from feature_lineage.errors import FeatureLineageError
from feature_lineage.features.freshness import ViewState
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import RegistryView
from feature_lineage.ports import ModelRegistry, Ports

_log = logging.getLogger(__name__)

MAX_SNAPSHOTS: Final = 64
LOOK_AGAIN: Final = timedelta(minutes=10)

Flight = tuple[Key, ModelRegistry | None, str]
"""One reading: the project, the MLflow server that is asked, and the digest."""


@dataclass
class ReconcileCache:
    """What is worth not computing twice; losing it costs time and nothing else.

    Attributes:
        snapshots: by digest, immutable; the most recently used ones.
        absent: what could not be read, named like `flights`, and when; the oldest first.
        facts: of each project, with what they were computed from.
        sources: of each project, as last resolved.
        timelines: what MLflow says of each project's registry, as last read.
        states: what is known of each project's views, and of which state of the project.
        jobs: which of each project's jobs somebody needed as of the last pass, and those that
            could not be let go of.
        flights: snapshots that are being read, by project, registry and digest.
    """

    snapshots: dict[str, RegistrySnapshot] = field(default_factory=dict)
    absent: dict[Flight, datetime] = field(default_factory=dict)
    facts: dict[Key, "CachedFacts"] = field(default_factory=dict)
    sources: dict[Key, "ResolvedSource"] = field(default_factory=dict)
    timelines: dict[Key, "CachedTimeline"] = field(default_factory=dict)
    states: dict[Key, tuple[FeatureStoreProject, Mapping[str, ViewState]]] = field(
        default_factory=dict
    )
    jobs: dict[Key, frozenset[str]] = field(default_factory=dict)
    flights: dict[Flight, "asyncio.Future[RegistrySnapshot | None]"] = field(default_factory=dict)

    def keep(self, digest: str, snapshot: RegistrySnapshot) -> None:
        self.snapshots.pop(digest, None)
        self.snapshots[digest] = snapshot
        while len(self.snapshots) > MAX_SNAPSHOTS:
            del self.snapshots[next(iter(self.snapshots))]

    def is_absent(self, name: Flight, now: datetime) -> bool:
        """Whether a reading failed a short while ago; what is older is dropped."""
        while self.absent:
            oldest = next(iter(self.absent))
            if timedelta(0) <= now - self.absent[oldest] < LOOK_AGAIN:
                break
            del self.absent[oldest]
        return name in self.absent

    def keep_absent(self, name: Flight, now: datetime) -> None:
        self.absent.pop(name, None)
        self.absent[name] = now

    def forget(self, key: Key) -> None:
        """The resource is gone; snapshots are by digest, and others may share them."""
        for remembered in (self.facts, self.sources, self.timelines, self.states, self.jobs):
            remembered.pop(key, None)
        self.absent = {name: at for name, at in self.absent.items() if name[0] != key}


@dataclass(frozen=True, slots=True)
class ResolvedSource:
    """What a source was resolved to, and from which spec."""

    at: datetime
    source: Source | None
    feature_store_yaml: KeySource | None
    facts: SourceFacts

    def holds(self, project: FeatureStoreProject, now: datetime) -> bool:
        """Whether it is still good enough; folders and config maps cost nothing to look at."""
        spec, source = project.spec, project.spec.source
        if source is None or source.local is not None or source.config_map_ref is not None:
            return False
        same = self.source == source and self.feature_store_yaml == spec.feature_store_yaml
        return same and now - self.at < source.poll_interval


@dataclass(frozen=True, slots=True)
class CachedTimeline:
    """A registry's timeline as one MLflow server tells it."""

    at: datetime
    registry: ModelRegistry
    experiment: str
    records: tuple[SnapshotRecord, ...]


@dataclass(frozen=True)
class CachedFacts:
    """Facts about a project's models, and what they were computed from."""

    view: RegistryView
    digest: str
    failure: Failure | None
    spec: FeatureStoreProjectSpec
    facts: ModelFacts

    @cached_property
    def by_version(self) -> dict[tuple[str, str], LinkedVersion]:
        """What was found out about each version."""
        return {(item.version.name, item.version.version): item for item in self.facts.linked}

    def of(
        self, view: RegistryView, digest: str, failure: Failure | None, project: FeatureStoreProject
    ) -> bool:
        same = self.view is view and self.digest == digest and self.failure == failure
        return same and self.spec == project.spec


def experiment_of(project: FeatureStoreProject) -> str:
    """The MLflow experiment of a project's ops runs."""
    suffix = project.spec.mlflow.ops_experiment_suffix if project.spec.mlflow else "-feast-ops"
    return f"{project.spec.project}{suffix}"


async def snapshots(
    ports: Ports,
    memory: ReconcileCache,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
    digests: Iterable[str],
) -> dict[str, RegistrySnapshot]:
    """Snapshots by digest: from memory, from where the host keeps them, else from the ops runs."""
    found: dict[str, RegistrySnapshot] = {}
    for digest in digests:
        snapshot = memory.snapshots.get(digest)
        if snapshot is None:
            snapshot = await _in_flight(ports, memory, project, registry, digest)
        if snapshot is not None:
            found[digest] = snapshot
            memory.keep(digest, snapshot)
    return found


async def _in_flight(
    ports: Ports,
    memory: ReconcileCache,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
    digest: str,
) -> RegistrySnapshot | None:
    """One flight for all passes that want it: a large registry takes 50 ms and 5 MB to read."""
    name = (key_of(project), registry, digest)
    flight = memory.flights.get(name)
    if flight is None:
        flight = asyncio.ensure_future(_fetched(ports, memory, project, registry, digest))
        memory.flights[name] = flight
        flight.add_done_callback(partial(_landed, memory, name))
    return await asyncio.shield(flight)


def _landed(
    memory: ReconcileCache, name: Flight, flight: asyncio.Future[RegistrySnapshot | None]
) -> None:
    """Its error belongs to those who wait for it; that all of them left is no news."""
    memory.flights.pop(name, None)
    if not flight.cancelled():
        flight.exception()


async def _fetched(
    ports: Ports,
    memory: ReconcileCache,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
    digest: str,
) -> RegistrySnapshot | None:
    snapshot = await ports.snapshots.get(key_of(project), digest)
    if snapshot is None and registry is not None:
        snapshot = await _from_ops_runs(ports, memory, project, registry, digest)
    return snapshot


async def _from_ops_runs(
    ports: Ports,
    memory: ReconcileCache,
    project: FeatureStoreProject,
    registry: ModelRegistry,
    digest: str,
) -> RegistrySnapshot | None:
    now = ports.clock.now()
    name = (key_of(project), registry, digest)
    if memory.is_absent(name, now):
        return None
    snapshot: RegistrySnapshot | None = None
    try:
        snapshot = await registry.snapshot(experiment_of(project), digest)
    except FeatureLineageError as error:
        # One that cannot be read costs its own versions their verdict, and nobody else.
        _log.warning("snapshot %s of %s: %s", digest[:12], key_of(project), error.message)
    if snapshot is None:
        memory.keep_absent(name, now)
    return snapshot


async def current_snapshot(
    ports: Ports, memory: ReconcileCache, project: FeatureStoreProject
) -> RegistrySnapshot | None:
    registry = project.status.registry
    if registry is None or registry.digest is None:
        return None
    found = await snapshots(ports, memory, project, None, {registry.digest})
    return found.get(registry.digest)
