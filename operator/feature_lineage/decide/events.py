"""Domain events: what happened to a resource, as typed values that a decision carries.

The sinks in `reconcile.sinks` make something of them: Kubernetes Events, lines of the log.
"""

from dataclasses import dataclass

from feature_lineage.api.enums import OperationKind, OverrideKind, Result, Verdict
from feature_lineage.decide.facts import Key


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something that happened to one resource.

    Attributes:
        key: the resource.
    """

    key: Key


@dataclass(frozen=True, slots=True)
class OperationEvent(DomainEvent):
    """Something that happened to an operation of a project.

    Attributes:
        operation: its id.
        kind: what it does.
    """

    operation: str
    kind: OperationKind


@dataclass(frozen=True, slots=True)
class OperationStarted(OperationEvent):
    """An operation was decided on; its first job starts now.

    Attributes:
        revision: what it works on, "" where it needs none.
    """

    revision: str


@dataclass(frozen=True, slots=True)
class AttemptFailed(OperationEvent):
    """An attempt failed, and another one follows.

    Attributes:
        attempt: from 1.
    """

    attempt: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class OperationEnded(OperationEvent):
    """An operation is over and on the list of operations.

    Attributes:
        attempts: how many it took.
        reason: condition reason, "" where it succeeded.
        superseded: another operation took its place before its next attempt.
    """

    result: Result
    attempts: int
    reason: str
    message: str
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class OperationWithdrawn(OperationEvent):
    """An operation left the status without a result: it is not needed now, or starts anew later."""

    reason: str


@dataclass(frozen=True, slots=True)
class PlanBlocked(OperationEvent):
    """Protection or adoption stopped a plan.

    Attributes:
        plan: digest that a permission would have to name.
        impacts: how many models the plan would affect.
    """

    revision: str
    plan: str
    impacts: int
    reason: str


@dataclass(frozen=True, slots=True)
class PermissionUsed(OperationEvent):
    """An annotation let an operation through.

    Attributes:
        why: the reason given in the annotation.
    """

    permission: OverrideKind
    why: str


@dataclass(frozen=True, slots=True)
class ModelsHurt(OperationEvent):
    """An apply changed what protected models were trained on."""

    message: str


@dataclass(frozen=True, slots=True)
class JobWarned(OperationEvent):
    """A job's report holds a warning."""

    message: str


@dataclass(frozen=True, slots=True)
class SpecRefused(DomainEvent):
    """The spec or an annotation asks for something that cannot be done."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class VersionLinked(DomainEvent):
    """A TrainedModel resolves to another version than before.

    Attributes:
        model: registered model.
        service: feature service that the version uses, "" where none is known.
    """

    model: str
    version: str
    service: str


@dataclass(frozen=True, slots=True)
class VerdictChanged(DomainEvent):
    """The verdict about a model's features is another one than before.

    Attributes:
        before: None where there was none.
    """

    before: Verdict | None
    after: Verdict
    message: str
