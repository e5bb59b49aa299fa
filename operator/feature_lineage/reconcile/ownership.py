"""What must be settled before anything is planned: whose project it is, and what models say."""

from feature_lineage.api.enums import OnGuardUnavailable, ProtectionMode
from feature_lineage.reconcile.values import Failure, ObservedProject


def guard_failure(observed: ObservedProject) -> Failure | None:
    """Why no apply may be planned for want of facts about models; None when there are enough."""
    protection = observed.resource.spec.apply.protection
    models = observed.models
    if models is None or protection.mode is not ProtectionMode.ENFORCE:
        return None
    if models.read_at is None or models.guard is None:
        why = models.failure.message if models.failure else "MLflow was not read yet"
        return Failure("GuardUnavailable", f"no facts about models: {why}")
    if models.failure is None:
        return None
    if protection.on_guard_unavailable is OnGuardUnavailable.BLOCK:
        return Failure(
            "GuardUnavailable",
            f"the facts about models are of {models.read_at:%Y-%m-%dT%H:%M:%SZ} and cannot be "
            f"renewed: {models.failure.message}",
        )
    if observed.now - models.read_at > protection.max_guard_age:
        return Failure(
            "GuardUnavailable",
            f"the facts about models of {models.read_at:%Y-%m-%dT%H:%M:%SZ} are older than "
            f"maxGuardAge {protection.max_guard_age}: {models.failure.message}",
        )
    return None


def owner_failure(observed: ObservedProject) -> Failure | None:
    """An older resource for the same project goes first, until its registry is known to differ."""
    for elder in observed.elders:
        if not elder.registry_id and not elder.settled:
            return Failure("Progressing", f"waits until {elder.key} has named its registry")
    return None
