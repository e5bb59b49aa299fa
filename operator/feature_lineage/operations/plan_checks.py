"""Makes a plan: an ordered chain of named checks over one `PolicyInput`.

The checks run in the job, where the desired registry is known, with the guard from the request.
`plan` holds the values separately, so that the job protocol does not depend on the checks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api.annotations import ALLOW_ADOPTION, ALLOW_BREAKING
from feature_lineage.features.diff import Change, ChangeClass, diff
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.impacts import blocking, impacts, with_serving
from feature_lineage.operations.plan import (
    Plan,
    PlanVerdict,
    deletions,
    names_plan,
    plan_digest,
    unpruned,
)
from feature_lineage.operations.protected_services import guarded_services
from feature_lineage.operations.protection import (
    GuardedModel,
    Impact,
    is_stale,
    protected_versions,
)
from feature_lineage.operations.protocol import ApplyRequest, PlanOverride
from feature_lineage.operations.serving import Answers, Question
from feature_lineage.reasons import Reason

# Cannot affect a model: new objects, and changed tags, owner or description.
_HARMLESS: Final = frozenset({ChangeClass.CREATED, ChangeClass.UPDATED})


@dataclass(frozen=True)
class PolicyInput:
    """The input of the checks.

    Attributes:
        request: policy and permissions.
        now: when the plan is made.
        digest: identity of the plan.
        changes: what the plan does.
        impacts: protected versions and services with new problems.
        adoption_deletes: objects of others that the first apply to this registry would delete.
        takes_over: the apply would change a project that another resource applied.
        named_by: protected versions that name the project, if the registry has no view of it and
            the repo has some.
        empties: the repo has no view, and the apply would delete all views of the registry.
    """

    request: ApplyRequest
    now: datetime
    digest: str
    changes: tuple[Change, ...]
    impacts: tuple[Impact, ...]
    adoption_deletes: tuple[str, ...]
    takes_over: bool
    named_by: tuple[str, ...]
    empties: bool

    def permits(self, override: PlanOverride | None) -> bool:
        return override is not None and names_plan(override.plan_digest, self.digest)


@dataclass(frozen=True, slots=True)
class Violation:
    """A policy that the plan violates.

    Attributes:
        reason: condition reason.
        overridden: a user allowed exactly this plan.
    """

    reason: Reason
    overridden: bool


Check = Callable[[PolicyInput], Violation | None]


def stale_guard(policy_input: PolicyInput) -> Violation | None:
    """The guard is too old; no override applies."""
    request = policy_input.request
    if request.protection != "Enforce" or request.guard is None:
        return None
    if is_stale(request.guard, timedelta(seconds=request.max_guard_age_seconds), policy_input.now):
        return Violation(Reason.GUARD_UNAVAILABLE, overridden=False)
    return None


def registry_empty(policy_input: PolicyInput) -> Violation | None:
    """Nothing is known of the registry in which the protected models were trained."""
    if not policy_input.named_by:
        return None
    allowed = policy_input.permits(policy_input.request.allow_adoption)
    return Violation(Reason.REGISTRY_EMPTY, overridden=allowed)


def applied_by_other(policy_input: PolicyInput) -> Violation | None:
    """Another resource applied the project to this registry."""
    if not policy_input.takes_over:
        return None
    allowed = policy_input.permits(policy_input.request.allow_adoption)
    return Violation(Reason.PROJECT_OWNED_BY_OTHER, overridden=allowed)


def adoption_deletes(policy_input: PolicyInput) -> Violation | None:
    """The first apply to a registry would delete objects that others applied."""
    if not policy_input.adoption_deletes:
        return None
    allowed = policy_input.permits(policy_input.request.allow_adoption)
    return Violation(Reason.ADOPTION_WOULD_DELETE, overridden=allowed)


def repo_emptied(policy_input: PolicyInput) -> Violation | None:
    """A repo without any view is more often a wrong path or branch than a wish.

    A permission to break models is for this very plan, so it needs no second one.
    """
    if not policy_input.empties or breaks_protected_models(policy_input) is not None:
        return None
    allowed = policy_input.permits(policy_input.request.allow_adoption)
    return Violation(Reason.REPO_EMPTIED, overridden=allowed)


def breaks_protected_models(policy_input: PolicyInput) -> Violation | None:
    """A protected model or service would fail, or would get other features than before."""
    request = policy_input.request
    if request.protection != "Enforce" or not blocking(policy_input.impacts, request.block_on):
        return None
    return Violation(Reason.BLOCKED, overridden=policy_input.permits(request.allow_breaking))


def unknown_models_at_risk(policy_input: PolicyInput) -> Violation | None:
    """The plan may change a feature of a model whose features are unknown."""
    request = policy_input.request
    if request.protection != "Enforce" or request.on_unknown != "Block":
        return None
    if not _unknown(request) or all(change.change in _HARMLESS for change in policy_input.changes):
        return None
    return Violation(Reason.BLOCKED, overridden=policy_input.permits(request.allow_breaking))


CHECKS: Final[tuple[Check, ...]] = (
    # First: the other checks depend on a current guard.
    stale_guard,
    # Without the registry of the models, the other checks find nothing.
    registry_empty,
    # Before protection: these apply in every protection mode.
    applied_by_other,
    adoption_deletes,
    repo_emptied,
    # Known impacts come before possible ones.
    breaks_protected_models,
    # Last, and only if onUnknown is Block.
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
    other_owner: str | None = None,
    answers: Mapping[Question, Answers] | None = None,
    services: tuple[str, ...] = (),
) -> Plan:
    """Make the plan for applying `desired`.

    Args:
        current: the registry as it is; missing closures come from the request.
        desired: the registry as the repo declares it. Without pruning, objects that it
            would delete are kept, also in the plan.
        request: guard, policy and permissions.
        now: aware.
        registry_id: of the registry that `current` is of.
        online_tables_dropped: feature views whose online table this plan drops.
        other_owner: the owner record of another resource that applied the project to this
            registry, "" if its record is lost; None if the project is free, or this resource's own.
        answers: of the dry retrieval; None if nothing was retrieved.
        services: names of the feature services of `current` that are protected without a model.
    """
    current = replace(current, closures={**request.closures, **current.closures})
    if not request.prune:
        desired = unpruned(current, desired)
    guarded = (*guarded_models(request), *guarded_services(current, services))
    impacted = with_serving(guarded, impacts(guarded, current, desired), answers or {})
    if request.adopted is None:
        other_owner = None
    takes_over = other_owner is not None
    changes = tuple(sorted(diff(current, desired)))
    policy_input = PolicyInput(
        request=request,
        now=now,
        digest=plan_digest(
            current,
            desired,
            impacted,
            _unknown(request) if request.on_unknown == "Block" else (),
            other_owner,
        ),
        changes=changes,
        impacts=impacted,
        adoption_deletes=deletions(current, desired)
        if takes_over or _adopts(request, registry_id)
        else (),
        takes_over=takes_over,
        named_by=_named_by(request) if desired.has_views and not current.has_views else (),
        empties=current.has_views and not desired.has_views,
    )
    violations = [found for check in CHECKS if (found := check(policy_input)) is not None]
    not_overridden = [violation for violation in violations if not violation.overridden]
    return Plan(
        digest=policy_input.digest,
        verdict=_verdict(not_overridden, let_through=bool(violations) or bool(impacted)),
        changes=policy_input.changes,
        impacts=impacted,
        online_tables_dropped=tuple(sorted(online_tables_dropped)),
        unknown_models=_unknown(request),
        adoption_deletes=policy_input.adoption_deletes,
        reason=not_overridden[0].reason if not_overridden else "",
        let_through=""
        if not_overridden or not (violations or impacted)
        else _why_allowed(policy_input),
        named_by=policy_input.named_by,
        emptied=bool(policy_input.named_by) and request.adopted == registry_id,
        only_unknown_block=bool(not_overridden)
        and not_overridden[0].reason is Reason.BLOCKED
        and breaks_protected_models(policy_input) is None,
    )


def _adopts(request: ApplyRequest, registry_id: str) -> bool:
    """Whether the resource has not applied to this registry before."""
    return request.adopted is not None and request.adopted != registry_id


def _named_by(request: ApplyRequest) -> tuple[str, ...]:
    if request.guard is None or request.protection == "Off":
        return ()
    return protected_versions(request.guard)


def _verdict(not_overridden: list[Violation], *, let_through: bool) -> PlanVerdict:
    if not_overridden:
        return PlanVerdict.BLOCKED
    return PlanVerdict.ALLOWED if let_through else PlanVerdict.CLEAN


def _why_allowed(policy_input: PolicyInput) -> str:
    request = policy_input.request
    breaking, adoption = request.allow_breaking, request.allow_adoption
    if not policy_input.impacts:
        # Nothing but a permission allows a plan without impacts.
        adopts = adoption is not None and policy_input.permits(adoption)
        name = ALLOW_ADOPTION if adopts else ALLOW_BREAKING
        given = adoption if adopts else breaking
        return f"{name} permits the change: {given.why.rstrip(' .')}" if given else ""
    if request.protection != "Enforce":
        return f"apply.protection.mode: {request.protection} permits the change"
    if breaking is not None and breaks_protected_models(policy_input) is not None:
        return f"{ALLOW_BREAKING} permits the change: {breaking.why.rstrip(' .')}"
    return f"apply.protection.blockOn: [{', '.join(request.block_on)}] permits the change"


def guarded_models(request: ApplyRequest) -> tuple[GuardedModel, ...]:
    """The protected versions with which the job compares."""
    if request.guard is None or request.protection == "Off":
        return ()
    return request.guard.models


def _unknown(request: ApplyRequest) -> tuple[str, ...]:
    if request.guard is None or request.protection == "Off":
        return ()
    return tuple(sorted(request.guard.unknown))
