"""Ports in memory for the reconciler: they answer at once, and jobs always succeed.

So only the cost of a reconcile itself is measured.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from benchmarks.project_fixture import NOW
from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.decide.facts import Event, JobFacts, Key, SourceFacts
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.past import Place
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.operations.records import OpsRun
from feature_lineage.ports import ModelStamp, Ports, ResourceT


@dataclass
class InMemoryPorts:
    """Every port of `Ports` for one project and its facts in MLflow."""

    project_: FeatureStoreProject
    registry_snapshot: RegistrySnapshot
    registry_view: RegistryView
    time: datetime = NOW
    jobs_: dict[str, JobRequest] = field(default_factory=dict)
    kept: dict[str, RegistrySnapshot] = field(default_factory=dict)
    timeline: list[SnapshotRecord] = field(default_factory=list)
    saved: int = 0

    @property
    def ports(self) -> Ports:
        return Ports(self, self, self, self, self, self, self, self, lambda _url: True)

    # Clock and Source

    def now(self) -> datetime:
        return self.time

    async def resolve(self, project: FeatureStoreProject) -> SourceFacts:  # noqa: ARG002
        return SourceFacts("a" * 40)

    # Resources

    def project(self, namespace: str, name: str) -> FeatureStoreProject | None:
        known = self.project_.metadata
        return self.project_ if (known.namespace, known.name) == (namespace, name) else None

    def model(self, namespace: str, name: str) -> TrainedModel | None:  # noqa: ARG002
        return None

    def projects(self) -> Iterable[FeatureStoreProject]:
        return (self.project_,)

    def models(self) -> Iterable[TrainedModel]:
        return ()

    def models_named(self, name: str) -> Iterable[TrainedModel]:  # noqa: ARG002
        return ()

    def stamps_named(self, name: str) -> tuple[ModelStamp, ...]:  # noqa: ARG002
        return ()

    async def save(self, resource: ResourceT) -> ResourceT:
        assert isinstance(resource, FeatureStoreProject)
        self.project_ = resource
        self.saved += 1
        return resource

    # Jobs

    async def start(self, request: JobRequest, project: FeatureStoreProject) -> None:  # noqa: ARG002
        self.jobs_[request.operation_id] = request

    async def state(self, operation_id: str, project: FeatureStoreProject) -> JobFacts | None:  # noqa: ARG002
        request = self.jobs_.get(operation_id)
        if request is None:
            return None
        snapshot = self.registry_snapshot
        report = JobReport(
            operation_id=request.operation_id,
            kind=request.kind,
            project=request.project,
            revision=request.revision,
            outcome=Outcome.SUCCEEDED,
            started_at=self.time,
            finished_at=self.time,
            registry_id="r" * 64,
            registry_type="sql",
            verified=True,
            snapshot=snapshot,
            plan=Plan("p" * 64, PlanVerdict.CLEAN),
            views=tuple(
                ViewReport(name=name, kind=kind, materialized_until=self.time)
                for kind, name, _ in snapshot.views()
            ),
        )
        return JobFacts(running=False, report=report)

    async def release(self, operation_id: str, project: FeatureStoreProject) -> None:  # noqa: ARG002
        self.jobs_.pop(operation_id, None)

    # MLflow

    async def of(
        self,
        project: FeatureStoreProject,  # noqa: ARG002
        namespace: str | None = None,  # noqa: ARG002
    ) -> "InMemoryPorts":
        return self

    async def view(
        self,
        *,
        max_age: timedelta,  # noqa: ARG002
        full: bool = False,  # noqa: ARG002
        wait: bool = True,  # noqa: ARG002
    ) -> RegistryView:
        return self.registry_view

    @property
    def last_view(self) -> RegistryView | None:
        return self.registry_view

    async def record(self, run: OpsRun) -> str:  # noqa: ARG002
        return "f" * 32

    async def snapshot(self, experiment: str, digest: str) -> RegistrySnapshot | None:  # noqa: ARG002
        return None

    async def aliases_at(self, place: Place, at: object = None) -> None: ...

    async def set_version_tags(self, version: ModelVersion, tags: object) -> None: ...

    async def delete_version_tags(self, version: ModelVersion, keys: object) -> None: ...

    # Snapshots and events

    async def put(self, key: Key, snapshot: RegistrySnapshot, record: SnapshotRecord) -> None:  # noqa: ARG002
        self.kept[snapshot.digest] = snapshot
        self.timeline.append(record)

    async def get(self, key: Key, digest: str) -> RegistrySnapshot | None:  # noqa: ARG002
        return self.kept.get(digest)

    async def keep(self, key: Key, record: ProbeRecord) -> None:
        pass

    async def read(self, key: Key, digest: str) -> ProbeRecord | None:  # noqa: ARG002
        return None

    def damage(self, key: Key) -> str:  # noqa: ARG002
        return ""

    async def history(self, key: Key | str) -> tuple[SnapshotRecord, ...]:  # noqa: ARG002
        return tuple(self.timeline)

    async def emit(self, event: Event) -> None: ...
