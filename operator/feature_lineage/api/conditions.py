"""Condition types and reasons, and the one rule about time.

`lastTransitionTime` moves only when a status flips, so that "since when" can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from feature_lineage.api.meta import Condition


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


class ProjectReason(StrEnum):
    """Reasons of a FeatureStoreProject's conditions."""

    SUCCEEDED = "Succeeded"  # True, of every condition without a more telling reason
    OBSERVED = "Observed"  # True of Applied in mode Observe: somebody else applies
    PROGRESSING = "Progressing"
    SUSPENDED = "Suspended"
    DELETING = "Deleting"
    DELETION_BLOCKED = "DeletionBlocked"
    INVALID_MANIFEST = "InvalidManifest"
    AUTH_FAILED = "AuthFailed"
    HOST_NOT_ALLOWED = "HostNotAllowed"
    FORBIDDEN = "Forbidden"

    REF_NOT_FOUND = "RefNotFound"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a secret
    SECRET_FORBIDDEN = "SecretForbidden"  # noqa: S105 - a reason, not a secret
    SOURCE_UNREACHABLE = "SourceUnreachable"
    APPLIED_REVISION_GONE = "AppliedRevisionGone"
    SUBMODULES_UNSUPPORTED = "SubmodulesUnsupported"
    LOCAL_SOURCE_UNSUPPORTED = "LocalSourceUnsupported"

    PLANNED = "Planned"
    BLOCKED = "Blocked"
    ADOPTION_WOULD_DELETE = "AdoptionWouldDelete"
    GUARD_UNAVAILABLE = "GuardUnavailable"
    INVALID_REPO = "InvalidRepo"
    PROJECT_MISMATCH = "ProjectMismatch"
    PROJECT_OWNED_BY_OTHER = "ProjectOwnedByOther"
    EPHEMERAL_STORE = "EphemeralStore"
    REGISTRY_UNREADABLE = "RegistryUnreadable"
    REGISTRY_MOVED = "RegistryMoved"
    JOB_FAILED = "JobFailed"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    UNSCHEDULABLE = "Unschedulable"
    RUNNER_INCOMPATIBLE = "RunnerIncompatible"
    REPORT_TOO_LARGE = "ReportTooLarge"

    VIEWS_FAILING = "ViewsFailing"
    NEVER_RUN = "NeverRun"

    STALE = "Stale"
    NEVER_MATERIALIZED = "NeverMaterialized"
    NO_OBJECTIVE = "NoObjective"
    OBSERVED_TOO_SELDOM = "ObservedTooSeldom"

    EXPERIMENT_DELETED = "ExperimentDeleted"
    REQUEST_REJECTED = "RequestRejected"

    MLFLOW_VIEW_OLD = "MLflowViewOld"
    REGISTRY_SNAPSHOT_OLD = "RegistrySnapshotOld"
    MLFLOW_UNAVAILABLE = "MLflowUnavailable"


class ModelReason(StrEnum):
    """Reasons of a TrainedModel's conditions."""

    SUCCEEDED = "Succeeded"  # True, of every condition without a more telling reason
    PROGRESSING = "Progressing"
    MLFLOW_UNAVAILABLE = "MLflowUnavailable"

    MODEL_NOT_FOUND = "ModelNotFound"
    ALIAS_NOT_FOUND = "AliasNotFound"
    VERSION_NOT_FOUND = "VersionNotFound"
    PROJECT_NOT_READY = "ProjectNotReady"
    REF_NOT_PERMITTED = "RefNotPermitted"

    VERIFIED = "Verified"  # True of LineageVerified
    UNCHANGED = "Unchanged"  # True of LineageVerified, but only since first sight
    CHANGED = "Changed"
    BROKEN = "Broken"
    AMBIGUOUS = "Ambiguous"
    NO_FEAST_LINEAGE = "NoFeastLineage"
    SERVICE_MISMATCH = "ServiceMismatch"
    PROJECT_MISMATCH = "ProjectMismatch"
    REGISTRY_UNSEEN = "RegistryUnseen"

    OWNED_BY_OTHER = "OwnedByOther"
    DISABLED = "Disabled"
    TAG_TOO_LONG = "TagTooLong"
    REQUEST_REJECTED = "RequestRejected"
    AUTH_FAILED = "AuthFailed"
    HOST_NOT_ALLOWED = "HostNotAllowed"

    STALE = "Stale"
    NEVER_MATERIALIZED = "NeverMaterialized"
    NO_OBJECTIVE = "NoObjective"
    OBSERVED_TOO_SELDOM = "ObservedTooSeldom"


_P, _M = ProjectReason, ModelReason

_OF_A_JOB = frozenset(
    {
        *(_P.INVALID_REPO, _P.INVALID_MANIFEST, _P.PROJECT_MISMATCH, _P.EPHEMERAL_STORE),
        *(_P.REGISTRY_UNREADABLE, _P.SUBMODULES_UNSUPPORTED, _P.APPLIED_REVISION_GONE),
        *(_P.REF_NOT_FOUND, _P.AUTH_FAILED, _P.HOST_NOT_ALLOWED, _P.SOURCE_UNREACHABLE),
        *(_P.JOB_FAILED, _P.DEADLINE_EXCEEDED, _P.IMAGE_PULL_FAILED, _P.UNSCHEDULABLE),
        *(_P.RUNNER_INCOMPATIBLE, _P.REPORT_TOO_LARGE, _P.FORBIDDEN),
    }
)
"""Of a job that does not start, or ends before it came to its work."""

PROJECT_REASONS: Mapping[ProjectCondition, frozenset[ProjectReason]] = {
    ProjectCondition.SOURCE_READY: frozenset(
        {
            *(_P.REF_NOT_FOUND, _P.HOST_NOT_ALLOWED, _P.AUTH_FAILED, _P.SECRET_NOT_FOUND),
            *(_P.SECRET_FORBIDDEN, _P.SOURCE_UNREACHABLE, _P.LOCAL_SOURCE_UNSUPPORTED),
            *(_P.INVALID_REPO, _P.FORBIDDEN),
        }
    ),
    ProjectCondition.APPLIED: _OF_A_JOB
    | {
        *(_P.PROGRESSING, _P.PLANNED, _P.BLOCKED, _P.ADOPTION_WOULD_DELETE, _P.GUARD_UNAVAILABLE),
        *(_P.PROJECT_OWNED_BY_OTHER, _P.REGISTRY_MOVED, _P.SUSPENDED),
    },
    ProjectCondition.MATERIALIZED: _OF_A_JOB | {_P.VIEWS_FAILING, _P.NEVER_RUN, _P.SUSPENDED},
    ProjectCondition.FRESH: frozenset(
        {_P.STALE, _P.NEVER_MATERIALIZED, _P.NO_OBJECTIVE, _P.OBSERVED_TOO_SELDOM}
    ),
    ProjectCondition.FACTS_CURRENT: frozenset({_P.MLFLOW_VIEW_OLD, _P.REGISTRY_SNAPSHOT_OLD}),
    ProjectCondition.RECORDED: frozenset(
        {
            *(_P.PROGRESSING, _P.MLFLOW_UNAVAILABLE, _P.AUTH_FAILED, _P.HOST_NOT_ALLOWED),
            *(_P.EXPERIMENT_DELETED, _P.REQUEST_REJECTED),
        }
    ),
}
"""Which reasons a condition of a project has while it is not True."""

MODEL_REASONS: Mapping[ModelCondition, frozenset[ModelReason]] = {
    ModelCondition.RESOLVED: frozenset(
        {
            *(_M.MODEL_NOT_FOUND, _M.ALIAS_NOT_FOUND, _M.VERSION_NOT_FOUND),
            *(_M.MLFLOW_UNAVAILABLE, _M.PROJECT_NOT_READY, _M.REF_NOT_PERMITTED),
        }
    ),
    ModelCondition.LINEAGE_VERIFIED: frozenset(
        {
            *(_M.CHANGED, _M.BROKEN, _M.AMBIGUOUS, _M.NO_FEAST_LINEAGE, _M.SERVICE_MISMATCH),
            *(_M.PROJECT_MISMATCH, _M.REGISTRY_UNSEEN),
        }
    ),
    ModelCondition.TAGGED: frozenset(
        {
            *(_M.PROGRESSING, _M.OWNED_BY_OTHER, _M.DISABLED, _M.MLFLOW_UNAVAILABLE),
            *(_M.AUTH_FAILED, _M.HOST_NOT_ALLOWED, _M.TAG_TOO_LONG, _M.REQUEST_REJECTED),
        }
    ),
    ModelCondition.FEATURES_FRESH: frozenset(
        {_M.STALE, _M.NEVER_MATERIALIZED, _M.NO_OBJECTIVE, _M.OBSERVED_TOO_SELDOM}
    ),
}
"""Which reasons a condition of a model has while it is not True."""


def find_condition(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of this type, if there is one."""
    return next((condition for condition in conditions if condition.type == type_), None)


def set_condition(
    conditions: tuple[Condition, ...], new: Condition, now: datetime
) -> tuple[Condition, ...]:
    """`conditions` with `new` in the place of its type.

    `lastTransitionTime` becomes `now` only where the status flips or the type is new; whatever
    `new` carries there does not count. The order of the list stays, so that a pass without news
    changes nothing.
    """
    old = find_condition(conditions, new.type)
    flipped = old is None or old.status != new.status
    since = now if old is None or flipped else old.last_transition_time
    dated = new.model_copy(update={"last_transition_time": since.replace(microsecond=0)})
    if old is None:
        return (*conditions, dated)
    return tuple(dated if condition is old else condition for condition in conditions)


def remove_condition(conditions: tuple[Condition, ...], type_: str) -> tuple[Condition, ...]:
    """`conditions` without this type: for Reconciling and Stalled, which exist only while True."""
    return tuple(condition for condition in conditions if condition.type != type_)
