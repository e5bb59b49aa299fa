"""Every reason of a condition, an Event or an error, and whether it is terminal.

A reason is CamelCase text in a status, a report or a log. A job may report any other text: such a
reason is shown as it is, and is not terminal. `api.conditions` lists the reasons of each condition.
"""

from enum import StrEnum
from typing import Final, Self

TERMINAL: Final = True


class Reason(StrEnum):
    """One reason; its comment explains its meaning.

    Attributes:
        terminal: only a change of the spec, the source or an annotation can help. A job that
            reports such a reason is not retried, a project that has it in `Applied` is `Stalled`,
            and only a `TerminalError` has it.
    """

    terminal: bool

    def __new__(cls, value: str, terminal: bool = False) -> Self:
        reason = str.__new__(cls, value)
        reason._value_ = value
        reason.terminal = terminal
        return reason

    # Of any condition
    SUCCEEDED = "Succeeded"  # the condition is True
    PROGRESSING = "Progressing"  # work on it is in progress, or waits
    SUSPENDED = "Suspended"  # spec.suspend is true
    INVALID_MANIFEST = "InvalidManifest", TERMINAL  # a field or an annotation is not valid

    # Of Ready, when the resource is deleted
    DELETING = "Deleting"  # its Feast objects are being deleted
    DELETION_BLOCKED = "DeletionBlocked"  # its Feast objects could not be deleted

    # Access to a Git server, an MLflow server or the API server
    AUTH_FAILED = "AuthFailed"  # a server refuses the credential, or the client the server's
    FORBIDDEN = "Forbidden"  # the API server denies a request of the operator
    HOST_NOT_ALLOWED = "HostNotAllowed", TERMINAL  # the address or host name may not be used

    # Of SourceReady, and of a job that fetches the source
    REF_NOT_FOUND = "RefNotFound"  # the repository, ref, folder or ConfigMap does not exist
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - the Secret or its key does not exist
    SECRET_FORBIDDEN = "SecretForbidden"  # noqa: S105 - the operator may not read the Secret
    SOURCE_UNREACHABLE = "SourceUnreachable"  # the server of the source does not answer
    APPLIED_REVISION_GONE = "AppliedRevisionGone"  # the server no longer has the commit
    SUBMODULES_UNSUPPORTED = "SubmodulesUnsupported", TERMINAL  # the commit has submodules
    LOCAL_SOURCE_UNSUPPORTED = "LocalSourceUnsupported"  # a cluster has no source.local

    # Of Applied
    OBSERVED = "Observed"  # in mode Observe, the registry was read
    PLANNED = "Planned"  # in mode PlanOnly, the change was planned and not applied
    BLOCKED = "Blocked", TERMINAL  # the change would break a protected model
    ADOPTION_WOULD_DELETE = "AdoptionWouldDelete", TERMINAL  # the first apply would delete objects
    REGISTRY_EMPTY = "RegistryEmpty", TERMINAL  # it has no view; protected models name the project
    REPO_EMPTIED = "RepoEmptied", TERMINAL  # the repo has no view; the registry has some
    GUARD_UNAVAILABLE = "GuardUnavailable"  # the facts about protected models are too old
    PROJECT_OWNED_BY_OTHER = "ProjectOwnedByOther", TERMINAL  # another resource applied it
    REGISTRY_MOVED = "RegistryMoved"  # another writer changed the registry during the job

    # Of a job: Applied or Materialized
    INVALID_REPO = "InvalidRepo", TERMINAL  # the repo's code or feature_store.yaml has an error
    PROJECT_MISMATCH = "ProjectMismatch", TERMINAL  # it names another Feast project
    EPHEMERAL_STORE = "EphemeralStore", TERMINAL  # a store is on the job's own disk
    REGISTRY_UNREADABLE = "RegistryUnreadable"  # the registry cannot be read
    JOB_FAILED = "JobFailed"  # the job crashed, was killed or could not start
    DEADLINE_EXCEEDED = "DeadlineExceeded"  # the job took longer than its timeout
    INTERRUPTED = "Interrupted"  # the job's process was stopped; the attempt does not count
    IMAGE_PULL_FAILED = "ImagePullFailed"  # the runner's image cannot be pulled
    UNSCHEDULABLE = "Unschedulable"  # no node accepts the job's pod
    RUNNER_INCOMPATIBLE = "RunnerIncompatible"  # the job's request or report does not parse
    REPORT_TOO_LARGE = "ReportTooLarge", TERMINAL  # the report does not fit into its ConfigMaps

    # Of Materialized
    VIEWS_FAILING = "ViewsFailing"  # feature views failed to materialize
    NEVER_RUN = "NeverRun"  # nothing was materialized yet

    # Of Fresh and FeaturesFresh
    STALE = "Stale"  # a view was materialized longer ago than its maxAge
    NEVER_MATERIALIZED = "NeverMaterialized"  # a view with a maxAge was never materialized
    WATERMARK_IN_FUTURE = "WatermarkInFuture"  # a view was materialized until a time after now
    NOT_SERVED = "NotServed"  # rows that were written are not served
    NOT_IN_ONLINE_STORE = "NotInOnlineStore"  # a view's rows are in another store, or by other keys
    NO_OBJECTIVE = "NoObjective"  # no maxAge is set
    FEATURES_UNKNOWN = "FeaturesUnknown"  # a maxAge is set; which views the model uses is not known
    OBSERVED_TOO_SELDOM = "ObservedTooSeldom"  # the registry was read too long ago to decide

    # Of FactsCurrent
    MLFLOW_VIEW_OLD = "MLflowViewOld"  # MLflow could not be read; the facts are older
    REGISTRY_SNAPSHOT_LOST = "RegistrySnapshotLost"  # what was read of the registry is not stored
    REGISTRY_SNAPSHOT_OLD = "RegistrySnapshotOld"  # the registry was not read for two intervals

    # Of Recorded and Tagged
    MLFLOW_UNAVAILABLE = "MLflowUnavailable"  # MLflow does not answer
    ACCESS_NOT_GRANTED = "AccessNotGranted"  # the platform does not allow this write to MLflow
    EXPERIMENT_DELETED = "ExperimentDeleted"  # the experiment of the ops runs is deleted
    REQUEST_REJECTED = "RequestRejected"  # a server rejects the request as it is
    TAG_TOO_LONG = "TagTooLong"  # a tag is longer than MLflow accepts
    OWNED_BY_OTHER = "OwnedByOther"  # an older TrainedModel writes the version's tags
    DISABLED = "Disabled"  # spec.tags.mode is Off, or spec.suspend is true

    # Of Resolved
    MODEL_NOT_FOUND = "ModelNotFound"  # MLflow has no version of the registered model
    ALIAS_NOT_FOUND = "AliasNotFound"  # the registered model has no such alias
    VERSION_NOT_FOUND = "VersionNotFound"  # the registered model has no such version
    PROJECT_NOT_READY = "ProjectNotReady"  # the project names no MLflow server
    PROJECT_NOT_FOUND = "ProjectNotFound"  # the namespace of the model has no such project
    REF_NOT_PERMITTED = "RefNotPermitted"  # no such project elsewhere, or it forbids the namespace

    # Of LineageVerified
    VERIFIED = "Verified"  # the features are defined as at training time
    UNCHANGED = "Unchanged"  # the features are defined as when first seen
    CHANGED = "Changed"  # a feature's definition differs from the baseline
    BROKEN = "Broken"  # a feature is missing, or its type or join keys changed
    AMBIGUOUS = "Ambiguous"  # the records of the features contradict each other
    NO_FEAST_LINEAGE = "NoFeastLineage"  # no features are recorded for the version
    SERVICE_MISMATCH = "ServiceMismatch"  # the feature service is not the list of features
    NOT_SERVED_ONLINE = "NotServedOnline"  # verified, and a view of it was never online
    REGISTRY_UNSEEN = "RegistryUnseen"  # the project's registry was not read yet
    BASELINE_LOST = "BaselineLost"  # the registry of training time is not kept any more
    NOT_RESOLVED = "NotResolved"  # there is no version to verify: Resolved is not True

    # Of Serving
    SERVING_FAILS = "ServingFails"  # the retrieval of the model's features fails
    SERVER_DIFFERS = "ServerDiffers"  # the feature server answers otherwise than Feast in the job
    SKEWED = "Skewed"  # values of the online store differ from those that training would get
    MOSTLY_NULL = "MostlyNull"  # most values of a feature are null, and were not in the source
    NOT_PROBED = "NotProbed"  # no probe has retrieved the model's features yet
    PROBE_UNAVAILABLE = "ProbeUnavailable"  # the job of the probe does not reach the online store

    # Of Events only
    MODELS_HURT = "ModelsHurt"  # an applied change broke or changed protected models
    WARNING = "Warning"  # a job reports a warning

    # Of errors only: in the log, or until a condition names a reason of its own
    ERROR = "Error"  # any error of the operator
    TRANSIENT_ERROR = "TransientError"  # a failure that may be temporary
    WAITING = "Waiting"  # something else has to happen first
    NOT_FOUND = "NotFound"  # the named object does not exist
    INVALID = "Invalid"  # the input is not valid
    STATE_UNUSABLE = "StateUnusable"  # the state folder is read-only, or locked by another host
    PORT_UNAVAILABLE = "PortUnavailable"  # the metrics port or its address cannot be used
    NO_CLUSTER = "NoCluster"  # no kubeconfig and no ServiceAccount leads to a cluster
    API_SERVER_UNAVAILABLE = "ApiServerUnavailable"  # the API server does not answer
    CONFLICT = "Conflict"  # the object changed since it was read
    NOT_LEADING = "NotLeading"  # this replica does not hold the Lease
    LEASE_LOST = "LeaseLost"  # this replica lost the Lease
    WATCHING_ENDED = "WatchingEnded"  # the watch of the resources ended


TERMINAL_REASONS: Final = frozenset(reason for reason in Reason if reason.terminal)
"""For a reason that is text: one of a report or a status may be none of `Reason`."""
