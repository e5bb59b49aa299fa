"""The conditions of a TrainedModel: one small function each."""

from typing import Any, Final

from feature_lineage.api.conditions import ModelCondition as C
from feature_lineage.api.enums import (
    ReadyRequirement,
    TagsMode,
    Verdict,
)
from feature_lineage.api.meta import Condition
from feature_lineage.api.model_status import (
    TrainedModelStatus,
)
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.decide.model.requirements import requirements
from feature_lineage.decide.model.serving import not_serving, set_serving
from feature_lineage.decide.model.status import not_served_any_more
from feature_lineage.decide.observed import Failure, ObservedModel
from feature_lineage.decide.project.suspects import end_of_left_state
from feature_lineage.decide.project.views import objectives
from feature_lineage.models.problems import ProblemKind
from feature_lineage.reasons import Reason

_MESSAGES: Final = {
    Reason.NOT_SERVED: "feature view {}: Feast does not serve it, because a job died while it was "
    "materialized, or another tool materializes it; {}",
    Reason.NOT_IN_ONLINE_STORE: "the rows of feature view {} were written to another online store, "
    "or under other join keys; the next materialization by a schedule writes all of them again",
    Reason.WATERMARK_IN_FUTURE: "feature view {} was materialized until a time after now, which "
    "says nothing about the rows since then; materialize it again, as a schedule does",
}
"""Reasons of FeaturesFresh of which the times in the status say nothing."""
_LOST: Final = {
    ProblemKind.NOT_ONLINE: "feature view {} is not online any more: nothing writes its rows in "
    "the online store, so what is served stays as it is; set online=True again and apply",
    ProblemKind.VIEW_DISABLED: "feature view {} is disabled: Feast neither serves nor materializes "
    "it; enable it again",
}
"""By what happened to a view since the training."""
_BESIDES: Final = (Reason.NOT_SERVED_ONLINE, Reason.SERVICE_MISMATCH)
"""What is said beside a good verdict, and is no reason to doubt it."""
READY_VERDICTS: Final = frozenset({Verdict.VERIFIED, Verdict.UNCHANGED, Verdict.CHANGED})


def conditions_of(
    observed: ObservedModel,
    status: TrainedModelStatus,
    problem: Failure | None,
    writing: bool,
) -> Any:
    resource = observed.resource
    conditions = ConditionSet(status.conditions, observed.now, resource.metadata.generation or None)
    if problem is None:
        assert observed.linked is not None
        version = observed.linked.version
        conditions.true(C.RESOLVED, message=f"{version.name} version {version.version}")
    elif problem.outage:
        conditions.unknown(C.RESOLVED, problem.reason, problem.message)
    else:
        conditions.false(C.RESOLVED, problem.reason, problem.message)
    _lineage_condition(observed, conditions, problem)
    _tagged_condition(observed, conditions, problem, writing)
    _fresh_condition(observed, status, conditions)
    set_serving(observed, conditions)
    _ready(observed, status, conditions, problem)
    return conditions.values


def _lineage_condition(
    observed: ObservedModel, conditions: ConditionSet, problem: Failure | None
) -> None:
    judgement = observed.linked.judgement if observed.linked else None
    if judgement is None:
        if problem is None or not problem.outage or conditions.get(C.LINEAGE_VERIFIED) is None:
            reason = Reason.NOT_RESOLVED if problem else Reason.REGISTRY_UNSEEN
            message = problem.message if problem else "the registry has not been read yet"
            conditions.unknown(C.LINEAGE_VERIFIED, reason, message)
        return
    verdict = judgement.verdict
    good = verdict in (Verdict.VERIFIED, Verdict.UNCHANGED)
    if good and judgement.reason in (str(verdict), *_BESIDES):
        conditions.true(C.LINEAGE_VERIFIED, judgement.reason, judgement.message)
    elif verdict is Verdict.UNKNOWN:
        conditions.unknown(C.LINEAGE_VERIFIED, judgement.reason, judgement.message)
    else:
        conditions.false(C.LINEAGE_VERIFIED, judgement.reason, judgement.message)


def _older_model(observed: ObservedModel) -> str:
    """The older resource; one of another namespace is not named."""
    own = f"{observed.resource.metadata.namespace}/"
    near = next((name for name in observed.older_owners if name.startswith(own)), None)
    if near is None:
        return "an older TrainedModel of another namespace"
    return f"the older TrainedModel {near.removeprefix(own)}"


def _tagged_condition(
    observed: ObservedModel, conditions: ConditionSet, problem: Failure | None, writing: bool
) -> None:
    spec = observed.resource.spec
    if spec.tags.mode is TagsMode.OFF or spec.suspend:
        conditions.false(C.TAGGED, Reason.DISABLED, "spec.tags.mode is Off or spec.suspend is true")
    elif observed.older_owners:
        conditions.false(
            C.TAGGED,
            Reason.OWNED_BY_OTHER,
            f"{_older_model(observed)} writes the tags of this version",
        )
    elif observed.failure is not None:
        conditions.unknown(C.TAGGED, Reason.MLFLOW_UNAVAILABLE, observed.failure.message)
    elif problem is not None:
        conditions.false(C.TAGGED, Reason.PROGRESSING, "there is no version to tag")
    elif not writing:
        conditions.true(C.TAGGED)
    elif conditions.get(C.TAGGED) is None:
        conditions.false(C.TAGGED, Reason.PROGRESSING, "tags are being written")
    # Otherwise the result of the last attempt stays until this attempt ends.


def _has_objective(observed: ObservedModel) -> bool:
    """Whether the model or its project sets a maxAge."""
    own, project = observed.resource.spec.freshness, observed.project
    if own is not None and own.max_age is not None:
        return True
    return project is not None and any(objectives(project.spec))


def _fresh_condition(
    observed: ObservedModel, status: TrainedModelStatus, conditions: ConditionSet
) -> None:
    freshness, lost = status.freshness, not_served_any_more(observed.linked)
    if lost is not None:
        conditions.false(C.FEATURES_FRESH, Reason.NOT_SERVED, _LOST[lost.kind].format(lost.feature))
    elif freshness is not None and freshness.reason == Reason.NOT_SERVED_ONLINE:
        conditions.unknown(
            C.FEATURES_FRESH,
            Reason.NOT_SERVED_ONLINE,
            f"feature view {freshness.oldest_view} is not online: Feast serves it offline only, "
            "so no row of it can be stale",
        )
    elif freshness is not None and freshness.reason in _MESSAGES:
        end = end_of_left_state(observed.project.spec) if observed.project is not None else ""
        message = _MESSAGES[Reason(freshness.reason)].format(freshness.oldest_view, end)
        conditions.false(C.FEATURES_FRESH, freshness.reason, message)
    elif (freshness is None or freshness.max_age is None) and not _has_objective(observed):
        conditions.unknown(
            C.FEATURES_FRESH,
            Reason.NO_OBJECTIVE,
            "neither the project nor this model sets a maxAge",
        )
    elif freshness is None or freshness.reason == Reason.FEATURES_UNKNOWN:
        conditions.unknown(
            C.FEATURES_FRESH,
            Reason.FEATURES_UNKNOWN,
            "which views serve this model is not known: see LineageVerified",
        )
    elif freshness.max_age is None:
        conditions.unknown(
            C.FEATURES_FRESH,
            Reason.NO_OBJECTIVE,
            f"feature view {freshness.oldest_view} has no maxAge"
            if freshness.oldest_view
            else "no view of this model is materialized: labels, pushed rows and disabled views "
            "have no maxAge, nor has what is computed from the request",
        )
    elif freshness.fresh:
        conditions.true(C.FEATURES_FRESH)
    elif freshness.fresh is None:
        conditions.unknown(
            C.FEATURES_FRESH,
            Reason.OBSERVED_TOO_SELDOM,
            "the registry was read too long ago to decide",
        )
    elif freshness.materialized_until is None:
        conditions.false(
            C.FEATURES_FRESH,
            Reason.NEVER_MATERIALIZED,
            f"feature view {freshness.oldest_view} was never materialized",
        )
    else:
        conditions.false(
            C.FEATURES_FRESH,
            Reason.STALE,
            f"feature view {freshness.oldest_view} is materialized until "
            f"{freshness.materialized_until:%Y-%m-%dT%H:%M:%SZ}; maxAge is {freshness.max_age}",
        )


def _not_serving(
    observed: ObservedModel, status: TrainedModelStatus, served: Condition | None
) -> Failure | None:
    """As `not_serving`; a retrieval of which nothing can be judged is enough without a spec."""
    default = observed.resource.spec.ready_requires is None
    retrieved = status.serving is not None and status.serving.served
    nothing_judged = served is not None and served.reason == Reason.NOT_PROBED
    return None if default and retrieved and nothing_judged else not_serving(served)


def _ready(
    observed: ObservedModel,
    status: TrainedModelStatus,
    conditions: ConditionSet,
    problem: Failure | None,
) -> None:
    requires = requirements(observed, status)
    resolved, lineage = conditions.get(C.RESOLVED), conditions.get(C.LINEAGE_VERIFIED)
    fresh, served = conditions.get(C.FEATURES_FRESH), conditions.get(C.SERVING)
    assert resolved is not None
    assert lineage is not None
    assert fresh is not None
    # During an outage the last facts count: a resolved model does not become Reconciling.
    unresolved = problem if not (problem and problem.outage and status.resolved) else None
    if unresolved is not None:
        conditions.false(C.READY, unresolved.reason, unresolved.message)
    elif ReadyRequirement.LINEAGE in requires and (
        status.lineage is None or status.lineage.verdict not in READY_VERDICTS
    ):
        conditions.false(C.READY, lineage.reason, lineage.message)
    elif ReadyRequirement.FRESHNESS in requires and fresh.status == "False":
        conditions.false(C.READY, fresh.reason, fresh.message)
    elif (
        ReadyRequirement.SERVING in requires
        and (lacking := _not_serving(observed, status, served)) is not None
    ):
        conditions.false(C.READY, lacking.reason, lacking.message)
        unresolved = lacking if lacking.reason == Reason.NOT_PROBED else None
    else:
        known = status.lineage if ReadyRequirement.LINEAGE in requires else None
        conditions.true(C.READY, str(known.verdict) if known else Reason.SUCCEEDED)
    waiting = unresolved is not None and not unresolved.terminal
    conditions.only_while(
        C.RECONCILING,
        waiting,
        unresolved.reason if unresolved else "",
        unresolved.message if unresolved else "",
    )
    broken = status.lineage is not None and status.lineage.verdict is Verdict.BROKEN
    stalled = broken and ReadyRequirement.LINEAGE in requires
    conditions.only_while(C.STALLED, stalled, Reason.BROKEN, lineage.message)
