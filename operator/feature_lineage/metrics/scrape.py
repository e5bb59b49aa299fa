"""What a host has to show for a scrape, and who counts what it does."""

from collections.abc import Callable, Mapping

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.decide.facts import Event, Key
from feature_lineage.errors import InvalidManifest
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.metrics.collector import StateCollector
from feature_lineage.metrics.instruments import Instruments, result_of
from feature_lineage.metrics.server import start
from feature_lineage.metrics.state import FactTimes, Name, State
from feature_lineage.ports import Resources
from feature_lineage.reconcile.reconciler import Reconciler, ReconcileResult


class Scrape:
    """A listener of the host that serves ``/metrics``.

    Args:
        port: 0 takes a free one.
        address: to listen on.
        probes: further paths, each with what says "" while all is well.
    """

    def __init__(
        self,
        port: int,
        address: str = "127.0.0.1",
        probes: Mapping[str, Callable[[], str]] | None = None,
    ) -> None:
        self.instruments = Instruments()
        self._state: Callable[[], State] = State
        self.instruments.registry.register(StateCollector(self._now))
        self.stop, self.port = start(port, self.instruments.registry, address, probes or {})

    def show(self, resources: Resources, controller: Reconciler) -> None:
        """From now on, scrapes speak of these resources."""
        self._state = lambda: state_of(resources, controller)

    def _now(self) -> State:
        return self._state()

    def told(self, event: Event) -> None:
        """Events are for people; what they tell of is counted where it happens."""

    def passed(
        self,
        key: Key,
        before: FeatureStoreProject | TrainedModel,
        result: ReconcileResult,
        seconds: float,
    ) -> None:
        self.instruments.reconciled(key.kind, "success", seconds)
        if isinstance(before, FeatureStoreProject):
            assert isinstance(result.resource, FeatureStoreProject)
            self.instruments.project_changed(before, result.resource)
            if result.finished:
                self.gone(key)

    def gone(self, key: Key) -> None:
        """The resource is not there any more, and neither are its series."""
        if key.kind == "FeatureStoreProject":
            self.instruments.project_gone(key.namespace, key.name)

    def failed(self, key: Key, error: Exception) -> None:
        self.instruments.reconciled(key.kind, result_of(error), 0.0)

    def invalid(self, error: InvalidManifest) -> None:
        """A manifest that does not validate is no pass over a resource."""


def state_of(resources: Resources, controller: Reconciler) -> State:
    """Everything a scrape speaks of."""
    snapshots: dict[Name, RegistrySnapshot] = {}
    facts: dict[Name, FactTimes] = {}
    projects = tuple(resources.projects())
    for project in projects:
        name = (project.metadata.namespace, project.metadata.name)
        snapshot, known = controller.facts_of(project)
        if snapshot is not None:
            snapshots[name] = snapshot
        if known is not None:
            guard = known.guard.read_at if known.guard else None
            facts[name] = FactTimes(mlflow=known.read_at, guard=guard)
    return State(projects, resources.models(), snapshots, facts)
