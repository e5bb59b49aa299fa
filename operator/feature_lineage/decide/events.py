"""Domain events: what happened to a resource, as typed values that a decision carries.

The sinks in `reconcile.sinks` turn them into Kubernetes Events and log lines.
"""

from dataclasses import dataclass

from feature_lineage.api.enums import OperationKind, OverrideKind, Result, Verdict
from feature_lineage.decide.facts import Key


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A domain event about one resource.

    Attributes:
        key: the resource.
    """

    key: Key


@dataclass(frozen=True, slots=True)
class OperationEvent(DomainEvent):
    """A domain event about an operation of a project.

    Attributes:
        operation: id of the operation.
        kind: kind of the operation.
    """

    operation: str
    kind: OperationKind


@dataclass(frozen=True, slots=True)
class OperationStarted(OperationEvent):
    """An operation was decided on; its first job starts now.

    Attributes:
        revision: revision of the operation; "" if it needs none.
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
    """An operation has ended, and is on the list of operations.

    Attributes:
        attempts: number of attempts.
        reason: condition reason; "" if it succeeded.
        superseded: another operation replaced it before its next attempt.
    """

    result: Result
    attempts: int
    reason: str
    message: str
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class OperationWithdrawn(OperationEvent):
    """An operation left the status without a result: not needed now, or started again later."""

    reason: str


@dataclass(frozen=True, slots=True)
class PlanBlocked(OperationEvent):
    """Protection or adoption stopped a plan.

    Attributes:
        plan: the plan digest that a permission has to name.
        impacts: number of model versions and services that the plan would affect.
    """

    revision: str
    plan: str
    impacts: int
    reason: str


@dataclass(frozen=True, slots=True)
class PermissionUsed(OperationEvent):
    """An annotation permitted an operation.

    Attributes:
        why: the reason given in the annotation.
    """

    permission: OverrideKind
    why: str


@dataclass(frozen=True, slots=True)
class ModelsHurt(OperationEvent):
    """An apply changed features on which protected models were trained."""

    message: str


@dataclass(frozen=True, slots=True)
class JobWarned(OperationEvent):
    """The report of a job contains a warning."""

    message: str


@dataclass(frozen=True, slots=True)
class SpecRefused(DomainEvent):
    """The spec or an annotation requests something that is not possible."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class AccessLost(DomainEvent):
    """A person has to repair a Secret, an address or a name before the resource continues."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class VersionLinked(DomainEvent):
    """A TrainedModel resolves to another version than before.

    Attributes:
        model: registered model.
        service: feature service of the version; "" if it is not known.
    """

    model: str
    version: str
    service: str


@dataclass(frozen=True, slots=True)
class VerdictChanged(DomainEvent):
    """The verdict on a model's features has changed.

    Attributes:
        before: the verdict before; None if there was none.
    """

    before: Verdict | None
    after: Verdict
    message: str
