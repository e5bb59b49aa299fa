"""Answers which model versions use which features, from one reverse index per project."""

import asyncio
import weakref
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.decide.observed import ModelFacts
from feature_lineage.errors import NotFound, ServerUnavailable
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import service_refs
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.lineage.answers import AsOf
from feature_lineage.lineage.graph import LineageGraph
from feature_lineage.lineage.past import past
from feature_lineage.lineage.project_lineage import ProjectLineage
from feature_lineage.models.impact_page import ImpactPage
from feature_lineage.models.index import AffectedVersions, IndexedVersion, ReverseIndex, build
from feature_lineage.operations.protected_services import protected_services
from feature_lineage.ports import Ports
from feature_lineage.reconcile.alias_log import place_of
from feature_lineage.reconcile.cache import CachedFacts, ReconcileCache
from feature_lineage.reconcile.declared_versions import permitted_versions
from feature_lineage.reconcile.observe_project import observe_project

SERVICE: Final = "service/"
"""Prefix of the name of a feature service, where a view, feature or service can be named."""

MAX_INDEXES: Final = 16
"""Indexes in memory; one of 10,000 versions with 20 features each takes 6 MB."""


@dataclass(frozen=True)
class _BuiltIndex:
    """An index, with the inputs from which it was built.

    Attributes:
        facts: weak: an unused index must not keep replaced facts in memory.
    """

    facts: "weakref.ref[ModelFacts]"
    snapshot: RegistrySnapshot | None
    index: ReverseIndex

    @cached_property
    def graph(self) -> LineageGraph:
        return LineageGraph(self.snapshot, self.index)


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
        self._indexes: dict[Key, _BuiltIndex] = {}
        self._lock = asyncio.Lock()

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

    async def impact(
        self, project: FeatureStoreProject, name: str, *, after: str | None = None, limit: int = 100
    ) -> ImpactPage:
        """Model versions and protected services that use a feature (``view:feature``), a view, or
        a ``service/NAME``.

        Raises:
            NotFound: neither the registry nor a model has the name.
            ServerUnavailable: MLflow was not read yet.
            TerminalError: the name has none of these forms.
        """
        index, snapshot = await self._index(project)
        affected = _affected_by(index, name)
        if not len(affected) and snapshot is not None:
            _check_known(project, snapshot, name)
        page = affected.page(after, limit)
        if snapshot is None:
            return page
        services = _affected_by(_index_of_services(project, snapshot), name)
        return replace(page, protected_services=tuple(item.service for item in services))

    async def lineage(self, project: FeatureStoreProject) -> ProjectLineage:
        """The lineage of a project as last read.

        Raises:
            NotFound: the registry snapshot is not kept.
            ServerUnavailable: MLflow was not read yet.
        """
        built = await self._built(project)
        cached = self._cache.facts[key_of(project)]
        registry = project.status.registry
        probe = await self._cache.probes.current(self._ports, project)
        return ProjectLineage(
            project,
            built.snapshot,
            built.index,
            await asyncio.to_thread(getattr, built, "graph"),
            cached.by_version,
            AsOf(
                models_read_at=cached.facts.read_at,
                registry_read_at=registry.observed_at if registry is not None else None,
                registry_digest=built.snapshot.digest if built.snapshot is not None else None,
                probed_at=max((each.at for each in probe.answers.values()), default=None)
                if probe is not None
                else None,
            ),
            self._ports.clock.now(),
            await self._declared(project, cached),
            probe,
        )

    async def past_lineage(self, project: FeatureStoreProject, at: datetime) -> ProjectLineage:
        """The lineage of a project at a time: registry and aliases as recorded in MLflow.

        Model versions that were deleted since are named in `AsOf.deleted_since`. Verdicts of the
        past are not known.

        Raises:
            NotFound: no record is that old, or its registry snapshot is not kept.
            InvalidReport: a record is missing.
            ServerUnavailable: MLflow does not answer.
        """
        now = await self.lineage(project)
        registry = await self._ports.registries.of(project)
        place = place_of(project)
        assert registry is not None  # `lineage` has read it
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

    async def _declared(
        self, project: FeatureStoreProject, cached: CachedFacts
    ) -> dict[tuple[str, str], tuple[str, ...]]:
        """The TrainedModels of each version."""
        view = cached.read_view
        if view is None:
            return {}
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        names = (
            n for n in cached.named if any(True for _ in self._ports.resources.stamps_named(n))
        )
        async for model, version in permitted_versions(self._ports, project, view, names):
            key = version.name, version.version
            name = f"{model.metadata.namespace}/{model.metadata.name}"
            found[key] = (*found.get(key, ()), name)
        return found

    async def protects_services(self, project: FeatureStoreProject) -> bool:
        """Whether the project protects feature services without a model."""
        snapshot = await self._cache.snapshots.current(self._ports, project)
        globs = project.spec.apply.protection.services
        return globs is not None or bool(snapshot and protected_services(snapshot, globs))

    async def _index(
        self, project: FeatureStoreProject
    ) -> tuple[ReverseIndex, RegistrySnapshot | None]:
        if project.spec.mlflow is None:
            snapshot = await self._cache.snapshots.current(self._ports, project)
            return ReverseIndex((), snapshot), snapshot
        built = await self._built(project)
        return built.index, built.snapshot

    async def _built(self, project: FeatureStoreProject) -> _BuiltIndex:
        key = key_of(project)
        async with self._lock:
            cached = self._cache.facts.get(key)
            if cached is None or cached.facts.read_at is None:
                self._indexes.pop(key, None)
                raise ServerUnavailable(f"{key}: MLflow was not read yet; ask again later")
            built = self._indexes.pop(key, None)
            if built is None or built.facts() is not cached.facts:
                snapshot = await self._snapshot(project, cached.digest)
                pairs = [(item.version, item.link) for item in cached.facts.linked]
                # In a thread: an index of 10,000 versions takes a quarter of a second.
                index = await asyncio.to_thread(build, pairs, snapshot)
                built = _BuiltIndex(weakref.ref(cached.facts), snapshot, index)
            self._indexes[key] = built
            while len(self._indexes) > MAX_INDEXES:
                del self._indexes[next(iter(self._indexes))]
            return built

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


def _index_of_services(project: FeatureStoreProject, snapshot: RegistrySnapshot) -> ReverseIndex:
    """The protected services as users of their features."""
    names = protected_services(snapshot, project.spec.apply.protection.services)
    services = (
        IndexedVersion("", name, (), name, service_refs(snapshot, name) or ()) for name in names
    )
    return ReverseIndex(tuple(services), snapshot)


def _affected_by(index: ReverseIndex, name: str) -> AffectedVersions:
    if name.startswith(SERVICE):
        return index.impact_of_service(name.removeprefix(SERVICE))
    if ":" in name:
        return index.impact_of_feature(FeatureRef.parse(name))
    return index.impact_of_view(name)


def _check_known(project: FeatureStoreProject, snapshot: RegistrySnapshot, name: str) -> None:
    """Refuse an unknown name: a typo must not give the answer "no model uses this"."""
    views = {view: spec for _, view, spec in snapshot.views()}
    known = {f"{SERVICE}{service}" for service in snapshot.objects.get("feature_service", {})}
    known |= set(views)
    known |= {
        f"{view}:{f['name']}" for view, spec in views.items() for f in spec.get("features", ())
    }
    if name not in known:
        near = get_close_matches(name, sorted(known), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise NotFound(
            f"the registry of {key_of(project)} has no {name}, and no model uses it{hint}"
        )
