"""May this commit be applied? An ordered chain of small named checks over one gathered value.

It runs in the job, where the desired registry is known, against a guard that came with it. Apart
from `plan` (the values), so that the job protocol can carry a plan without knowing how it is made.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api.annotations import ALLOW_BREAKING
from feature_lineage.features.diff import Change, ChangeClass, diff
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.impacts import blocking, impacts
from feature_lineage.operations.plan import (
    Plan,
    PlanVerdict,
    deletions,
    names_plan,
    plan_digest,
    unpruned,
)
from feature_lineage.operations.protection import Impact, is_stale
from feature_lineage.operations.protocol import ApplyRequest, Override

# What nobody's features can suffer from: something new, or tags, owner and description.
_HARMLESS: Final = frozenset({ChangeClass.CREATED, ChangeClass.UPDATED})


@dataclass(frozen=True)
class Question:
    """Everything the checks look at.

    Attributes:
        request: policy and permissions.
        now: when the plan is made.
        digest: identity of the plan.
        changes: what it does.
        impacts: whom it hurts.
        adoption_deletes: what the first apply to this registry would delete of others.
    """

    request: ApplyRequest
    now: datetime
    digest: str
    changes: tuple[Change, ...]
    impacts: tuple[Impact, ...]
    adoption_deletes: tuple[str, ...]

    def permits(self, override: Override | None) -> bool:
        return override is not None and names_plan(override.plan_digest, self.digest)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a plan may not go through.

    Attributes:
        reason: condition reason.
        overridden: a person let exactly this plan through.
    """

    reason: str
    overridden: bool


Check = Callable[[Question], Objection | None]


def stale_guard(question: Question) -> Objection | None:
    """Facts too old to clear anybody; no permission covers what nobody looked at."""
    request = question.request
    if request.protection != "Enforce" or request.guard is None:
        return None
    if is_stale(request.guard, timedelta(seconds=request.max_guard_age_seconds), question.now):
        return Objection("GuardUnavailable", overridden=False)
    return None


def adoption_deletes(question: Question) -> Objection | None:
    """A first apply takes over a registry; what somebody else put there is not ours to delete."""
    if not question.adoption_deletes:
        return None
    allowed = question.permits(question.request.allow_adoption)
    return Objection("AdoptionWouldDelete", overridden=allowed)


def breaks_protected_models(question: Question) -> Objection | None:
    """A promoted model would fail, lie, or run on something else than it was trained on."""
    request = question.request
    if request.protection != "Enforce" or not blocking(question.impacts, request.block_on):
        return None
    return Objection("Blocked", overridden=question.permits(request.allow_breaking))


def unknown_models_at_risk(question: Question) -> Objection | None:
    """What a model with unknown features uses may be exactly what changes."""
    request = question.request
    if request.protection != "Enforce" or request.on_unknown != "Block":
        return None
    if not _unknown(request) or all(change.change in _HARMLESS for change in question.changes):
        return None
    return Objection("Blocked", overridden=question.permits(request.allow_breaking))


CHECKS: Final[tuple[Check, ...]] = (
    # First: with old facts the answers of the others mean nothing.
    stale_guard,
    # Before protection: it concerns objects this resource never owned, in every protection mode.
    adoption_deletes,
    # What is known to hurt goes before what merely might.
    breaks_protected_models,
    # Last: a doubt, and only where the owner wants doubts to block.
    unknown_models_at_risk,
)


def make_plan(
    *,
    current: RegistrySnapshot,
    desired: RegistrySnapshot,
    request: ApplyRequest,
    now: datetime,
    registry_id: str,
    online_tables_dropped: tuple[str, ...],
) -> Plan:
    """Judge what applying `desired` would do.

    Args:
        current: the registry as it is; closures it does not know come from the request.
        desired: the registry as the repo wants it. Where the request does not prune, what it
            would delete stays, and the plan says so.
        request: guard, policy and permissions.
        now: aware.
        registry_id: of the registry that `current` is of.
        online_tables_dropped: feature views whose online table goes with this plan.
    """
    current = replace(current, closures={**request.closures, **current.closures})
    if not request.prune:
        desired = unpruned(current, desired)
    hurt = _impacts(request, current, desired)
    question = Question(
        request=request,
        now=now,
        digest=plan_digest(
            current, desired, hurt, _unknown(request) if request.on_unknown == "Block" else ()
        ),
        changes=tuple(sorted(diff(current, desired))),
        impacts=hurt,
        adoption_deletes=deletions(current, desired) if _adopts(request, registry_id) else (),
    )
    objections = [found for check in CHECKS if (found := check(question)) is not None]
    standing = [objection for objection in objections if not objection.overridden]
    return Plan(
        digest=question.digest,
        verdict=_verdict(standing, let_through=bool(objections) or bool(hurt)),
        changes=question.changes,
        impacts=hurt,
        online_tables_dropped=tuple(sorted(online_tables_dropped)),
        unknown_models=_unknown(request),
        adoption_deletes=question.adoption_deletes,
        reason=standing[0].reason if standing else "",
        let_through=_let_through(question) if hurt and not standing else "",
    )


def _adopts(request: ApplyRequest, registry_id: str) -> bool:
    """Whether what this registry holds was put there by others, as far as the resource knows."""
    return request.adopted is not None and request.adopted != registry_id


def _verdict(standing: list[Objection], *, let_through: bool) -> PlanVerdict:
    if standing:
        return PlanVerdict.BLOCKED
    return PlanVerdict.ALLOWED if let_through else PlanVerdict.CLEAN


def _let_through(question: Question) -> str:
    request, permission = question.request, question.request.allow_breaking
    if request.protection != "Enforce":
        return f"apply.protection.mode: {request.protection} lets it through"
    if permission is not None and breaks_protected_models(question) is not None:
        return f"{ALLOW_BREAKING} lets it through: {permission.why.rstrip(' .')}"
    return f"apply.protection.blockOn: [{', '.join(request.block_on)}] lets it through"


def _impacts(
    request: ApplyRequest, current: RegistrySnapshot, desired: RegistrySnapshot
) -> tuple[Impact, ...]:
    if request.guard is None or request.protection == "Off":
        return ()
    return impacts(request.guard.models, current, desired)


def _unknown(request: ApplyRequest) -> tuple[str, ...]:
    if request.guard is None or request.protection == "Off":
        return ()
    return tuple(sorted(request.guard.unknown))
