"""The observation of one resource at one moment, from which `decide` makes a decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.decide.facts import JobFacts, SourceFacts
from feature_lineage.errors import (
    FeatureLineageError,
    ServerUnavailable,
    TerminalError,
    TransientError,
)
from feature_lineage.features.freshness import ViewState
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.baseline import Baseline
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.models.links import Link
from feature_lineage.models.verdicts import Judgement
from feature_lineage.operations.alias_history import AliasChange, AliasState
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.protection import Guard


@dataclass(frozen=True, slots=True)
class Failure:
    """A fact that could not be read; an error as a value.

    Attributes:
        reason: condition reason.
        message: object, fact, next step.
        terminal: only a change of spec, source or annotation can help.
        outage: a shared server does not answer.
    """

    reason: str
    message: str
    terminal: bool = False
    outage: bool = False

    @classmethod
    def of(cls, error: FeatureLineageError) -> "Failure":
        return cls(
            reason=error.reason,
            message=error.message,
            terminal=isinstance(error, TerminalError),
            outage=isinstance(error, ServerUnavailable | TransientError),
        )


@dataclass(frozen=True)
class LinkedVersion:
    """A model version of one project, with everything computed from the facts about it.

    Attributes:
        baseline: the registry with which the version is compared.
        judgement: verdict against the registry as last read; None if it was never read.
    """

    version: ModelVersion
    link: Link
    baseline: Baseline | None
    judgement: Judgement | None


@dataclass(frozen=True)
class ModelFacts:
    """The facts of MLflow about one project.

    Attributes:
        read_at: time of the oldest fact; None if MLflow was never read.
        linked: versions that name the project, by model and version.
        declared: versions of which a TrainedModel declares the number or the service, as it sees
            them; only of a project that is probed.
        guard: the protected versions among them; None if MLflow was never read.
        failure: why the facts are not newer; None if they are current.
    """

    read_at: datetime | None
    linked: tuple[LinkedVersion, ...] = ()
    guard: Guard | None = None
    failure: Failure | None = None
    declared: tuple[LinkedVersion, ...] = ()


@dataclass(frozen=True)
class AliasFacts:
    """The history of the aliases of a project's models.

    Attributes:
        recorded: the state of the last record in MLflow; None: not known.
        pending: changes that are not recorded yet, oldest first.
        failure: why the aliases of the last reading are not among them; None if they are.
    """

    recorded: AliasState | None
    pending: tuple[AliasChange, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class ObservedProject:
    """The observation of one FeatureStoreProject at one moment.

    Attributes:
        requested: a reconcile was requested, so back-off is ignored.
        annotated: by the annotation. Each run of `local --once` requests one, too, also a run that
            a clock starts: it tries no view again that ended two jobs.
        deleted: its manifest was removed, or it has a deletion timestamp.
        source: the resolved revision, or the failure; None if the spec has no source.
        feature_store_yaml_digest: digest of the text that replaces the file of the repo; "" without
            one.
        jobs: existing jobs of the operations in flight, by name.
        models: None if the spec names no MLflow server.
        snapshot: the snapshot with the digest in `status.registry.digest`.
        probe: the record with the digest in `status.probe.digest`.
        server_refused: why the feature server may not be asked; None if it may, or there is none.
        damage: what the host cannot use of the stored snapshots, and why; "" if nothing.
        aliases: the history of aliases; None if it is not recorded, or not known now.
        asked_at: when this process first saw the question of the running job for a newer guard;
            facts that answer it are newer. None: no job asks.
    """

    resource: FeatureStoreProject
    now: datetime
    requested: bool = False
    annotated: bool = False
    source: SourceFacts | Failure | None = None
    jobs: Mapping[str, JobFacts] = field(default_factory=dict)
    models: ModelFacts | None = None
    snapshot: RegistrySnapshot | None = None
    probe: ProbeRecord | None = None
    server_refused: Failure | None = None
    damage: str = ""
    aliases: AliasFacts | None = None
    asked_at: datetime | None = None

    @property
    def snapshot_lost(self) -> bool:
        """Whether the status names a snapshot of the registry that no store has."""
        registry = self.resource.status.registry
        return self.snapshot is None and registry is not None and registry.digest is not None

    @property
    def deleted(self) -> bool:
        return self.resource.metadata.deletion_timestamp is not None

    def job_of(self, operation: OperationStatus) -> JobFacts | None:
        """The job of this attempt of an operation; None if there is none."""
        return self.jobs.get(operation.job)


@dataclass(frozen=True)
class ObservedModel:
    """The observation of one TrainedModel at one moment.

    Attributes:
        project: the project that it refers to; None if it is missing or not permitted, which are
            treated alike.
        view: MLflow as last read; None if it was never read.
        failure: why the view is not newer.
        linked: the version of its alias or number.
        older_owners: names of older resources for the same model version on the same server.
        left: the version to which the alias pointed before, if it still exists.
        snapshot: the registry of the project as last read.
        states: states of the project's views; None: use those in its status.
        probe: the record of the project's last probe.
        server_refused: as in `ObservedProject`.
    """

    resource: TrainedModel
    now: datetime
    project: FeatureStoreProject | None = None
    view: RegistryView | None = None
    failure: Failure | None = None
    linked: LinkedVersion | None = None
    older_owners: tuple[str, ...] = ()
    left: ModelVersion | None = None
    snapshot: RegistrySnapshot | None = None
    states: Mapping[str, ViewState] | None = None
    probe: ProbeRecord | None = None
    server_refused: Failure | None = None
