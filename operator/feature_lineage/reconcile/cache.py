"""Values that reconciles share; without them, reconciles only take longer."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from functools import cached_property
from weakref import ref

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.refs import KeySource
from feature_lineage.api.sources import Source
from feature_lineage.decide.facts import Key, SourceFacts
from feature_lineage.decide.observed import Failure, LinkedVersion, ModelFacts
from feature_lineage.features.freshness import ViewState
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.models.facts import RegistryView
from feature_lineage.operations.feature_shares import FeatureShare
from feature_lineage.ports import ModelRegistry, ModelStamp
from feature_lineage.reconcile.alias_log import AliasLog
from feature_lineage.reconcile.probe_cache import ProbeCache
from feature_lineage.reconcile.snapshot_cache import SnapshotCache


@dataclass
class ReconcileCache:
    """Values that the reconciles of one process share.

    Attributes:
        snapshots: registry snapshots by digest.
        facts: of each project, with the inputs they were computed from.
        sources: of each project, as last resolved.
        timelines: the history of each project's registry, as last read from MLflow.
        states: the views of each project, with the project and the digest of the registry they were
            computed from; the registry itself is kept in `snapshots` only, which has a bound.
        jobs: of each project, the jobs that were needed at its last reconcile and those that
            could not be released.
        probes: of each project, the record of its probes.
        shares: of each model by namespace and name, its features in the last answer of the probe.
        aliases: of each project, the history of its models' aliases.
        questions: of each project, the token of its job's question for a newer guard, and when it
            was first seen.
    """

    snapshots: SnapshotCache = field(default_factory=SnapshotCache)
    facts: dict[Key, "CachedFacts"] = field(default_factory=dict)
    sources: dict[Key, "ResolvedSource"] = field(default_factory=dict)
    timelines: dict[Key, "CachedTimeline"] = field(default_factory=dict)
    states: dict[Key, tuple[FeatureStoreProject, str, Mapping[str, ViewState]]] = field(
        default_factory=dict
    )
    jobs: dict[Key, frozenset[str]] = field(default_factory=dict)
    probes: ProbeCache = field(default_factory=ProbeCache)
    shares: dict[tuple[str, str], tuple[FeatureShare, ...]] = field(default_factory=dict)
    aliases: dict[Key, AliasLog] = field(default_factory=dict)
    questions: dict[Key, tuple[str, datetime]] = field(default_factory=dict)

    def forget(self, key: Key) -> None:
        """Remove the values of a deleted resource."""
        for values in (self.facts, self.sources, self.timelines, self.states, self.jobs):
            values.pop(key, None)
        self.questions.pop(key, None)
        self.aliases.pop(key, None)
        if key.kind == "TrainedModel":
            self.shares.pop((key.namespace, key.name), None)
        self.snapshots.forget(key)
        self.probes.forget(key)


@dataclass(frozen=True, slots=True)
class ResolvedSource:
    """A resolved source, with the spec it was resolved from."""

    at: datetime
    source: Source | None
    feature_store_yaml: KeySource | None
    facts: SourceFacts

    def holds(self, project: FeatureStoreProject, now: datetime) -> bool:
        """Whether `facts` can be used again; folders and ConfigMaps are always read again."""
        spec, source = project.spec, project.spec.source
        if source is None or not source.is_polled:
            return False
        same = self.source == source and self.feature_store_yaml == spec.feature_store_yaml
        return same and now - self.at < source.poll_interval


@dataclass(frozen=True, slots=True)
class CachedTimeline:
    """A registry's history as one MLflow server records it."""

    at: datetime
    registry: ModelRegistry
    experiment: str
    records: tuple[SnapshotRecord, ...]


@dataclass(frozen=True)
class CachedFacts:
    """Facts about a project's models, with the inputs they were computed from.

    The view is not kept alive: it is all of a server's registry, and may be given up to free its
    memory. The project's own versions stay in `facts` until its next reconcile.

    Attributes:
        digest: of the registry snapshot that the versions were linked with, "" for none.
        declaring: TrainedModels that make a version one of the project.
        declared: what TrainedModels declare, if the project is probed.
        named: the registered models of the project, declared ones included.
    """

    view: InitVar[RegistryView]
    digest: str
    failure: Failure | None
    spec: FeatureStoreProjectSpec
    facts: ModelFacts
    declaring: tuple[tuple[str, ModelStamp], ...] = ()
    declared: tuple[tuple[str, object], ...] = ()
    named: frozenset[str] = frozenset()
    _view: "ref[RegistryView]" = field(init=False, compare=False)

    def __post_init__(self, view: RegistryView) -> None:
        object.__setattr__(self, "_view", ref(view))

    @property
    def read_view(self) -> RegistryView | None:
        """The view that the facts were computed from; None if its memory was freed."""
        return self._view()

    @cached_property
    def by_version(self) -> dict[tuple[str, str], LinkedVersion]:
        """Linked versions by (model, version)."""
        return {(item.version.name, item.version.version): item for item in self.facts.linked}

    def of(
        self, view: RegistryView, digest: str, failure: Failure | None, project: FeatureStoreProject
    ) -> bool:
        """Whether `facts` were computed from these inputs."""
        same = self._view() is view and self.digest == digest and self.failure == failure
        return same and self.spec == project.spec
