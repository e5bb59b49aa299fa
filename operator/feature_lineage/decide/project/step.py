"""The intermediate result of a decision: each step receives this value and returns a new one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.decision import Action, Keep
from feature_lineage.decide.events import DomainEvent
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.kinds import KINDS, Lane
from feature_lineage.operations.probe_record import ProbeRecord

FIELDS: Final = {Lane.WRITING: "operation", Lane.READING: "reading_operation"}


@dataclass(frozen=True)
class Step:
    """The decision so far.

    Attributes:
        status: status so far.
        snapshot: the snapshot of `status.registry`; None if it is not known.
        probe: the record of `status.probe`; None if there is none, or it is lost.
        before: actions that must succeed before the status is written.
        after: actions that the written status announces.
        events: domain events so far.
        requeue: times of another reconcile without an event, such as the next tick of a schedule.
    """

    status: FeatureStoreProjectStatus
    snapshot: RegistrySnapshot | None = None
    probe: ProbeRecord | None = None
    before: tuple[Keep, ...] = ()
    after: tuple[Action, ...] = ()
    events: tuple[DomainEvent, ...] = ()
    requeue: tuple[datetime, ...] = ()

    def update(self, **changes: Any) -> "Step":
        """The step with these parts of the status."""
        return replace(self, status=self.status.model_copy(update=changes))

    def acting(self, *actions: Action) -> "Step":
        """The step with actions that the written status announces."""
        return replace(self, after=(*self.after, *actions))

    def telling(self, *events: DomainEvent) -> "Step":
        """The step with events."""
        return replace(self, events=(*self.events, *events))

    def requeued(self, moments: Iterable[datetime]) -> "Step":
        """The step with times of another reconcile."""
        return replace(self, requeue=(*self.requeue, *moments))

    def operation(self, lane: Lane) -> OperationStatus | None:
        """The operation in flight in a lane."""
        operation: OperationStatus | None = getattr(self.status, FIELDS[lane])
        return operation

    def with_operation(self, operation: OperationStatus) -> "Step":
        """The step with an operation in the lane of its kind."""
        return self.update(**{FIELDS[KINDS[operation.kind].lane]: operation})

    def without_operation(self, operation: OperationStatus) -> "Step":
        """The step without an operation in the lane of the operation's kind."""
        return self.update(**{FIELDS[KINDS[operation.kind].lane]: None})


def into_lanes(step: Step) -> Step:
    """Put each operation into the lane of its kind; of two that only read, keep the newer one.

    A version with only one lane kept every operation in `status.operation`.
    """
    operation, reading = step.status.operation, step.status.reading_operation
    if operation is None or KINDS[operation.kind].lane is Lane.WRITING:
        return step
    if reading is not None and reading.sequence > operation.sequence:
        return step.update(operation=None)
    return step.update(operation=None, reading_operation=operation)
