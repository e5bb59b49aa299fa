"""The closed vocabularies of the API, as `StrEnum`s: a value is its YAML spelling."""

from enum import StrEnum


class ApplyMode(StrEnum):
    """Who changes the registry."""

    AUTO = "Auto"
    PLAN_ONLY = "PlanOnly"
    OBSERVE = "Observe"


class ProtectionMode(StrEnum):
    """What happens if a change would affect a model."""

    ENFORCE = "Enforce"
    WARN = "Warn"
    OFF = "Off"


class Harm(StrEnum):
    """What a change can do to a model."""

    BROKEN = "Broken"
    CHANGED = "Changed"


class OnUnknown(StrEnum):
    """What happens to a plan when a model's features are not known."""

    WARN = "Warn"
    BLOCK = "Block"


class OnGuardUnavailable(StrEnum):
    """What happens to a plan when MLflow cannot be asked."""

    BLOCK = "Block"
    USE_LAST = "UseLast"


class DeletionPolicy(StrEnum):
    """What happens to the Feast objects when their resource is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class NamespacesFrom(StrEnum):
    """Whose TrainedModels may reference a project."""

    SAME = "Same"
    ALL = "All"
    LIST = "List"


class OnConflict(StrEnum):
    """What happens when the declared and the recorded feature service differ."""

    REPORT = "Report"
    USE_DECLARED = "UseDeclared"


class TagsMode(StrEnum):
    """Which tags are written on a model version."""

    ALL = "All"
    OWN_KEYS = "OwnKeys"
    OFF = "Off"


class ReadyRequirement(StrEnum):
    """What a TrainedModel's Ready asks for beyond being resolved."""

    LINEAGE = "Lineage"
    FRESHNESS = "Freshness"


class OperationKind(StrEnum):
    """What an operation does; its Job runs the runner's command of the same name."""

    APPLY = "Apply"
    PLAN = "Plan"
    OBSERVE = "Observe"
    MATERIALIZE = "Materialize"
    BACKFILL = "Backfill"
    DELETE = "Delete"


class OperationPhase(StrEnum):
    """How far the operation in flight is."""

    PENDING = "Pending"  # decided and written down; its Job may not exist yet
    RUNNING = "Running"  # its Job was seen
    BACKING_OFF = "BackingOff"  # the last attempt failed; the next starts at `notBefore`


class Result(StrEnum):
    """How an operation, or one view of it, ended."""

    SUCCEEDED = "Succeeded"
    PLANNED = "Planned"
    BLOCKED = "Blocked"
    FAILED = "Failed"


class PlanVerdict(StrEnum):
    """What protection says about a plan."""

    CLEAN = "Clean"
    ALLOWED = "Allowed"
    BLOCKED = "Blocked"


class ChangeAction(StrEnum):
    """What a plan does to one object."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class MaterializedBy(StrEnum):
    """Who materialized a view last."""

    OPERATOR = "Operator"
    EXTERNAL = "External"


class BackfillState(StrEnum):
    """How far a backfill is."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class OverrideKind(StrEnum):
    """Which annotation let an operation through."""

    ALLOW_BREAKING = "allow-breaking"
    ALLOW_ADOPTION = "allow-adoption"
    ALLOW_DELETE = "allow-delete"


class Verdict(StrEnum):
    """What is known about a model's features, compared with its baseline."""

    VERIFIED = "Verified"
    UNCHANGED = "Unchanged"
    CHANGED = "Changed"
    BROKEN = "Broken"
    AMBIGUOUS = "Ambiguous"
    UNKNOWN = "Unknown"


class LineageOrigin(StrEnum):
    """Which record a model's list of features was taken from."""

    RUN_TAG = "RunTag"
    ARTIFACT = "Artifact"
    VERSION_TAG = "VersionTag"
    DECLARED = "Declared"
    REGISTRY = "Registry"


class BaselineFrom(StrEnum):
    """Which moment a baseline describes."""

    TRAINING = "Training"
    FIRST_SIGHT = "FirstSight"
