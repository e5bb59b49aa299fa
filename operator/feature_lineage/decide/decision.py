"""The result of `decide`: the new status, and the actions for the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from feature_lineage.decide.events import DomainEvent
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion
from feature_lineage.operations.alias_history import AliasChange
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.protocol import JobRequest

StatusT = TypeVar("StatusT")


@dataclass(frozen=True, slots=True)
class KeepSnapshot:
    """Store the snapshot of a finished job before a status refers to it."""

    snapshot: RegistrySnapshot
    at: datetime
    revision: str


@dataclass(frozen=True, slots=True)
class KeepProbe:
    """Store the keys and answers of the online store before a status refers to them."""

    record: ProbeRecord


@dataclass(frozen=True, slots=True)
class StartJob:
    """Start the job of `status.operation`, which has been written by then."""

    request: JobRequest


@dataclass(frozen=True, slots=True)
class CancelJob:
    """End a job: its cause of waiting may never end, or another operation has priority."""

    job: str
    why: str


@dataclass(frozen=True, slots=True)
class AnswerJob:
    """Send a running job the newer guard that it asked for."""

    job: str
    answer: GuardAnswer


@dataclass(frozen=True, slots=True)
class Record:
    """Create or complete the ops run of a finished operation in MLflow."""

    operation_id: str


@dataclass(frozen=True, slots=True)
class RecordAliases:
    """Create or complete the records of changes of aliases in MLflow, one after another."""

    changes: tuple[AliasChange, ...]


@dataclass(frozen=True, slots=True)
class SetTags:
    version: ModelVersion
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeleteTags:
    version: ModelVersion
    keys: tuple[str, ...]


Keep = KeepSnapshot | KeepProbe
Action = StartJob | CancelJob | AnswerJob | Record | RecordAliases | SetTags | DeleteTags


@dataclass(frozen=True)
class Decision(Generic[StatusT]):
    """The decision that follows from an observation.

    Attributes:
        status: the new status; equal to the old one if nothing changed.
        before: actions that must succeed before the status is written.
        after: actions that the written status announces.
        events: domain events; the sinks get them after the status is written.
        requeue_at: latest time of the next reconcile; None: only when something changes.
        finished: the resource is being deleted and no work is left.
    """

    status: StatusT
    before: tuple[Keep, ...] = ()
    after: tuple[Action, ...] = ()
    events: tuple[DomainEvent, ...] = ()
    requeue_at: datetime | None = None
    finished: bool = False
