"""Condition types, the reasons of each, and how a condition replaces its predecessor.

`lastTransitionTime` changes only with the status, so it is the time since which the status holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from feature_lineage.api.meta import Condition
from feature_lineage.reasons import Reason


class ProjectCondition(StrEnum):
    """Condition types of a FeatureStoreProject. Reconciling and Stalled exist only while True."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    SOURCE_READY = "SourceReady"
    APPLIED = "Applied"
    MATERIALIZED = "Materialized"
    FRESH = "Fresh"
    FACTS_CURRENT = "FactsCurrent"
    RECORDED = "Recorded"


class ModelCondition(StrEnum):
    """Condition types of a TrainedModel. Reconciling and Stalled exist only while True."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    RESOLVED = "Resolved"
    LINEAGE_VERIFIED = "LineageVerified"
    TAGGED = "Tagged"
    FEATURES_FRESH = "FeaturesFresh"
    SERVING = "Serving"


_R = Reason

_OF_A_JOB = frozenset(
    {
        *(_R.INVALID_REPO, _R.INVALID_MANIFEST, _R.PROJECT_MISMATCH, _R.EPHEMERAL_STORE),
        *(_R.REGISTRY_UNREADABLE, _R.SUBMODULES_UNSUPPORTED, _R.APPLIED_REVISION_GONE),
        *(_R.REF_NOT_FOUND, _R.AUTH_FAILED, _R.HOST_NOT_ALLOWED, _R.SOURCE_UNREACHABLE),
        *(_R.JOB_FAILED, _R.DEADLINE_EXCEEDED, _R.IMAGE_PULL_FAILED, _R.UNSCHEDULABLE),
        *(_R.RUNNER_INCOMPATIBLE, _R.REPORT_TOO_LARGE, _R.FORBIDDEN),
    }
)
"""Reasons of a job that does not start, or that ends before its work starts."""

PROJECT_REASONS: Mapping[ProjectCondition, frozenset[Reason]] = {
    ProjectCondition.SOURCE_READY: frozenset(
        {
            *(_R.REF_NOT_FOUND, _R.HOST_NOT_ALLOWED, _R.AUTH_FAILED, _R.SECRET_NOT_FOUND),
            *(_R.SECRET_FORBIDDEN, _R.SOURCE_UNREACHABLE, _R.LOCAL_SOURCE_UNSUPPORTED),
            *(_R.INVALID_REPO, _R.FORBIDDEN),
        }
    ),
    ProjectCondition.APPLIED: _OF_A_JOB
    | {
        *(_R.PROGRESSING, _R.PLANNED, _R.BLOCKED, _R.ADOPTION_WOULD_DELETE, _R.GUARD_UNAVAILABLE),
        *(_R.PROJECT_OWNED_BY_OTHER, _R.REGISTRY_MOVED, _R.SUSPENDED, _R.REGISTRY_EMPTY),
        _R.REPO_EMPTIED,
    },
    ProjectCondition.MATERIALIZED: _OF_A_JOB
    | {*(_R.VIEWS_FAILING, _R.NEVER_RUN, _R.SUSPENDED, _R.PROJECT_OWNED_BY_OTHER)},
    ProjectCondition.FRESH: frozenset(
        {
            *(_R.STALE, _R.NEVER_MATERIALIZED, _R.NO_OBJECTIVE, _R.OBSERVED_TOO_SELDOM),
            *(_R.WATERMARK_IN_FUTURE, _R.NOT_SERVED, _R.NOT_IN_ONLINE_STORE),
        }
    ),
    ProjectCondition.FACTS_CURRENT: frozenset(
        {_R.MLFLOW_VIEW_OLD, _R.REGISTRY_SNAPSHOT_LOST, _R.REGISTRY_SNAPSHOT_OLD}
    ),
    ProjectCondition.RECORDED: frozenset(
        {
            *(_R.PROGRESSING, _R.MLFLOW_UNAVAILABLE, _R.AUTH_FAILED, _R.HOST_NOT_ALLOWED),
            *(_R.EXPERIMENT_DELETED, _R.REQUEST_REJECTED, _R.ACCESS_NOT_GRANTED),
        }
    ),
}
"""The reasons of each condition of a project while it is not True."""

MODEL_REASONS: Mapping[ModelCondition, frozenset[Reason]] = {
    ModelCondition.RESOLVED: frozenset(
        {
            *(_R.MODEL_NOT_FOUND, _R.ALIAS_NOT_FOUND, _R.VERSION_NOT_FOUND),
            *(_R.MLFLOW_UNAVAILABLE, _R.PROJECT_NOT_READY, _R.REF_NOT_PERMITTED),
            _R.PROJECT_NOT_FOUND,
        }
    ),
    ModelCondition.LINEAGE_VERIFIED: frozenset(
        {
            *(_R.CHANGED, _R.BROKEN, _R.AMBIGUOUS, _R.NO_FEAST_LINEAGE, _R.PROJECT_MISMATCH),
            *(_R.REGISTRY_UNSEEN, _R.BASELINE_LOST, _R.NOT_RESOLVED),
        }
    ),
    ModelCondition.TAGGED: frozenset(
        {
            *(_R.PROGRESSING, _R.OWNED_BY_OTHER, _R.DISABLED, _R.MLFLOW_UNAVAILABLE),
            *(_R.AUTH_FAILED, _R.HOST_NOT_ALLOWED, _R.TAG_TOO_LONG, _R.REQUEST_REJECTED),
            _R.ACCESS_NOT_GRANTED,
        }
    ),
    ModelCondition.FEATURES_FRESH: frozenset(
        {
            *(_R.STALE, _R.NEVER_MATERIALIZED, _R.NO_OBJECTIVE, _R.OBSERVED_TOO_SELDOM),
            *(_R.FEATURES_UNKNOWN, _R.WATERMARK_IN_FUTURE, _R.NOT_SERVED, _R.NOT_IN_ONLINE_STORE),
            _R.NOT_SERVED_ONLINE,
        }
    ),
    ModelCondition.SERVING: frozenset(
        {
            *(_R.SERVING_FAILS, _R.NOT_SERVED, _R.MOSTLY_NULL, _R.SKEWED, _R.NOT_PROBED),
            *(_R.PROBE_UNAVAILABLE, _R.NOT_SERVED_ONLINE, _R.SERVER_DIFFERS, _R.HOST_NOT_ALLOWED),
        }
    ),
}
"""The reasons of each condition of a model while it is not True."""


def reason_in(type_: ProjectCondition | ModelCondition, reason: str, otherwise: Reason) -> str:
    """Return the reason with which a condition shows a failure.

    Args:
        type_: type of the condition; not Ready, Reconciling or Stalled.
        reason: reason of the failure.
        otherwise: the reason if the condition cannot have that of the failure.
    """
    known = PROJECT_REASONS[type_] if isinstance(type_, ProjectCondition) else MODEL_REASONS[type_]
    return reason if reason in known else otherwise


def find_condition(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of this type, or None."""
    return next((condition for condition in conditions if condition.type == type_), None)


def set_condition(
    conditions: tuple[Condition, ...], new: Condition, now: datetime
) -> tuple[Condition, ...]:
    """Replace the condition of `new`'s type, or append `new`.

    `lastTransitionTime` becomes `now` if the status changes or the type is new; that of `new` is
    ignored. The order stays the same, so a reconcile without a change gives an equal list.
    """
    old = find_condition(conditions, new.type)
    flipped = old is None or old.status != new.status
    since = now if old is None or flipped else old.last_transition_time
    dated = new.model_copy(update={"last_transition_time": since.replace(microsecond=0)})
    if old is None:
        return (*conditions, dated)
    return tuple(dated if condition is old else condition for condition in conditions)


def remove_condition(conditions: tuple[Condition, ...], type_: str) -> tuple[Condition, ...]:
    """Return `conditions` without this type: Reconciling and Stalled exist only while True."""
    return tuple(condition for condition in conditions if condition.type != type_)
