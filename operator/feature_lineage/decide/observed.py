"""Everything known about one resource at one moment; `decide` makes a decision from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.project_status import OperationStatus
from feature_lineage.decide.facts import JobFacts, Key, SourceFacts
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
from feature_lineage.operations.protection import Guard


@dataclass(frozen=True, slots=True)
class Failure:
    """Something could not be known; an error as a value.

    Attributes:
        reason: condition reason.
        message: object, fact, next step.
        terminal: nothing helps until spec, source or annotation changes.
        outage: a shared server is out.
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
    """A model version of one project, with all that follows from the facts about it.

    Attributes:
        baseline: which registry it is compared with.
        judgement: verdict against the registry as last read; None while that is unseen.
    """

    version: ModelVersion
    link: Link
    baseline: Baseline | None
    judgement: Judgement | None


@dataclass(frozen=True)
class ModelFacts:
    """What MLflow says about one project.

    Attributes:
        read_at: age of the oldest fact; None when MLflow was never read.
        linked: versions that name the project, by model and version.
        guard: the protected ones among them; None when MLflow was never read.
        failure: why the facts are not newer, None when they are current.
    """

    read_at: datetime | None
    linked: tuple[LinkedVersion, ...] = ()
    guard: Guard | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class OlderOwner:
    """An older resource for the same Feast project.

    Attributes:
        registry_id: of its registry, "" while not known.
        tried: it has tried to apply; without a registry id now, it will not have one soon.
    """

    key: Key
    registry_id: str
    tried: bool


@dataclass(frozen=True)
class ObservedProject:
    """Everything known about one FeatureStoreProject at one moment.

    Attributes:
        requested: a reconcile was requested: back-off does not hold.
        deleted: its manifest is gone, or it has a deletion timestamp.
        source: resolved revision, or why not; None where the spec has no source.
        feature_store_yaml_digest: of the text that replaces the repo's file, "" without one.
        jobs: of the operations in flight, by name; those that exist.
        models: None where the spec names no MLflow server.
        snapshot: of `status.registry.digest`.
    """

    resource: FeatureStoreProject
    now: datetime
    requested: bool = False
    source: SourceFacts | Failure | None = None
    older_owners: tuple[OlderOwner, ...] = ()
    jobs: Mapping[str, JobFacts] = field(default_factory=dict)
    models: ModelFacts | None = None
    snapshot: RegistrySnapshot | None = None

    @property
    def deleted(self) -> bool:
        return self.resource.metadata.deletion_timestamp is not None

    def job_of(self, operation: OperationStatus) -> JobFacts | None:
        """The job of this attempt of an operation; None where there is none."""
        return self.jobs.get(operation.job)


@dataclass(frozen=True)
class ObservedModel:
    """Everything known about one TrainedModel at one moment.

    Attributes:
        project: the project it refers to; None when missing or not permitted (they read the same).
        view: MLflow as last read; None when never.
        failure: why the view is not newer.
        linked: the version its alias or number stands for.
        older_owners: older resources on the same model version of the same server, by name.
        left: the version the alias pointed to before, where it still exists.
        snapshot: the project's registry as last read.
        states: of the project's views; None: as its status says.
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
