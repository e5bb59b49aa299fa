"""What the core needs from the world, and nothing else: the seams between it and its hosts.

The cluster host and the local host implement these; fault tests wrap them. Every method may raise
the errors of `feature_lineage.errors`; none returns an empty answer for a failure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.decide.events import DomainEvent
from feature_lineage.decide.facts import Event, JobFacts, Key, SourceFacts
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.operations.records import OpsRun

ResourceT = TypeVar("ResourceT", FeatureStoreProject, TrainedModel)


@dataclass(frozen=True, slots=True)
class ModelStamp:
    """What tells states of a TrainedModel apart without making it.

    Attributes:
        state: equal for equal states, such as uid and ``resourceVersion``.
        namespace: where it is.
        project: the project it refers to, permitted or not.
    """

    state: object
    namespace: str
    project: Key

    @classmethod
    def of(cls, model: TrainedModel) -> "ModelStamp":
        """Of one that is there whole; a host without versions has but one object a state."""
        metadata, reference = model.metadata, model.spec.project_ref
        home = Key("FeatureStoreProject", reference.namespace or metadata.namespace, reference.name)
        version = metadata.resource_version
        return cls((metadata.uid, version) if version else model, metadata.namespace, home)


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """Identifies an MLflow model registry: equal for every spelling of its URI and any credential.

    Attributes:
        tracking_uri: of the MLflow server, normalized.
        workspace: MLflow workspace, never empty.
    """

    tracking_uri: str
    workspace: str


class Resources(Protocol):
    """The custom resources as the host knows them, and the one way to write their status."""

    def project(self, namespace: str, name: str) -> FeatureStoreProject | None: ...

    def model(self, namespace: str, name: str) -> TrainedModel | None: ...

    def projects(self) -> Iterable[FeatureStoreProject]: ...

    def models(self) -> Iterable[TrainedModel]: ...

    def models_named(self, name: str) -> Iterable[TrainedModel]:
        """Those that stand for versions of one registered model; as cheap as there are few."""
        ...

    def stamps_named(self, name: str) -> tuple[ModelStamp, ...]:
        """The states of those; a glance of each model asks for them: nothing is made for it."""
        ...

    async def save(self, resource: ResourceT) -> ResourceT:
        """Write the status of a resource; returns it as it stands then.

        Raises:
            TransientError: it is no longer what the status was computed from.
        """
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The present, aware, in UTC."""
        ...


class SourceResolver(Protocol):
    async def resolve(self, project: FeatureStoreProject) -> SourceFacts:
        """Find the newest revision the spec names; starts no job.

        Raises:
            NotFound: ref, path, secret or config map is not there.
            AccessRefused: a server refuses the credential, or a permission is missing.
            HostNotAllowed: the address may not be used.
            TransientError: the host does not answer.
        """
        ...


class JobRunner(Protocol):
    async def start(self, request: JobRequest, project: FeatureStoreProject) -> None:
        """Start a job named after its operation id; one that is there already is left alone.

        The host puts the repo where the job finds it: `request.repo` is the host's to fill.
        """
        ...

    async def state(self, operation_id: str, project: FeatureStoreProject) -> JobFacts | None:
        """What became of a job; None when there is none of that name, or it never began."""
        ...

    async def cancel(self, operation_id: str, project: FeatureStoreProject, why: str) -> None:
        """End a job, whether it has begun or not; it is over once nothing of it can run any more.

        A job that has begun is asked to stop, and reports ``Interrupted``. Cancelling a job twice
        is fine, and so is cancelling a job that is over.

        Args:
            why: ``Reason: message``; ``state`` reports both of a job that ends without a report.
        """
        ...

    async def release(self, operation_id: str, project: FeatureStoreProject) -> None:
        """The operation is on record: its job may go. Releasing a job twice is fine."""
        ...


class ModelRegistry(Protocol):
    """One MLflow server, seen with one credential."""

    async def view(
        self, *, max_age: timedelta, full: bool = False, wait: bool = True
    ) -> RegistryView:
        """The model registry, no older than `max_age`; `full` reads all of it anew.

        Without `wait`, the last good reading will do while a newer one is under way: the host
        wakes whom its news concern.
        """
        ...

    @property
    def last_view(self) -> RegistryView | None:
        """The last good reading, however old; survives an outage."""
        ...

    async def record(self, run: OpsRun) -> str:
        """Make the ops run of one operation true; returns its id. Converges to exactly one."""
        ...

    async def history(self, experiment: str) -> tuple[SnapshotRecord, ...]:
        """The timeline of the registry, as recorded by the ops runs."""
        ...

    async def snapshot(self, experiment: str, digest: str) -> RegistrySnapshot | None:
        """A snapshot kept with an ops run."""
        ...

    async def set_version_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Write tags on a version, after looking that it still is that version."""
        ...

    async def delete_version_tags(self, version: ModelVersion, keys: tuple[str, ...]) -> None:
        """Remove tags from a version; absent ones are fine."""
        ...


class ModelRegistries(Protocol):
    async def of(self, project: FeatureStoreProject) -> ModelRegistry | None:
        """The server a project names, shared by all that name it alike; None when it names none.

        Raises:
            NotFound: a secret or config map is not there.
        """
        ...

    def address_of(self, project: FeatureStoreProject) -> RegistryAddress | None:
        """The address of that server, without a request: every reconcile of a model compares it.

        None when the project names none, or one that it may not have.
        """
        ...


class SnapshotStore(Protocol):
    async def put(self, key: Key, snapshot: RegistrySnapshot, record: SnapshotRecord) -> None:
        """Keep a snapshot and its place in the timeline.

        Putting the newest one again, at a later moment, says that it stood until then.
        """
        ...

    async def get(self, key: Key, digest: str) -> RegistrySnapshot | None: ...

    async def history(self, key: Key) -> tuple[SnapshotRecord, ...]: ...


class Events(Protocol):
    """Where Kubernetes Events, or what stands for them, are written."""

    async def emit(self, event: Event) -> None: ...


class Sink(Protocol):
    """Where domain events go; `reconcile.sinks.registered` names all of them."""

    async def emit(self, event: DomainEvent) -> None:
        """Make something of an event, or pass it over.

        An error is logged and counted, and holds up no reconcile; the event is lost to this sink.
        """
        ...


@dataclass(frozen=True)
class Ports:
    """Everything a reconcile may touch; built once by the host."""

    clock: Clock
    resources: Resources
    source: SourceResolver
    jobs: JobRunner
    registries: ModelRegistries
    snapshots: SnapshotStore
    events: Events
