"""The report of a job: what the runner writes, and the operator reads.

A report is untrusted input: its size is limited, it is parsed by this schema, and it holds no code.
"""

from enum import IntEnum, StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
)

from feature_lineage.errors import InvalidReport
from feature_lineage.features.bounds import check_dependencies
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.large_parses import check_turn
from feature_lineage.operations.message import Count, Message, Moment
from feature_lineage.operations.plan import Plan
from feature_lineage.operations.probe_answer import ProbeAnswer
from feature_lineage.operations.probe_request import MAX_QUESTIONS
from feature_lineage.operations.protocol import JobKind, unparsable
from feature_lineage.operations.sampled_keys import MAX_SAMPLED, SampledKeys, SourceKeys
from feature_lineage.reasons import TERMINAL_REASONS, Reason
from feature_lineage.untrusted import Many, Name, TooLarge, check_json

MAX_REPORT_BYTES: Final = 20 * 1024 * 1024
MAX_REPORT_PARSE_BYTES: Final = 2 * MAX_REPORT_BYTES
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


def _few(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > MAX_NUMBERS:
        raise ValueError(f"{len(value)} numbers; at most {MAX_NUMBERS}")
    return value


_FEW: Final = BeforeValidator(_few)


def _snapshot(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    snapshot = RegistrySnapshot.from_value(value)
    check_dependencies(snapshot)
    return snapshot


Snapshot = Annotated[
    RegistrySnapshot,
    BeforeValidator(_snapshot),
    PlainSerializer(RegistrySnapshot.as_value, return_type=dict[str, Any]),
]


class ViewReport(Message):
    """This operation's result for one view, and the view's state in the registry.

    Attributes:
        kind: section of the snapshot.
        result: "" when this operation did not touch the view, or has not come to it yet; Skipped
            for a view that killed the process of earlier jobs.
        start, end: window materialized by this operation.
        rows: rows written to the online store (latest per entity key); ``None``: not reported.
        seconds: duration of this view's materialization.
        batch_rows: rows in memory at a time (Feast's ``online_write_batch_size``); ``None``: all,
            or another engine wrote them.
        materialized_until: newest interval's end in the registry that is not in the future.
        future_until: newest interval's end that was in the future when the registry was read.
        newest_event_time: newest event timestamp written.
        nulls: feature → rows written without a value, of features that have such rows, at most
            `MAX_NUMBERS`, most first; ``None``: not reported.
        error: one line.
        state: Feast's state of the view in the registry, such as ``AVAILABLE_ONLINE``.
        killed: the process of the job ended while it materialized the view.
        left_in: Feast's state before the materialization during which the job ended, if Feast
            changed the state for it.
        written_to: where all rows that Feast can serve now are, see `freshness.place_of`.
        served: Feast serves views while they are materialized
            (``registry.serve_features_while_materializing``).
        keys: keys that this operation wrote, if the request asks for some.
    """

    name: Name
    kind: Name
    result: Literal["", "Succeeded", "Failed", "Skipped"] = ""
    start: Moment | None = None
    end: Moment | None = None
    rows: Count | None = None
    seconds: float | None = None
    batch_rows: Count | None = None
    materialized_until: Moment | None = None
    future_until: Moment | None = None
    newest_event_time: Moment | None = None
    nulls: Annotated[dict[Name, Count], _FEW] | None = None
    error: str = ""
    state: Name = ""
    killed: bool = False
    left_in: Name = ""
    served: bool = False
    written_to: Name = ""
    keys: SampledKeys | None = None


class JobReport(Message):
    """The result of a job.

    Attributes:
        outcome: how it ended.
        reason: condition reason if it did not succeed.
        message: names the object, the fact and the next step.
        output_tail: last 4 KiB of what the repo's code printed.
        registry_id: digest of the registry's address, credentials left out.
        online_store_id: digest of the online store's address, credentials left out.
        previous: digest of the registry before.
        snapshot: the registry afterwards.
        verified: a process without repo code read the registry and found `snapshot` in it.
        seconds: phase → seconds (``import_feast``, ``import_repo``, ``infer``, ``plan``, ``apply``,
            ``verify``, …); ``apply`` includes ``online_tables``.
        counts: ``created``, ``updated``, ``deleted``.
        write_batches: how many rows a materialization wrote at a time, and why; for users.
        running: the view that is being materialized, in the report so far of a job that has not
            ended (`unfinished`).
        answers: of a probe, one for each question.
        source_keys: of a probe, one for each view whose keys were requested and has a watermark.
        peak_memory_bytes: of the worker's process, for a materialization; ``None``: not known.
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
    started_at: Moment
    finished_at: Moment
    feast_version: Name = ""
    registry_type: Name = ""
    online_store_type: Name = ""
    registry_id: Name = ""
    online_store_id: Name = ""
    previous: Name = ""
    snapshot: Snapshot | None = None
    verified: bool = False
    plan: Plan | None = None
    counts: Annotated[dict[str, Count], _FEW] = Field(default_factory=dict)
    views: Many[ViewReport] = Field((), max_length=MAX_VIEWS)
    warnings: Many[str] = ()
    seconds: Annotated[dict[str, float], _FEW] = Field(default_factory=dict)
    write_batches: str = ""
    running: Name = ""
    answers: Many[ProbeAnswer] = Field((), max_length=MAX_QUESTIONS)
    source_keys: Many[SourceKeys] = Field((), max_length=MAX_SAMPLED)
    peak_memory_bytes: Count | None = None

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


def decode_report(text: bytes) -> JobReport:
    """Parse an untrusted report.

    Raises:
        InvalidReport: too large, not JSON, of another protocol or shape, or with a snapshot of too
            many dependencies.
        NeedsTurn: as `check_turn` says.
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
    check_turn(text)
    try:
        return JobReport.model_validate_json(text)
    except ValidationError as error:
        raise unparsable("report", error) from error
