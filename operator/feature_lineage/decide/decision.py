"""What `decide` decides: the new status, and the actions that the host carries out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from feature_lineage.decide.events import DomainEvent
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion
from feature_lineage.operations.protocol import JobRequest

StatusT = TypeVar("StatusT")


@dataclass(frozen=True, slots=True)
class KeepSnapshot:
    """Keep the snapshot of a finished job before any status speaks of it."""

    snapshot: RegistrySnapshot
    at: datetime
    revision: str


@dataclass(frozen=True, slots=True)
class StartJob:
    """Start the job of `status.operation`, which is written down by now."""

    request: JobRequest


@dataclass(frozen=True, slots=True)
class CancelJob:
    """End a job: what it waits for may never come, or another operation goes first."""

    job: str
    why: str


@dataclass(frozen=True, slots=True)
class Record:
    """Make the ops run of a finished operation true in MLflow."""

    operation_id: str


@dataclass(frozen=True, slots=True)
class SetTags:
    version: ModelVersion
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeleteTags:
    version: ModelVersion
    keys: tuple[str, ...]


Action = KeepSnapshot | StartJob | CancelJob | Record | SetTags | DeleteTags


@dataclass(frozen=True)
class Decision(Generic[StatusT]):
    """What follows from an observation.

    Attributes:
        status: the new status, equal to the old one where nothing changed.
        before: actions without which the status must not be written.
        after: actions that the written status announces.
        events: what happened; given to the sinks once the status is written.
        requeue_at: when to reconcile again at the latest; None: only when something changes.
        finished: the resource is being deleted and nothing is left to do.
    """

    status: StatusT
    before: tuple[KeepSnapshot, ...] = ()
    after: tuple[Action, ...] = ()
    events: tuple[DomainEvent, ...] = ()
    requeue_at: datetime | None = None
    finished: bool = False
