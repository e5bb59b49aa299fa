"""`status` of a FeatureStoreProject: the observed state, and the state that a restart needs.

A field is absent until its value is known. The code that writes a list caps it, unhealthy items
first; a total counts all items.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from feature_lineage.api.base import StatusModel
from feature_lineage.api.checks import ATOMIC, MAP_BY_NAME, SET, ListType
from feature_lineage.api.enums import (
    BackfillState,
    ChangeAction,
    MaterializedBy,
    OperationKind,
    PlanVerdict,
    Result,
    Verdict,
)
from feature_lineage.api.meta import ConditionSet, ObservedGeneration
from feature_lineage.api.operation_status import OperationRecord, OperationStatus
from feature_lineage.api.types import Duration, Timestamp


class SourceStatus(StatusModel):
    """The newest revision of the source."""

    revision: str | None = Field(None, description="Newest commit or content digest.")
    observed_at: Timestamp | None = Field(None, description="When it was last resolved.")


class RegistryStatus(StatusModel):
    """The Feast registry as last read."""

    id: str | None = Field(None, description="Opaque digest of the registry's address.")
    digest: str | None = Field(None, description="Digest of the snapshot last read.")
    online_store: str | None = Field(
        None, description="Opaque digest of the address of the online store in effect."
    )
    observed_at: Timestamp | None = Field(None, description="When it was last read.")
    operation_id: str | None = Field(None, description="The operation that read it.")


class ProbeStatus(StatusModel):
    """The last probe of the online store."""

    at: Timestamp | None = Field(None, description="When it ended; absent: there was none yet.")
    digest: str | None = Field(
        None, description="Digest of the record of keys and answers, which the host keeps."
    )
    questions: StrictInt = Field(0, description="How many retrievals were tried.")
    failing: StrictInt = Field(0, description="How many of them were not answered as they should.")
    unconfirmed: StrictBool = Field(
        False, description="Whether a second probe has to confirm a bad answer."
    )


class LastApply(StatusModel):
    """The result of the last apply or plan."""

    operation_id: str | None = Field(None, description="The operation.")
    inputs_digest: str | None = Field(None, description="Digest of everything it depended on.")
    guard_digest: str | None = Field(None, description="Digest of the facts about models it used.")
    result: Result | None = Field(None, description="How it ended.")
    reason: str | None = Field(None, description="Condition reason when it did not succeed.")
    message: str | None = Field(None, description="What happened, with the next step.")
    attempt: StrictInt = Field(0, description="How many attempts it took.")
    at: Timestamp | None = Field(None, description="When it ended.")
    revision: str | None = Field(None, description="The revision it was about.")


class AppliedStatus(StatusModel):
    """The revision in effect."""

    revision: str | None = Field(None, description="Revision in the registry.")
    project: str | None = Field(None, description="Feast project it was applied as.")
    registry_id: str | None = Field(
        None, description="Opaque digest of the address of the registry it was applied to."
    )
    registry_digest: str | None = Field(None, description="Digest of the registry after it.")
    at: Timestamp | None = Field(None, description="When it was applied.")
    created: StrictInt = Field(0, description="How many objects it created.")
    updated: StrictInt = Field(0, description="How many objects it updated.")
    deleted: StrictInt = Field(0, description="How many objects it deleted.")
    operation_id: str | None = Field(None, description="The operation that applied it.")


class PlanChange(StatusModel):
    """The change of one Feast object in a plan."""

    kind: str = Field(description="Kind of the object, such as feature_view.")
    name: str = Field(description="Name of the object.")
    action: ChangeAction = Field(description="Whether the object is created, updated or deleted.")
    details: Annotated[tuple[str, ...], ATOMIC] = Field((), description="What differs.")
    details_total: StrictInt | None = Field(
        None, description="How many details there are; absent: all are listed."
    )


class ProblemStatus(StatusModel):
    """One difference between the features at training time and now."""

    feature: str = Field(description="The feature, or view, it is about.")
    kind: str = Field(description="What differs, such as type or source.")
    was: str | None = Field(None, description="The value in the baseline.")
    now: str | None = Field(
        None, description="The value in the current registry; absent if the object is gone."
    )


class PlanImpact(StatusModel):
    """The effect of a plan on one model version, or on one protected feature service."""

    model: str | None = Field(None, description="Name of the registered model.")
    version: str | None = Field(None, description="Its version.")
    service: str | None = Field(
        None, description="The feature service, if it is protected without a model."
    )
    aliases: Annotated[tuple[str, ...], SET] = Field((), description="Aliases that point to it.")
    aliases_total: StrictInt | None = Field(
        None, description="How many aliases there are; absent: all are listed."
    )
    verdict: Verdict = Field(description="The verdict of the model or service after the change.")
    problems: Annotated[tuple[ProblemStatus, ...], ATOMIC] = Field((), description="Why.")
    problems_total: StrictInt | None = Field(
        None, description="How many problems there are; absent: all are listed."
    )


class PlanStatus(StatusModel):
    """The plan of the newest revision."""

    revision: str | None = Field(None, description="The revision.")
    digest: str | None = Field(
        None, description="Digest of changes and impacts; a permission annotation names it."
    )
    verdict: PlanVerdict | None = Field(None, description="The verdict of the protection.")
    changes: Annotated[tuple[PlanChange, ...], ATOMIC] = Field(
        (), description="Up to 50 changes, in up to 16 KiB."
    )
    changes_total: StrictInt = Field(0, description="How many changes there are.")
    impacts: Annotated[tuple[PlanImpact, ...], ATOMIC] = Field(
        (),
        description="Up to 50 model versions and services that would be affected, in up to 20 KiB.",
    )
    impacts_total: StrictInt = Field(
        0, description="How many model versions and services would be affected."
    )
    online_tables_dropped: Annotated[tuple[str, ...], SET] = Field(
        (), description="Views whose online data would be deleted."
    )
    online_tables_dropped_total: StrictInt | None = Field(
        None, description="How many such views there are; absent: all are listed."
    )
    blocked_since: Timestamp | None = Field(None, description="Since when it is blocked.")


class RuntimeStatus(StatusModel):
    """The environment of the jobs."""

    feast_version: str | None = Field(None, description="Version of Feast in the runner.")
    image: str | None = Field(None, description="Image of the runner.")


class FeatureViewStatus(StatusModel):
    """One view and its freshness."""

    name: str = Field(description="Name of the view.")
    kind: str = Field(
        "feature_view",
        description="feature_view, on_demand_feature_view, stream_feature_view, …",
    )
    materialized_until: Timestamp | None = Field(
        None,
        description="End of the newest window that was materialized, and is not in the future.",
    )
    future_until: Timestamp | None = Field(
        None,
        description="End of a materialized window that ended after its reading: it says nothing "
        "about the rows since then.",
    )
    newest_event_time: Timestamp | None = Field(
        None, description="Newest event in the online store, if known."
    )
    rows: StrictInt | None = Field(
        None, description="Rows of the last materialization, if the engine reports them."
    )
    by: MaterializedBy | None = Field(None, description="Who materialized it last.")
    last_result: Result | None = Field(None, description="How the last attempt ended.")
    last_error: str | None = Field(None, description="Its error.")
    attempted_at: Timestamp | None = Field(None, description="When it was last attempted.")
    last_duration_seconds: float | None = Field(
        None, description="How long the last attempt took, in seconds."
    )
    consecutive_failures: StrictInt = Field(0, description="Failures since the last success.")
    killed_jobs: StrictInt | None = Field(
        None,
        description="How many jobs in a row ended while they materialized it; after two of them it "
        "is skipped.",
    )
    killed_with: str | None = Field(
        None, description="Digest of its definition and of the runtime of these jobs."
    )
    state_before: str | None = Field(
        None,
        description="Its state in Feast before a job that died left it: the next materialization "
        "or apply puts it back.",
    )
    not_served: StrictBool | None = Field(
        None,
        description="True while Feast does not serve it, since a job died, or another tool "
        "materializes it.",
    )
    written_to: str | None = Field(
        None,
        description="Opaque digest of the online store and the join keys of its rows; absent: not "
        "known.",
    )
    max_age: Duration | None = Field(None, description="Its freshness objective.")
    fresh: StrictBool | None = Field(
        None, description="Whether the view meets the objective; absent: not known."
    )


class ScheduleStatus(StatusModel):
    """The last and the next tick of a schedule."""

    name: str = Field(description="Name of the schedule.")
    last: Timestamp | None = Field(None, description="The last scheduled time that was handled.")
    next: Timestamp | None = Field(None, description="The next scheduled time.")


class BackfillStatus(StatusModel):
    """The progress of a backfill."""

    name: str = Field(description="Name of the backfill.")
    digest: str | None = Field(None, description="Digest of its content.")
    state: BackfillState = Field(BackfillState.PENDING, description="Progress of the backfill.")
    completed_through: Timestamp | None = Field(
        None, description="Everything before this time is materialized."
    )
    finished_at: Timestamp | None = Field(None, description="When it was done.")


class Counts(StatusModel):
    """Totals, which also count items beyond a capped list."""

    feature_views: StrictInt = Field(0, description="Views in the registry.")
    features: StrictInt = Field(0, description="Features in the registry.")
    feature_services: StrictInt = Field(0, description="Feature services in the registry.")
    linked_models: StrictInt = Field(0, description="Model versions that use this project.")
    broken_models: StrictInt = Field(0, description="Linked model versions that are Broken.")
    stale_views: StrictInt = Field(0, description="Views that miss their freshness objective.")
    unrecorded_operations: StrictInt | None = Field(
        None, description="Operations that left the list before MLflow had their run."
    )


class AliasHistoryStatus(StatusModel):
    """The last record in MLflow of the aliases of the project's models."""

    record: str = Field(description="Identity of the record.")
    digest: str = Field(description="Digest of the aliases, and of the place of the record.")
    at: Timestamp = Field(description="When these aliases were observed.")


class FeatureStoreProjectStatus(StatusModel):
    """The observed state of a Feast project."""

    observed_generation: ObservedGeneration = Field(
        None, description="The generation of the spec this status is about."
    )
    conditions: ConditionSet = Field((), description="The conditions.")
    last_handled_reconcile_at: str | None = Field(
        None, description="The reconcile-requested-at annotation last acted on."
    )
    source: SourceStatus | None = Field(None, description="The newest revision of the source.")
    registry: RegistryStatus | None = Field(None, description="The registry as last read.")
    probe: ProbeStatus | None = Field(None, description="The last probe of the online store.")
    sequence: StrictInt = Field(0, description="The number of the newest operation.")
    operation: OperationStatus | None = Field(
        None, description="The operation in flight that may write the registry or a store."
    )
    reading_operation: OperationStatus | None = Field(
        None, description="The operation in flight beside it, which only reads."
    )
    last_apply: LastApply | None = Field(None, description="How the last apply ended.")
    applied: AppliedStatus | None = Field(None, description="The revision in effect.")
    plan: PlanStatus | None = Field(None, description="What the newest revision would do.")
    runtime: RuntimeStatus | None = Field(None, description="The environment of the jobs.")
    feature_views: Annotated[tuple[FeatureViewStatus, ...], MAP_BY_NAME] = Field(
        (),
        description="Up to 500 views, unhealthy first, while the status has less than 256 KiB; "
        "counts.featureViews is the total.",
    )
    schedules: Annotated[tuple[ScheduleStatus, ...], MAP_BY_NAME] = Field(
        (), description="The schedules."
    )
    backfills: Annotated[tuple[BackfillStatus, ...], MAP_BY_NAME] = Field(
        (), description="The backfills."
    )
    operations: Annotated[tuple[OperationRecord, ...], ListType("map", ("id",))] = Field(
        (),
        description="The last 10 operations, and those that MLflow does not have yet, in up to "
        "80 KiB.",
    )
    put_back_tried: str | None = Field(
        None,
        description="Digest of the states of views that an operation tried to put back; absent:"
        " none are left.",
    )
    alias_history: AliasHistoryStatus | None = Field(
        None, description="The last record in MLflow of the aliases of the project's models."
    )
    counts: Counts | None = Field(None, description="Totals.")

    def newest(self, kind: OperationKind) -> OperationRecord | None:
        """The newest listed operation of a kind that ended; None if none is listed."""
        return next((operation for operation in self.operations if operation.kind is kind), None)

    @property
    def in_flight(self) -> tuple[OperationStatus, ...]:
        """The operations in flight; the writing one comes first."""
        both = (self.operation, self.reading_operation)
        return tuple(operation for operation in both if operation is not None)
