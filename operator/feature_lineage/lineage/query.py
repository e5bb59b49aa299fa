"""Answers which model versions use which features, from one reverse index per project."""

import asyncio
import weakref
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.decide.observed import ModelFacts
from feature_lineage.errors import NotFound, ServerUnavailable
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.lineage.answers import AsOf
from feature_lineage.lineage.graph import LineageGraph
from feature_lineage.lineage.past import past
from feature_lineage.lineage.project_lineage import ProjectLineage
from feature_lineage.models.facts import ModelVersion
from feature_lineage.models.index import ReverseIndex, build
from feature_lineage.models.links import Link
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.ports import Ports
from feature_lineage.reconcile.alias_log import place_of
from feature_lineage.reconcile.cache import CachedFacts, ReconcileCache
from feature_lineage.reconcile.cooperative_yield import CooperativeYield
from feature_lineage.reconcile.declared_versions import permitted_versions
from feature_lineage.reconcile.observe_project import observe_project

MAX_INDEXES: Final = 16
"""Indexes in memory; one of 10,000 versions with 20 features each takes 10 MB."""

MAX_DECLARING: Final = 100
"""TrainedModels for one registered model; with more, an answer names none of them."""
MAX_SNAPSHOTS: Final = 64 * 1024 * 1024
"""Bytes of their registry snapshots together, as `RegistrySnapshot.memory` estimates them."""


@dataclass(frozen=True, slots=True)
class _Built:
    """An index and its graph, with the inputs from which they were built.

    Attributes:
        facts: weak: an unused index must not keep replaced facts in memory.
    """

    facts: "weakref.ref[ModelFacts]"
    snapshot: RegistrySnapshot | None
    index: ReverseIndex
    graph: LineageGraph

    @property
    def snapshot_memory(self) -> int:
        return self.snapshot.memory if self.snapshot is not None else 0


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """Identifies the facts of a lineage, as long as they are the very same objects."""

    project: FeatureStoreProject
    facts: "weakref.ref[ModelFacts] | None"

    def same(self, other: "Stamp") -> bool:
        if self.project is not other.project:
            return False
        if self.facts is None or other.facts is None:
            return self.facts is other.facts  # both without MLflow
        facts = self.facts()
        return facts is not None and facts is other.facts()


class LineageQuery:
    """Owns the reverse index of each project.

    An index is built at its first use, from the linked versions and the registry snapshot of the
    project's last reconcile, and built again after either has changed.

    Args:
        ports: reads snapshots that are not in memory.
        cache: holds the facts of each project.
    """

    def __init__(self, ports: Ports, cache: ReconcileCache) -> None:
        self._ports = ports
        self._cache = cache
        self._indexes: dict[Key, _Built] = {}
        self._locks: dict[Key, asyncio.Lock] = {}

    async def refresh(self, project: FeatureStoreProject) -> None:
        """Read the facts about a project's models, as fresh as a plan needs them.

        Raises:
            ServerUnavailable: MLflow was not read.
        """
        if project.spec.mlflow is None:
            return
        observed = await observe_project(self._ports, self._cache, project, planning=True)
        facts = observed.models
        if facts is None or facts.read_at is None or facts.failure is not None:
            why = facts.failure.message if facts and facts.failure else "MLflow was not read"
            raise ServerUnavailable(f"{key_of(project)}: {why}")

    def stamp(self, project: FeatureStoreProject) -> Stamp:
        """The stamp of a project's lineage as it is now. For any thread."""
        cached = self._cache.facts.get(key_of(project))
        return Stamp(project, weakref.ref(cached.facts) if cached is not None else None)

    async def lineage(
        self, project: FeatureStoreProject, *, declared: bool = True
    ) -> ProjectLineage:
        """The lineage of a project as last read.

        Args:
            declared: whether to look for the TrainedModels of each version.

        Raises:
            NotFound: the registry snapshot is not kept.
            ServerUnavailable: MLflow was not read yet.
        """
        if project.spec.mlflow is None:
            snapshot = await self._cache.snapshots.current(self._ports, project)
            index = ReverseIndex(())
            return ProjectLineage(
                project=project,
                snapshot=snapshot,
                index=index,
                graph=LineageGraph(snapshot, index),
                as_of=_as_of(project, snapshot),
                now=self._ports.clock.now(),
            )
        built, cached = await self._built(project)
        probe = await self._cache.probes.current(self._ports, project)
        return ProjectLineage(
            project=project,
            snapshot=built.snapshot,
            index=built.index,
            graph=built.graph,
            as_of=_as_of(project, built.snapshot, cached.facts.read_at, probe),
            now=self._ports.clock.now(),
            linked=cached.by_version,
            declared=await self._declared(project, cached) if declared else {},
            runs=view.runs if (view := cached.read_view) is not None else None,
            mlflow_url=self._mlflow_url(project),
            probe=probe,
        )

    async def past_lineage(self, project: FeatureStoreProject, at: datetime) -> ProjectLineage:
        """The lineage of a project at a time: registry and aliases as recorded in MLflow.

        Model versions that are gone since are named in `AsOf.gone_since`. Verdicts of the
        past are not known.

        Raises:
            NotFound: no record is that old, or its registry snapshot is not kept.
            InvalidReport: a record is missing.
            ServerUnavailable: MLflow does not answer.
        """
        now = await self.lineage(project, declared=False)
        if at > self._ports.clock.now():
            raise NotFound(
                f"{at.isoformat(timespec='seconds')} is in the future; name a time before"
            )
        registry = await self._ports.registries.of(project)
        if registry is None:
            raise NotFound(
                f"{now.resource} has no history: it names no MLflow server, which keeps it"
            )
        place = place_of(project)
        state, aliases = await registry.registry_at(place, at), await registry.aliases_at(place, at)
        if state is None or aliases is None:
            what = "registry" if state is None else "aliases"
            raise NotFound(
                f"{now.resource}: MLflow has no record of the {what} at "
                f"{at.isoformat(timespec='seconds')}; `feature-lineage history` lists the records"
            )
        found = await self._cache.snapshots.read(self._ports, project, registry, {state.digest})
        if state.digest not in found:
            raise NotFound(
                f"{now.resource}: registry snapshot {state.digest[:12]} is not kept any more"
            )
        return await asyncio.to_thread(past, now, found[state.digest], state, aliases, at)

    def _mlflow_url(self, project: FeatureStoreProject) -> str:
        """The address of the server, where the project names it."""
        mlflow = project.spec.mlflow
        return (mlflow.tracking_uri or "").rstrip("/") if mlflow is not None else ""

    async def _declared(
        self, project: FeatureStoreProject, cached: CachedFacts
    ) -> dict[tuple[str, str], tuple[str, ...]]:
        """The TrainedModels of each version in the namespace of the project.

        Who may read the project need not know what other namespaces have.
        """
        view = cached.read_view
        if view is None:
            return {}
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        home, cooperative = key_of(project), CooperativeYield()
        stamps = {name: tuple(self._ports.resources.stamps_named(name)) for name in cached.named}
        names = sorted(
            name
            for name, known in stamps.items()
            if len(known) <= MAX_DECLARING
            and any((each.project, each.namespace) == (home, home.namespace) for each in known)
        )
        async for model, version in permitted_versions(self._ports, project, view, names):
            await cooperative.checkpoint()  # each is unpacked: 10,000 take a second
            if model.metadata.namespace == home.namespace:
                key = version.name, version.version
                name = f"{model.metadata.namespace}/{model.metadata.name}"
                found[key] = (*found.get(key, ()), name)
        return found

    async def _built(self, project: FeatureStoreProject) -> tuple[_Built, CachedFacts]:
        """The index and the graph, with the facts from which they were built."""
        key = key_of(project)
        async with self._locks.setdefault(key, asyncio.Lock()):
            cached = self._cache.facts.get(key)
            if cached is None or cached.facts.read_at is None:
                self._indexes.pop(key, None)
                self._locks.pop(key, None)
                raise ServerUnavailable(f"{key}: MLflow was not read yet; ask again later")
            built = self._indexes.pop(key, None)
            if built is None or built.facts() is not cached.facts:
                snapshot = await self._snapshot(project, cached.digest)
                pairs = [(item.version, item.link) for item in cached.facts.linked]
                # In a thread: an index of 10,000 versions takes a quarter of a second.
                index, graph = await asyncio.to_thread(_index_and_graph, pairs, snapshot)
                built = _Built(weakref.ref(cached.facts), snapshot, index, graph)
            self._indexes[key] = built
            self._drop_oldest()
            return built, cached

    def _drop_oldest(self) -> None:
        """Keep the newest indexes; each keeps its registry snapshot in memory."""
        sizes = {key: each.snapshot_memory for key, each in self._indexes.items()}
        while len(sizes) > 1 and (len(sizes) > MAX_INDEXES or sum(sizes.values()) > MAX_SNAPSHOTS):
            oldest = next(iter(sizes))
            del self._indexes[oldest], sizes[oldest]

    async def _snapshot(self, project: FeatureStoreProject, digest: str) -> RegistrySnapshot | None:
        """The snapshot with which the versions were linked; None if no registry was read."""
        if not digest:
            return None
        found = await self._cache.snapshots.read(self._ports, project, None, {digest})
        if digest not in found:
            raise NotFound(
                f"{key_of(project)}: registry snapshot {digest[:12]} is not kept any more; "
                "the next apply or observation of the registry stores it again"
            )
        return found[digest]


def _index_and_graph(
    pairs: list[tuple[ModelVersion, Link]], snapshot: RegistrySnapshot | None
) -> tuple[ReverseIndex, LineageGraph]:
    index = build(pairs)
    return index, LineageGraph(snapshot, index)


def _as_of(
    project: FeatureStoreProject,
    snapshot: RegistrySnapshot | None,
    models_read_at: datetime | None = None,
    probe: ProbeRecord | None = None,
) -> AsOf:
    registry = project.status.registry
    answered = [each.at for each in probe.answers.values()] if probe is not None else []
    return AsOf(
        models_read_at=models_read_at,
        registry_read_at=registry.observed_at if registry is not None else None,
        registry_digest=snapshot.digest if snapshot is not None else None,
        probed_at=max(answered, default=None),
    )
