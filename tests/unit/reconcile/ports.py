"""The ports in memory: all effects of the reconciler are recorded in one log, in order."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.access import ENTRIES, entry
from tests.unit.decide.build import MLFLOW, NOW, A

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.decide.facts import Event, JobFacts, Key, SourceFacts
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.config import NamedServer
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.operations.alias_history import (
    HISTORY_TAG,
    AliasFold,
    AliasState,
    read_record,
)
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.past import Place
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.operations.records import OPERATION_ID_TAG, OpsRun
from feature_lineage.ports import ModelStamp, Ports, ResourceT
from feature_lineage.tracking.client_pool import ModelRegistryPool


class FakePorts:
    """A clock, MLflow and a job runner; `log` records effects, `fail` defines failures.

    Attributes:
        log: (verb, object) in order.
        asked: reads of MLflow, and whether they were full.
        resolved, histories: number of times that the source was resolved, and MLflow's timeline
            read.
        made: number of TrainedModels that were created for queries by registered model.
        fetched: number of reads of a stored snapshot.
        searched: digests that were searched in MLflow.
        recorded: facts about the registry in MLflow's ops runs.
        fail: verb → the error that it raises.
        reports: reports by job name; a job without one is running.
        waiting: by job name, the cause for which a job does not start, or the question of a job.
        answers: the answers to questions, in order.
    """

    def __init__(self) -> None:
        self.instant = NOW
        self.log: list[tuple[str, str]] = []
        self.fail: dict[str, Exception] = {}
        self.resources: dict[tuple[str, str], FeatureStoreProject | TrainedModel] = {}
        self.requests: dict[str, JobRequest] = {}
        self.reports: dict[str, JobReport] = {}
        self.waiting: dict[str, JobFacts] = {}
        self.answers: list[GuardAnswer] = []
        self.kept: dict[str, RegistrySnapshot] = {}
        self.timeline: list[SnapshotRecord] = []
        self.probes: dict[Key, ProbeRecord] = {}
        self.versions: dict[str, ModelVersion] = {}
        self.runs: list[OpsRun] = []
        self.asked: list[bool] = []
        self.resolved = 0
        self.recorded: tuple[SnapshotRecord, ...] = ()
        self.histories = 0
        self.made = 0
        self.fetched = 0
        self.searched: list[str] = []
        self.refused: set[str] = set()

    def ports(self) -> Ports:
        return Ports(
            clock=_Clock(self),
            resources=_Resources(self),
            source=_Source(self),
            jobs=_Jobs(self),
            registries=_Registries(self),
            snapshots=_Snapshots(self),
            probes=_Probes(self),
            events=_Events(self),
            allows_feature_server=lambda url: url not in self.refused,
        )

    def add(self, resource: FeatureStoreProject | TrainedModel) -> None:
        self.resources[resource.kind, resource.metadata.name] = resource

    def does(self, verb: str, what: str) -> None:
        """Record an effect, or fail if it has to fail."""
        if verb in self.fail:
            raise self.fail[verb]
        self.log.append((verb, what))

    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.log]


class _Clock:
    def __init__(self, fakes: FakePorts) -> None:
        self.fakes = fakes

    def now(self) -> datetime:
        return self.fakes.instant


class _Resources:
    def __init__(self, fakes: FakePorts) -> None:
        self.fakes = fakes

    def project(self, namespace: str, name: str) -> FeatureStoreProject | None:
        found = self.fakes.resources.get(("FeatureStoreProject", name))
        same = isinstance(found, FeatureStoreProject) and found.metadata.namespace == namespace
        return found if same and isinstance(found, FeatureStoreProject) else None

    def model(self, namespace: str, name: str) -> TrainedModel | None:
        found = self.fakes.resources.get(("TrainedModel", name))
        return found if isinstance(found, TrainedModel) else None

    def projects(self) -> Iterable[FeatureStoreProject]:
        return [r for r in self.fakes.resources.values() if isinstance(r, FeatureStoreProject)]

    def models(self) -> Iterable[TrainedModel]:
        return [r for r in self.fakes.resources.values() if isinstance(r, TrainedModel)]

    def models_named(self, name: str) -> Iterable[TrainedModel]:
        found = [model for model in self.models() if model.spec.model.name == name]
        self.fakes.made += len(found)
        return found

    def stamps_named(self, name: str) -> tuple[ModelStamp, ...]:
        return tuple(ModelStamp.of(m) for m in self.models() if m.spec.model.name == name)

    async def save(self, resource: ResourceT) -> ResourceT:
        self.fakes.does("save", _shape(resource))
        self.fakes.add(type(resource).model_validate(resource.as_dict()))
        return resource


def _shape(resource: FeatureStoreProject | TrainedModel) -> str:
    """Return a status in one word."""
    if isinstance(resource, TrainedModel):
        return "model"
    operation, operations = resource.status.operation, resource.status.operations
    if operation is not None:
        return str(operation.phase)
    return "recorded" if operations and operations[0].mlflow_run_id else "ended"


class _Source:
    def __init__(self, fakes: FakePorts) -> None:
        self.fakes = fakes

    async def resolve(self, project: FeatureStoreProject) -> SourceFacts:
        if "resolve" in self.fakes.fail:
            raise self.fakes.fail["resolve"]
        self.fakes.resolved += 1
        return SourceFacts(A)


class _Jobs:
    def __init__(self, fakes: FakePorts) -> None:
        self.fakes = fakes

    async def start(self, request: JobRequest, project: FeatureStoreProject) -> None:
        self.fakes.does("start", request.operation_id)
        self.fakes.requests[request.operation_id] = request

    async def state(self, operation_id: str, project: FeatureStoreProject) -> JobFacts | None:
        if operation_id not in self.fakes.requests:
            return None
        if operation_id in self.fakes.waiting:
            return self.fakes.waiting[operation_id]
        report = self.fakes.reports.get(operation_id)
        return JobFacts(running=report is None, report=report)

    async def cancel(self, operation_id: str, project: FeatureStoreProject, why: str) -> None:
        self.fakes.does("cancel", operation_id)

    async def answer(
        self, operation_id: str, project: FeatureStoreProject, answer: GuardAnswer
    ) -> None:
        self.fakes.does("answer", operation_id)
        self.fakes.answers.append(answer)
        self.fakes.waiting[operation_id] = JobFacts(running=True)

    async def release(self, operation_id: str, project: FeatureStoreProject) -> None:
        self.fakes.does("release", operation_id)
        self.fakes.requests.pop(operation_id, None)


class _Registries:
    """One registry for all projects, also for the platform's name; addresses are the real ones."""

    def __init__(self, fakes: FakePorts) -> None:
        self.registry = Registry(fakes)
        uri = MLFLOW["trackingUri"]
        platform = {
            "free": NamedServer(name="free", tracking_uri=f"{uri}/", access=ENTRIES),
            "read": NamedServer(name="read", tracking_uri=uri, access=(entry(),)),
            "others": NamedServer(
                name="others", tracking_uri=uri, access=(entry("Tags", models="other_*"),)
            ),
            "bound": NamedServer(
                name="bound", tracking_uri=uri, workspace="default", access=ENTRIES
            ),
        }
        real = ModelRegistryPool(FolderObjects(), _Clock(fakes).now, platform_servers=platform)
        self.address_of = real.address_of

    async def of(
        self, project: FeatureStoreProject, namespace: str | None = None
    ) -> "Registry | None":
        return self.registry if project.spec.mlflow is not None else None


class Registry:
    """An MLflow server with versions and ops runs."""

    def __init__(self, fakes: FakePorts) -> None:
        self.fakes = fakes
        self._last: RegistryView | None = None

    async def view(
        self, *, max_age: timedelta, full: bool = False, wait: bool = True
    ) -> RegistryView:
        if "view" in self.fakes.fail:
            raise self.fakes.fail["view"]
        self.fakes.asked.append(full)
        named: dict[str, dict[str, ModelVersion]] = {}
        for version in self.fakes.versions.values():
            named.setdefault(version.name, {})[version.version] = version
        outdated = self._last is None or self.fakes.instant - self._last.read_at > max_age
        if self._last is None or self._last.versions != named or (full and outdated):
            self._last = RegistryView(self.fakes.instant, named, {})
        return self._last

    @property
    def last_view(self) -> RegistryView | None:
        return self._last

    async def record(self, run: OpsRun) -> str:
        self.fakes.does("record", run.operation_id)
        self.fakes.runs.append(run)
        return f"run-{len(self.fakes.runs)}"

    async def history(self, experiment: str) -> tuple[SnapshotRecord, ...]:
        self.fakes.histories += 1
        if "history" in self.fakes.fail:
            raise self.fakes.fail["history"]
        return self.fakes.recorded

    async def snapshot(self, experiment: str, digest: str) -> RegistrySnapshot | None:
        self.fakes.searched.append(digest)
        if "snapshot" in self.fakes.fail:
            raise self.fakes.fail["snapshot"]
        return None

    async def aliases_at(self, place: Place, at: datetime | None = None) -> AliasState | None:
        """The state of the recorded aliases, read from the recorded runs as from MLflow's."""
        self.fakes.does("read aliases", place.resource)
        found = (
            read_record(
                f"run-{n}", run.started_at, {OPERATION_ID_TAG: run.operation_id, **run.tags}
            )
            for n, run in enumerate(self.fakes.runs)
            if HISTORY_TAG in run.tags and (at is None or run.started_at <= at)
        )
        return AliasFold(*found).state

    async def set_version_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        self.fakes.does("tag", version.version)
        self._retag(version, {**version.tags, **tags})

    async def delete_version_tags(self, version: ModelVersion, keys: tuple[str, ...]) -> None:
        self.fakes.does("untag", version.version)
        self._retag(version, {k: v for k, v in version.tags.items() if k not in keys})

    def _retag(self, version: ModelVersion, tags: Mapping[str, Any]) -> None:
        self.fakes.versions[version.version] = replace(version, tags=tags)


class _Snapshots:
    def __init__(self, fakes: FakePorts) -> None:
        self.fakes = fakes

    async def put(self, key: Key, snapshot: RegistrySnapshot, record: SnapshotRecord) -> None:
        self.fakes.does("keep", snapshot.digest)
        self.fakes.kept[snapshot.digest] = snapshot
        self.fakes.timeline.append(record)

    async def get(self, key: Key, digest: str) -> RegistrySnapshot | None:
        self.fakes.fetched += 1
        return self.fakes.kept.get(digest)

    async def history(self, key: Key) -> tuple[SnapshotRecord, ...]:
        return tuple(self.fakes.timeline)

    def damage(self, key: Key) -> str:
        return ""


class _Probes:
    def __init__(self, fakes: FakePorts) -> None:
        self.fakes = fakes

    async def keep(self, key: Key, record: ProbeRecord) -> None:
        self.fakes.does("keep probe", record.digest)
        self.fakes.probes[key] = record

    async def read(self, key: Key, digest: str) -> ProbeRecord | None:
        record = self.fakes.probes.get(key)
        return record if record is not None and record.digest == digest else None


class _Events:
    def __init__(self, fakes: FakePorts) -> None:
        self.fakes = fakes

    async def emit(self, event: Event) -> None:
        self.fakes.does("tell", event.reason)
