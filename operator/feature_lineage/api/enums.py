"""The enumerations of the API, as `StrEnum`s: a value is its YAML spelling."""

from enum import StrEnum


class ApplyMode(StrEnum):
    """Which operator or tool changes the registry."""

    AUTO = "Auto"
    PLAN_ONLY = "PlanOnly"
    OBSERVE = "Observe"


class ProtectionMode(StrEnum):
    """What happens if a change would affect a model."""

    ENFORCE = "Enforce"
    WARN = "Warn"
    OFF = "Off"


class Harm(StrEnum):
    """The effect of a change on a model."""

    BROKEN = "Broken"
    CHANGED = "Changed"


class OnUnknown(StrEnum):
    """What happens to a plan when a model's features are not known."""

    WARN = "Warn"
    BLOCK = "Block"


class OnGuardUnavailable(StrEnum):
    """What happens to a plan if MLflow does not answer."""

    BLOCK = "Block"
    USE_LAST = "UseLast"


class DeletionPolicy(StrEnum):
    """What happens to the Feast objects when their resource is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class NamespacesFrom(StrEnum):
    """The namespaces whose TrainedModels may reference a project."""

    SAME = "Same"
    ALL = "All"
    LIST = "List"


class OnConflict(StrEnum):
    """What happens if the declared and the recorded feature service differ."""

    REPORT = "Report"
    USE_DECLARED = "UseDeclared"


class TagsMode(StrEnum):
    """Which tags are written on a model version."""

    ALL = "All"
    OWN_KEYS = "OwnKeys"
    OFF = "Off"


class ReadyRequirement(StrEnum):
    """The requirements of a TrainedModel's Ready, besides a resolved version."""

    LINEAGE = "Lineage"
    SERVING = "Serving"
    FRESHNESS = "Freshness"


class OperationKind(StrEnum):
    """The kind of an operation; `KINDS` names the runner's command that its Job runs."""

    APPLY = "Apply"
    PLAN = "Plan"
    OBSERVE = "Observe"
    PROBE = "Probe"
    MATERIALIZE = "Materialize"
    BACKFILL = "Backfill"
    DELETE = "Delete"


class OperationPhase(StrEnum):
    """The phase of the operation in flight."""

    PENDING = "Pending"  # decided and written to the status; its Job may not exist yet
    RUNNING = "Running"  # its Job exists
    BACKING_OFF = "BackingOff"  # the last attempt failed; the next starts at `notBefore`


class Result(StrEnum):
    """How an operation, or one view of it, ended."""

    SUCCEEDED = "Succeeded"
    PLANNED = "Planned"
    BLOCKED = "Blocked"
    FAILED = "Failed"


class PlanVerdict(StrEnum):
    """The verdict of the protection on a plan."""

    CLEAN = "Clean"
    ALLOWED = "Allowed"
    BLOCKED = "Blocked"


class ChangeAction(StrEnum):
    """The action of a plan on one object."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class MaterializedBy(StrEnum):
    """Which tool materialized a view last."""

    OPERATOR = "Operator"
    EXTERNAL = "External"


class BackfillState(StrEnum):
    """The progress of a backfill."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class OverrideKind(StrEnum):
    """The annotation that permitted an operation."""

    ALLOW_BREAKING = "allow-breaking"
    ALLOW_ADOPTION = "allow-adoption"
    ALLOW_DELETE = "allow-delete"


class Verdict(StrEnum):
    """The result of the comparison of a model's features with its baseline."""

    VERIFIED = "Verified"
    UNCHANGED = "Unchanged"
    CHANGED = "Changed"
    BROKEN = "Broken"
    AMBIGUOUS = "Ambiguous"
    UNKNOWN = "Unknown"


class ColumnNames(StrEnum):
    """The form of the names by which a model reads its columns."""

    FULL = "Full"  # stats__trips, or an alias of the view: origin__trips
    SHORT = "Short"  # trips
    UNKNOWN = "Unknown"


class ProbeSkew(StrEnum):
    """Of which sources the values are compared with those of the online store."""

    AUTO = "Auto"  # of files and PostgreSQL
    ALWAYS = "Always"
    OFF = "Off"


class LineageOrigin(StrEnum):
    """The record from which a model's list of features was taken."""

    RUN_TAG = "RunTag"
    ARTIFACT = "Artifact"
    PARENT_RUN = "ParentRun"
    VERSION_TAG = "VersionTag"
    DECLARED = "Declared"
    REGISTRY = "Registry"


class BaselineFrom(StrEnum):
    """The moment that a baseline describes."""

    TRAINING = "Training"
    FIRST_SIGHT = "FirstSight"
