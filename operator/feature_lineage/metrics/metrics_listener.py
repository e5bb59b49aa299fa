"""Counts the actions of a host, and exports the state of its resources at each scrape."""

from collections.abc import Callable

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key, Resource
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.metrics.collector import StateCollector
from feature_lineage.metrics.instruments import Instruments, result_of
from feature_lineage.metrics.state import FactTimes, Name, State
from feature_lineage.ports import Resources
from feature_lineage.reconcile.listener import Listener
from feature_lineage.reconcile.reconciler import Reconciler, ReconcileResult


class MetricsListener(Listener):
    """Counts the actions of a host; its registry has everything that ``/metrics`` shows."""

    def __init__(self) -> None:
        self.instruments = Instruments()
        self._state: Callable[[], State] = State
        self.registry = self.instruments.registry
        self.registry.register(StateCollector(self._now))

    def show(self, resources: Resources, reconciler: Reconciler) -> None:
        """Export the metrics of these resources from now on."""
        self._state = lambda: state_of(resources, reconciler)

    def _now(self) -> State:
        return self._state()

    def reconciled(
        self, key: Key, before: Resource, result: ReconcileResult, seconds: float
    ) -> None:
        self.instruments.reconciled(key.kind, "success", seconds)
        self.instruments.sinks_failed(result.sink_errors)
        if isinstance(before, FeatureStoreProject):
            assert isinstance(result.resource, FeatureStoreProject)
            self.instruments.project_changed(before, result.resource)
            if result.finished:
                self.removed(key)

    def removed(self, key: Key) -> None:
        """Remove the series of a deleted resource."""
        if key.kind == "FeatureStoreProject":
            self.instruments.project_removed(key.namespace, key.name)

    def failed(self, key: Key, error: Exception, retry_after: float) -> None:
        del retry_after
        self.instruments.reconciled(key.kind, result_of(error), 0.0)


def state_of(resources: Resources, reconciler: Reconciler) -> State:
    """The state that a scrape exports."""
    snapshots: dict[Name, RegistrySnapshot] = {}
    facts: dict[Name, FactTimes] = {}
    projects = tuple(resources.projects())
    for project in projects:
        name = (project.metadata.namespace, project.metadata.name)
        snapshot, known = reconciler.facts_of(project)
        if snapshot is not None:
            snapshots[name] = snapshot
        if known is not None:
            guard = known.guard.read_at if known.guard else None
            facts[name] = FactTimes(mlflow=known.read_at, guard=guard)
    return State(projects, resources.models(), snapshots, facts, reconciler.shares)
