"""The ports of the core: protocols that the hosts implement.

The cluster host and the local host implement them; fault tests wrap them. Every method may raise
the errors of `feature_lineage.errors`; no method returns an empty answer for a failure.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.decide.events import DomainEvent
from feature_lineage.decide.facts import Event, JobFacts, Key, SourceFacts
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.operations.alias_history import AliasState
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.past import FIRST, Entry, Place, RegistryState
from feature_lineage.operations.past_operations import PastOperation
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.operations.records import OpsRun

ResourceT = TypeVar("ResourceT", FeatureStoreProject, TrainedModel)


@dataclass(frozen=True, slots=True)
class ModelStamp:
    """Identifies a state of a TrainedModel without building the model.

    Attributes:
        state: equal for equal states, such as uid and ``resourceVersion``.
        namespace: namespace of the resource.
        project: the project that it refers to, permitted or not.
        declares: equal for equal specs, if the spec declares a version or a service; None if not.
    """

    state: object
    namespace: str
    project: Key
    declares: object = field(default=None, compare=False)

    @classmethod
    def of(cls, model: TrainedModel) -> "ModelStamp":
        """The stamp of a resource; without a ``resourceVersion`` the object itself is the state."""
        metadata, reference = model.metadata, model.spec.project_ref
        home = Key("FeatureStoreProject", reference.namespace or metadata.namespace, reference.name)
        version = metadata.resource_version
        state = (metadata.uid, version) if version else model
        return cls(state, metadata.namespace, home, model.spec if model.spec.declares else None)


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """Identifies an MLflow model registry, among the resources that compete for its tags.

    Equal for every spelling of its URI and any credential.

    Attributes:
        tracking_uri: of the MLflow server, normalized.
        workspace: MLflow workspace, never empty.
        namespace: of the project whose credential is used, on a server that is not the platform's:
            what another namespace may write there is not known. "" on a server of the platform.
    """

    tracking_uri: str
    workspace: str
    namespace: str = ""


class Resources(Protocol):
    """The custom resources as the host knows them, and the writer of their statuses."""

    def project(self, namespace: str, name: str) -> FeatureStoreProject | None: ...

    def model(self, namespace: str, name: str) -> TrainedModel | None: ...

    def projects(self) -> Iterable[FeatureStoreProject]: ...

    def models(self) -> Iterable[TrainedModel]: ...

    def models_named(self, name: str) -> Iterable[TrainedModel]:
        """The TrainedModels for one registered model; the cost grows with their number only."""
        ...

    def stamps_named(self, name: str) -> tuple[ModelStamp, ...]:
        """The stamps of these TrainedModels, without building the TrainedModels."""
        ...

    async def save(self, resource: ResourceT) -> ResourceT:
        """Write the status of a resource; returns the resource with the written status.

        Raises:
            TransientError: the resource has changed since the status was computed.
        """
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...


class SourceResolver(Protocol):
    async def resolve(self, project: FeatureStoreProject) -> SourceFacts:
        """Find the newest revision for the spec; starts no job.

        Raises:
            NotFound: the ref, path, Secret or ConfigMap does not exist.
            AccessRefused: a server refuses the credential, or a permission is missing.
            HostNotAllowed: the address may not be used.
            TransientError: the host does not answer.
        """
        ...


class JobRunner(Protocol):
    async def start(self, request: JobRequest, project: FeatureStoreProject) -> None:
        """Start a job with the operation id as its name; an existing one is not changed.

        The host provides the repo to the job, and sets `request.repo`.
        """
        ...

    async def state(self, operation_id: str, project: FeatureStoreProject) -> JobFacts | None:
        """The state of a job; None if there is none with this name, or if it never began."""
        ...

    async def cancel(self, operation_id: str, project: FeatureStoreProject, why: str) -> None:
        """End a job, whether it has begun or not; it has ended when no part of it can run any more.

        A job that has begun is asked to stop, and reports ``Interrupted``. Cancelling a job twice
        has no further effect, and neither has cancelling a job that has ended.

        Args:
            why: ``Reason: message``; ``state`` reports both of a job that ends without a report.
        """
        ...

    async def answer(
        self, operation_id: str, project: FeatureStoreProject, answer: GuardAnswer
    ) -> None:
        """Send a running job the newer guard that it asked for; `state` then has no question.

        A second call replaces the answer. A job that has ended ignores it.
        """
        ...

    async def release(self, operation_id: str, project: FeatureStoreProject) -> None:
        """Release a job whose operation is recorded. A second call has no further effect."""
        ...


class ModelRegistry(Protocol):
    """One MLflow server, used with one credential."""

    async def view(
        self, *, max_age: timedelta, full: bool = False, wait: bool = True
    ) -> RegistryView:
        """The model registry, no older than `max_age`; `full` reads everything again.

        Without `wait`, the last good read is returned while a newer one is in progress; the host
        enqueues the models that the newer one changes.
        """
        ...

    @property
    def last_view(self) -> RegistryView | None:
        """The last good read, however old; an outage does not remove it."""
        ...

    async def record(self, run: OpsRun) -> str:
        """Create or complete the one ops run of an operation; returns its id."""
        ...

    async def history(self, experiment: str) -> tuple[SnapshotRecord, ...]:
        """The timeline of the registry from the ops runs."""
        ...

    async def snapshot(self, experiment: str, digest: str) -> RegistrySnapshot | None:
        """The snapshot that an ops run contains."""
        ...

    async def aliases_at(self, place: Place, at: datetime | None = None) -> AliasState | None:
        """The aliases of a project's models at a time, or as of the last record.

        None: no record is that old.

        Raises:
            InvalidReport: a record is missing, so the aliases are not known.
        """
        ...

    async def registry_at(self, place: Place, at: datetime) -> RegistryState | None:
        """The Feast registry in force at a time; None if no operation had read it by then."""
        ...

    async def operations_at(self, place: Place, at: datetime) -> tuple[PastOperation, ...]:
        """The operations that ran at a time, and the last one that had ended."""
        ...

    def entries(
        self,
        place: Place,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: tuple[int, str] = FIRST,
    ) -> AsyncIterator[Entry]:
        """All entries of the history that began within a time, oldest first.

        Args:
            since, until: inclusive; None: without limit.
            after: start in ms since 1970 and run id of the last entry that is known.
        """
        ...

    async def set_version_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Write tags on a version, after a check that it is still the same version."""
        ...

    async def delete_version_tags(self, version: ModelVersion, keys: tuple[str, ...]) -> None:
        """Remove tags from a version; a missing tag is no error."""
        ...


class ModelRegistries(Protocol):
    async def of(
        self, project: FeatureStoreProject, namespace: str | None = None
    ) -> ModelRegistry | None:
        """The server that a project names, as it may use it; None if it names none.

        Args:
            namespace: of a TrainedModel of the project, which may see and tag what both may.

        Raises:
            NotFound: a Secret or ConfigMap does not exist.
        """
        ...

    def address_of(
        self, project: FeatureStoreProject, model: str, namespace: str
    ) -> RegistryAddress | None:
        """The address of that server, without a request: every reconcile of a model needs it.

        None if the project names none, or if a TrainedModel of the project may not tag this
        registered model there.

        Args:
            model: the registered model.
            namespace: of the TrainedModel.
        """
        ...


class SnapshotStore(Protocol):
    async def put(self, key: Key, snapshot: RegistrySnapshot, record: SnapshotRecord) -> None:
        """Store a snapshot, and add it to the timeline.

        Storing the newest snapshot again, at a later time, records that it was unchanged until
        then.
        """
        ...

    async def get(self, key: Key, digest: str) -> RegistrySnapshot | None: ...

    async def history(self, key: Key) -> tuple[SnapshotRecord, ...]: ...

    def damage(self, key: Key) -> str:
        """What of the stored snapshots turned out to be unusable since the last `put`, and why."""
        ...


class ProbeStore(Protocol):
    async def keep(self, key: Key, record: ProbeRecord) -> None:
        """Store the record of a project in place of the last one."""
        ...

    async def read(self, key: Key, digest: str) -> ProbeRecord | None:
        """The record with this digest; None if there is none, or it cannot be used."""
        ...


class Events(Protocol):
    """The writer of Kubernetes Events, or of their replacement on a local host."""

    async def emit(self, event: Event) -> None: ...


class Sink(Protocol):
    """A receiver of domain events; `reconcile.sinks.registered` lists all of them."""

    async def emit(self, event: DomainEvent) -> None:
        """Handle an event, or ignore it.

        An error is logged and counted, and does not fail the reconcile; the sink does not get the
        event again.
        """
        ...


@dataclass(frozen=True)
class Ports:
    """All ports of a reconcile; the host creates them once.

    Attributes:
        allows_feature_server: whether projects may name the feature server at this address.
    """

    clock: Clock
    resources: Resources
    source: SourceResolver
    jobs: JobRunner
    registries: ModelRegistries
    snapshots: SnapshotStore
    probes: ProbeStore
    events: Events
    allows_feature_server: Callable[[str], bool]
