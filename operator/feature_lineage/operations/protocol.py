"""The job protocol: one request in, one report out, both JSON, ``protocol: 1``.

The operator writes the request and the runner writes the report; they share nothing else. The
report is untrusted input: its size is limited, it is parsed by this schema, and it holds no code.
"""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import InvalidReport
from feature_lineage.features.snapshot import RegistrySnapshot, canonical_json
from feature_lineage.operations.kinds import KINDS, kind_of_command
from feature_lineage.operations.plan import Plan
from feature_lineage.operations.protection import Guard
from feature_lineage.reasons import TERMINAL_REASONS, Reason
from feature_lineage.untrusted import Many, Name, TooLarge, check_json

PROTOCOL: Final = 1
MAX_REPORT_BYTES: Final = 64 * 1024 * 1024
MAX_REPORT_PARSE_BYTES: Final = 40 * 1024 * 1024
"""As `untrusted.parse_bytes` estimates it; pydantic takes up to half as much again."""
OUTPUT_TAIL_BYTES: Final = 4096
MAX_NUMBERS: Final = 100
"""Entries of `JobReport.counts` and `JobReport.seconds`."""
MAX_VIEWS: Final = 5000
"""Views in one report; each takes 4 kB of memory."""


class ExitCode(IntEnum):
    """The exit codes of a job's process; any other code is a crash."""

    DONE = 0
    TERMINAL = 65
    TRANSIENT = 75


class Outcome(StrEnum):
    """The outcome of an operation."""

    SUCCEEDED = "Succeeded"
    PARTIAL = "Partial"  # materialize: some views failed
    PLANNED = "Planned"
    BLOCKED = "Blocked"
    FAILED = "Failed"
    STEPPED_BACK = "SteppedBack"  # old guard, or changed registry: repeat with new inputs


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


def _kind(value: Any) -> Any:
    """The kind of a command; the first kind if a command has several."""
    if isinstance(value, OperationKind):
        value = KINDS[value].command
    return kind_of_command(value) if isinstance(value, str) else value


JobKind = Annotated[
    OperationKind, BeforeValidator(_kind), PlainSerializer(lambda kind: KINDS[kind].command)
]
"""A kind of operation, spelled as its command: a backfill is materialized like any other."""


def _few(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > MAX_NUMBERS:
        raise ValueError(f"{len(value)} numbers; at most {MAX_NUMBERS}")
    return value


_FEW: Final = BeforeValidator(_few)


def _snapshot(value: Any) -> Any:
    return RegistrySnapshot.from_value(value) if isinstance(value, dict) else value


Snapshot = Annotated[
    RegistrySnapshot,
    BeforeValidator(_snapshot),
    PlainSerializer(
        lambda s: {"project": s.project, "objects": s.objects, "closures": s.closures},
        return_type=dict[str, Any],
    ),
]


class PlanOverride(_Message):
    """The permission of a user for one plan."""

    plan_digest: str
    why: str


class ApplyRequest(_Message):
    """What an apply (or plan) may do.

    Attributes:
        prune: delete objects of this project that are no longer in the repo.
        adopted: id of the registry to which this resource applied this project; "" if it applied to
            none: in any other registry, deletions need adoption. ``None`` for a plan without apply,
            which lists deletions and adopts nothing.
        guard: protected models; ``None`` switches protection off.
        max_guard_age_seconds: with an older guard the job stops before it changes anything.
        protection: Enforce blocks, Warn allows and reports.
        block_on: verdicts that block, of Broken and Changed.
        on_unknown: how models with unknown features are treated.
        closures: closures of the last applied snapshot, by view.
        last_views: views of the last applied snapshot: the online table of one that is neither in
            the registry nor in the repo any more was left by a killed apply, and is dropped.
    """

    prune: bool = True
    adopted: str | None = None
    guard: Guard | None = None
    max_guard_age_seconds: float = 600.0
    protection: Literal["Enforce", "Warn", "Off"] = "Enforce"
    block_on: tuple[Literal["Broken", "Changed"], ...] = ("Broken",)
    on_unknown: Literal["Warn", "Block"] = "Warn"
    allow_breaking: PlanOverride | None = None
    allow_adoption: PlanOverride | None = None
    closures: dict[str, str] = Field(default_factory=dict)
    last_views: tuple[str, ...] = ()


class ViewWindow(_Message):
    """The view and the window of a materialization.

    Attributes:
        name: feature view.
        start: inclusive; ``None`` means incremental: from the view's last interval on.
        end: exclusive.
    """

    name: str
    start: datetime | None = None
    end: datetime


class MaterializeRequest(_Message):
    """Attributes:
    views: one after another, each independent of the others. Empty with `all_views_end`: every
    view. all_views_start: window start for every materializable view; ``None``: incremental.
    all_views_end: window end for every materializable view; ``None``: only `views`.
    """

    views: tuple[ViewWindow, ...] = ()
    all_views_start: datetime | None = None
    all_views_end: datetime | None = None


class DeleteRequest(_Message):
    """Deletes the objects of this project, never those of another project.

    Attributes:
        guard: refuses while protected models use the project, known features or not.
        max_guard_age_seconds: with an older guard the job stops before it changes anything.
        allow: the user's reason to delete although models use the project.
        adopted: id of the registry to which this resource applied; the job changes no other
            registry.
    """

    guard: Guard | None = None
    max_guard_age_seconds: float = 600.0
    protection: Literal["Enforce", "Warn", "Off"] = "Enforce"
    allow: str | None = None
    adopted: str = ""


class JobRequest(_Message):
    """One operation, for one process.

    Attributes:
        operation_id: unique; names the job and tags the ops run.
        repo: directory of the feature repo at `revision` (holds feature_store.yaml).
        feature_store_yaml: text that replaces the repo's feature_store.yaml.
        deadline_seconds: the process group is killed after it.
        folder_revision: `revision` is the digest of the folder `repo`: a job that imports it checks
            this again.
        ephemeral: mount points that are deleted with the job; no store may be there.
        owner: id of the resource, for the owner record in the registry; "" neither checks nor
            writes the record.
        refused: the last apply of the resource found another owner; a registry that has lost its
            owner record stays closed to it.
    """

    protocol: Literal[1] = 1
    operation_id: str
    kind: JobKind
    project: str
    repo: str
    revision: str = ""
    feature_store_yaml: str | None = None
    deadline_seconds: float = 3600.0
    folder_revision: bool = False
    ephemeral: tuple[str, ...] = ()
    owner: str = ""
    refused: bool = False
    apply: ApplyRequest | None = None
    materialize: MaterializeRequest | None = None
    delete: DeleteRequest | None = None


class ViewReport(_Message):
    """This operation's result for one view, and the view's state in the registry.

    Attributes:
        kind: section of the snapshot.
        result: "" when this operation did not touch the view.
        start, end: window materialized by this operation.
        rows: rows written to the online store (latest per entity key); ``None``: not reported.
        seconds: duration of this view's materialization.
        materialized_until: newest interval's end in the registry.
        newest_event_time: newest event timestamp written.
        error: one line.
    """

    name: Name
    kind: Name
    result: Literal["", "Succeeded", "Failed"] = ""
    start: datetime | None = None
    end: datetime | None = None
    rows: int | None = None
    seconds: float | None = None
    materialized_until: datetime | None = None
    newest_event_time: datetime | None = None
    error: str = ""


class JobReport(_Message):
    """The result of a job.

    Attributes:
        outcome: how it ended.
        reason: condition reason if it did not succeed.
        message: names the object, the fact and the next step.
        output_tail: last 4 KiB of what the repo's code printed.
        registry_id: digest of the registry's address, credentials left out.
        previous: digest of the registry before.
        snapshot: the registry afterwards.
        verified: a process without repo code read the registry and found `snapshot` in it.
        seconds: phase → seconds (``import_feast``, ``import_repo``, ``infer``, ``plan``, ``apply``,
            ``verify``, …); ``apply`` includes ``online_tables``.
        counts: ``created``, ``updated``, ``deleted``.
    """

    protocol: Literal[1] = 1
    operation_id: Name
    kind: JobKind
    project: Name
    revision: Name = ""
    outcome: Outcome
    reason: Name = ""
    message: str = ""
    output_tail: str = ""
    started_at: datetime
    finished_at: datetime
    feast_version: Name = ""
    registry_type: Name = ""
    online_store_type: Name = ""
    registry_id: Name = ""
    previous: Name = ""
    snapshot: Snapshot | None = None
    verified: bool = False
    plan: Plan | None = None
    counts: Annotated[dict[str, int], _FEW] = Field(default_factory=dict)
    views: Many[ViewReport] = Field((), max_length=MAX_VIEWS)
    warnings: Many[str] = ()
    seconds: Annotated[dict[str, float], _FEW] = Field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        match self.outcome:
            case Outcome.SUCCEEDED | Outcome.PLANNED:
                return ExitCode.DONE
            case Outcome.STEPPED_BACK | Outcome.PARTIAL:
                return ExitCode.TRANSIENT
            case Outcome.BLOCKED:
                return ExitCode.TERMINAL
            case Outcome.FAILED:
                return ExitCode.TERMINAL if self.reason in TERMINAL_REASONS else ExitCode.TRANSIENT


def encode(message: JobRequest | JobReport) -> str:
    """Canonical JSON of a request or report."""
    return canonical_json(message.model_dump(mode="json"))


def decode_report(text: bytes) -> JobReport:
    """Parse an untrusted report.

    Raises:
        InvalidReport: too large, not JSON, of another protocol or shape.
    """
    if len(text) > MAX_REPORT_BYTES:
        raise InvalidReport(f"report of {len(text)} bytes; at most {MAX_REPORT_BYTES}")
    try:
        check_json(text, MAX_REPORT_PARSE_BYTES)
    except TooLarge as error:
        raise InvalidReport(
            f"the job's report is not read: {error}; split the project into smaller ones",
            reason=Reason.REPORT_TOO_LARGE,
        ) from error
    try:
        return JobReport.model_validate_json(text)
    except ValidationError as error:
        raise unparsable("report", error) from error


def unparsable(what: str, error: ValidationError) -> InvalidReport:
    """The error of a message between operator and runner with another or no version."""
    first = error.errors(include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return InvalidReport(
        f"the job's {what} does not parse: {where}: {first['msg']}; "
        "run operator and runner of the same minor version"
    )
