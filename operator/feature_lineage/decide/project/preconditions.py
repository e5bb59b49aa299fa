"""The preconditions of a job, for the first attempt of an operation and for later ones.

They check the facts about models, the permissions by annotation, and `spec.suspend`.
"""

from feature_lineage.api.annotations import override
from feature_lineage.api.enums import (
    OnGuardUnavailable,
    OperationKind,
    OperationPhase,
    OverrideKind,
    ProtectionMode,
)
from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.decide.observed import Failure, ObservedProject
from feature_lineage.errors import InvalidManifest
from feature_lineage.operations.kinds import KINDS
from feature_lineage.reasons import Reason


def blocked_by(observed: ObservedProject, kind: OperationKind) -> Failure | None:
    """Why no job of this kind may start now; None if it may start."""
    if observed.resource.spec.suspend and not observed.deleted:
        return Failure(Reason.SUSPENDED, "spec.suspend is true; set it to false to continue")
    source = observed.source
    if isinstance(source, Failure) and (
        KINDS[kind].plans
        # Without the text that replaces the file of the repo, a job would use another registry.
        or observed.resource.spec.feature_store_yaml is not None
        # Jobs use the address in the current spec, and would send the credential to that address.
        or source.reason == Reason.HOST_NOT_ALLOWED
    ):
        return source
    if KINDS[kind].plans or kind is OperationKind.DELETE:
        return permission_failure(observed) or guard_failure(observed)
    return None


def permission_failure(observed: ObservedProject) -> Failure | None:
    """The failure for a permission without a digest or a reason; None if there is none."""
    try:
        for kind in OverrideKind:
            override(observed.resource.metadata.annotations, kind)
    except InvalidManifest as error:
        return Failure.of(error)
    return None


def guard_failure(observed: ObservedProject) -> Failure | None:
    """Why an apply may not be planned without newer facts about models; None if it may be."""
    protection = observed.resource.spec.apply.protection
    models = observed.models
    if models is None or protection.mode is not ProtectionMode.ENFORCE:
        return None
    if models.read_at is None or models.guard is None:
        why = models.failure.message if models.failure else "MLflow was not read yet"
        return Failure(Reason.GUARD_UNAVAILABLE, f"no facts about models: {why}")
    if models.failure is None:
        return None
    if protection.on_guard_unavailable is OnGuardUnavailable.BLOCK:
        return Failure(
            Reason.GUARD_UNAVAILABLE,
            f"the facts about models are of {models.read_at:%Y-%m-%dT%H:%M:%SZ} and cannot be "
            f"renewed: {models.failure.message}",
        )
    if observed.now - models.read_at > protection.max_guard_age:
        return Failure(
            Reason.GUARD_UNAVAILABLE,
            f"the facts about models of {models.read_at:%Y-%m-%dT%H:%M:%SZ} are older than "
            f"maxGuardAge {protection.max_guard_age}: {models.failure.message}",
        )
    return None


def waiting_reason(observed: ObservedProject, operation: OperationStatus | None) -> Failure | None:
    """Why the operation in flight does not continue: the next attempt, or a job that waits."""
    if operation is None:
        return None
    job = observed.job_of(operation)
    if operation.phase is OperationPhase.BACKING_OFF and operation.not_before is not None:
        message = (
            f"{operation.message}; attempt {operation.attempt} starts at "
            f"{operation.not_before:%Y-%m-%dT%H:%M:%SZ}"
        )
        return Failure(operation.reason or Reason.JOB_FAILED, message)
    if job is not None and job.running and job.reason:
        return Failure(job.reason, f"{operation.id} waits: {job.message}")
    outage = observed.models.failure if observed.models else None
    if job is not None and job.guard_question and outage is not None:
        waits = "waits for newer facts about the protected models"
        return Failure(Reason.GUARD_UNAVAILABLE, f"{operation.id} {waits}: {outage.message}")
    return None
