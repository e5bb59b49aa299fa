"""Operations in the status of a FeatureStoreProject: those in flight, and those that ended."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from feature_lineage.api.base import StatusModel
from feature_lineage.api.checks import MAP_BY_NAME
from feature_lineage.api.enums import OperationKind, OperationPhase, OverrideKind, Result
from feature_lineage.api.types import Timestamp


class OperationView(StatusModel):
    """The effect of an operation in flight on one view."""

    name: str = Field(description="Name of the feature view.")
    start: Timestamp | None = Field(None, description="Beginning of the window, inclusive.")
    end: Timestamp | None = Field(None, description="End of the window, exclusive.")
    incremental: StrictBool = Field(
        False, description="Whether the window starts where the last materialization ended."
    )
    result: Result | None = Field(None, description="Its result in an earlier attempt.")
    rows: StrictInt | None = Field(None, description="Rows written in an earlier attempt.")
    error: str | None = Field(None, description="Its error in an earlier attempt.")


class OperationStatus(StatusModel):
    """An operation in flight; it is written before its Job is created."""

    id: str = Field(description="Identity of the operation; the Job's name derives from it.")
    kind: OperationKind = Field(description="Kind of the operation.")
    sequence: StrictInt = Field(0, description="Its number in the project.")
    revision: str | None = Field(None, description="The revision it works on.")
    inputs_digest: str | None = Field(None, description="Digest of everything it depends on.")
    guard_digest: str | None = Field(
        None, description="Digest of the facts about models with which this attempt compares."
    )
    attempt: StrictInt = Field(1, description="Which attempt this is, from 1.")
    failures: StrictInt = Field(0, description="How many attempts failed, and count as retries.")
    not_before: Timestamp | None = Field(None, description="When the next attempt may start.")
    phase: OperationPhase = Field(OperationPhase.PENDING, description="Its phase.")
    started_at: Timestamp | None = Field(None, description="When the operator decided on it.")
    reason: str | None = Field(None, description="Why it waits for another attempt.")
    message: str | None = Field(None, description="The error of the last attempt.")
    window_start: Timestamp | None = Field(
        None, description="Start of the window; absent: the end of the last window of each view."
    )
    window_end: Timestamp | None = Field(None, description="End of the window.")
    schedule: str | None = Field(None, description="The schedule it runs for.")
    started_for: Timestamp | None = Field(None, description="The scheduled time it runs for.")
    backfill: str | None = Field(None, description="The backfill it runs for.")
    views: Annotated[tuple[OperationView, ...], MAP_BY_NAME] = Field(
        (), description="The views it materializes, each with its window."
    )
    views_total: StrictInt | None = Field(
        None, description="How many views there are; absent: all are listed."
    )
    overtaken_by: str | None = Field(
        None,
        description="The operation that wrote the registry while this one read it; what this one "
        "read is not taken over.",
    )

    @property
    def job(self) -> str:
        """Name of the job of this attempt: each attempt has its own job."""
        return f"{self.id}-{self.attempt}"


class OverrideStatus(StatusModel):
    """The annotation that permitted an operation."""

    kind: OverrideKind = Field(description="Which annotation.")
    why: str = Field(description="The reason in the annotation.")


class OperationViewResult(StatusModel):
    """The result of an operation for one view."""

    name: str = Field(description="Name of the view.")
    result: Result = Field(description="How it ended.")
    rows: StrictInt | None = Field(None, description="Rows written, if the engine reports them.")
    error: str | None = Field(None, description="Its error.")


class OperationRecord(StatusModel):
    """An operation that ended; it is removed from the list only after MLflow has its run."""

    id: str = Field(description="Identity of the operation.")
    kind: OperationKind = Field(description="Kind of the operation.")
    revision: str | None = Field(None, description="The revision it worked on.")
    started_at: Timestamp | None = Field(None, description="When it was decided.")
    finished_at: Timestamp | None = Field(None, description="When it ended.")
    result: Result | None = Field(None, description="How it ended.")
    reason: str | None = Field(None, description="Condition reason when it failed.")
    message: str | None = Field(None, description="What happened.")
    attempt: StrictInt = Field(1, description="How many attempts it took.")
    job: str | None = Field(None, description="Name of its last Job.")
    mlflow_run_id: str | None = Field(None, description="The MLflow run that records it.")
    schedule: str | None = Field(None, description="The schedule it ran for.")
    backfill: str | None = Field(None, description="The backfill it ran for.")
    override: OverrideStatus | None = Field(None, description="The permission that was used.")
    views: Annotated[tuple[OperationViewResult, ...], MAP_BY_NAME] = Field(
        (), description="How it ended for each view."
    )
    views_total: StrictInt | None = Field(
        None, description="How many views there are; absent: all are listed."
    )
    registry_digest: str | None = Field(None, description="Digest of the registry after it.")
    inputs_digest: str | None = Field(None, description="Digest of everything it depended on.")
