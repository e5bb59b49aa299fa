"""`status` of a TrainedModel: its version, and the state of its features."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from feature_lineage.api.base import StatusModel
from feature_lineage.api.checks import ATOMIC, SET
from feature_lineage.api.enums import BaselineFrom, ColumnNames, LineageOrigin, Verdict
from feature_lineage.api.meta import ConditionSet, ObservedGeneration
from feature_lineage.api.project_status import ProblemStatus
from feature_lineage.api.types import Duration, Timestamp


class ResolvedStatus(StatusModel):
    """The model version of the alias or version in the spec."""

    version: str = Field(description="The version.")
    aliases: Annotated[tuple[str, ...], SET] = Field((), description="Its aliases.")
    aliases_total: StrictInt | None = Field(
        None, description="How many aliases there are; absent: all are listed."
    )
    run_id: str | None = Field(None, description="The training run.")
    model_id: str | None = Field(None, description="The logged model.")
    uri: str | None = Field(None, description="Address for loading it, such as models:/name/3.")
    created_at: Timestamp | None = Field(None, description="When the version was created.")


class SchemaDigest(StatusModel):
    """Digests of the features in the baseline and in the current registry."""

    baseline: str | None = Field(None, description="Digest of the features in the baseline.")
    baseline_from: BaselineFrom | None = Field(
        None, description="Whether the baseline is as of training or only as of first sight."
    )
    current: str | None = Field(None, description="Digest of the features in the current registry.")


class LineageStatus(StatusModel):
    """The features of the resolved version, and their verdict."""

    feature_service: str | None = Field(None, description="The feature service, where known.")
    declared_service: str | None = Field(None, description="The service the spec declares.")
    recorded_service: str | None = Field(None, description="The service the run recorded.")
    origin: LineageOrigin | None = Field(
        None, description="The record from which the features were taken."
    )
    column_names: ColumnNames | None = Field(
        None,
        description="The names of the columns in the model's signature: Full (view__feature) or"
        " Short (feature). Unknown: the signature has or shows none, so both count.",
    )
    feature_count: StrictInt = Field(0, description="How many features there are.")
    feature_views: Annotated[tuple[str, ...], SET] = Field(
        (), description="Up to 100 views of the features."
    )
    feature_views_total: StrictInt = Field(0, description="How many views there are.")
    features: Annotated[tuple[str, ...], SET] = Field(
        (), description="Up to 100 features, as view:feature."
    )
    truncated: StrictBool = Field(
        False, description="Whether the record of the features was cut off."
    )
    schema_digest: SchemaDigest | None = Field(None, description="Baseline and present.")
    baseline_registry_digest: str | None = Field(
        None, description="Digest of the registry snapshot the baseline was read from."
    )
    verdict: Verdict = Field(Verdict.UNKNOWN, description="The verdict.")
    verdict_since: Timestamp | None = Field(None, description="When the verdict last changed.")
    problems: Annotated[tuple[ProblemStatus, ...], ATOMIC] = Field(
        (), description="Up to 50 differences."
    )
    problems_total: StrictInt = Field(0, description="How many differences there are.")


class ModelFreshnessStatus(StatusModel):
    """The freshness of the features, as times and not as ages."""

    oldest_view: str | None = Field(None, description="The least fresh view.")
    materialized_until: Timestamp | None = Field(
        None, description="End of the newest materialized window of that view."
    )
    max_age: Duration | None = Field(None, description="The objective that counts.")
    fresh: StrictBool | None = Field(None, description="Whether it is met; absent: not known.")
    reason: str | None = Field(None, description="Why it is not met, or not known.")


class FeatureServerStatus(StatusModel):
    """What the feature server of `spec.probe.featureServerUrl` answered to the same retrieval."""

    url: str = Field(description="Its address.")
    healthy: StrictBool | None = Field(
        None, description="What its /health says; absent: neither 200 nor 503."
    )
    version: str | None = Field(
        None,
        description="What is known of its version. It names none over HTTP, so its API is compared"
        " with that of Feast in the job.",
    )
    served: StrictBool = Field(False, description="Whether it answered with features.")
    error: str | None = Field(None, description="Why not, on one line.")
    differing_ratio: float | None = Field(
        None,
        description="Share of values that differ from those of Feast in the job, of the column with"
        " the largest, from 0 to 1.",
    )
    worst_feature: str | None = Field(None, description="That column, if values differ.")


class ServingStatus(StatusModel):
    """What the online store answered when the features of the model were retrieved."""

    checked_at: Timestamp | None = Field(None, description="When the probe ended.")
    keys: StrictInt = Field(0, description="How many entity keys were retrieved.")
    served: StrictBool = Field(False, description="Whether Feast answered without an error.")
    error: str | None = Field(None, description="Its error, on one line.")
    null_ratio: float | None = Field(
        None, description="Share of null values of `worstFeature`, from 0 to 1."
    )
    source_null_ratio: float | None = Field(
        None, description="Share of null values of `worstFeature` when its rows were written."
    )
    missing_ratio: float | None = Field(
        None, description="Share of the written keys that the online store does not have."
    )
    newest_event: Timestamp | None = Field(
        None, description="Newest event timestamp in the answer."
    )
    skew_ratio: float | None = Field(
        None,
        description="Share of the compared values that differ from those of the source, of the "
        "column with the largest; absent if none was compared.",
    )
    compared_at: Timestamp | None = Field(
        None, description="When values were last compared with those of the source."
    )
    late_rows: StrictInt | None = Field(
        None,
        description="Compared values whose row of the source came, or changed, after the "
        "materialization.",
    )
    worst_feature: str | None = Field(
        None,
        description="The column that is farthest from what was written, or from the source if the "
        "reason is Skewed.",
    )
    feature_server: FeatureServerStatus | None = Field(
        None, description="What the feature server answered; absent: it was not asked."
    )


class HistoryEntry(StatusModel):
    """A version that the alias pointed to, as observed."""

    version: str = Field(description="The version.")
    from_: Timestamp | None = Field(None, alias="from", description="First seen.")
    to: Timestamp | None = Field(None, description="Last seen; absent: still.")
    verdict: Verdict = Field(Verdict.UNKNOWN, description="The verdict at the end.")


class TrainedModelStatus(StatusModel):
    """The observed state of a registered model."""

    observed_generation: ObservedGeneration = Field(
        None, description="The generation of the spec this status is about."
    )
    conditions: ConditionSet = Field((), description="Aspects of the observed state.")
    last_handled_reconcile_at: str | None = Field(
        None, description="The reconcile-requested-at annotation last acted on."
    )
    resolved: ResolvedStatus | None = Field(None, description="The version of the model.")
    lineage: LineageStatus | None = Field(None, description="Its features.")
    freshness: ModelFreshnessStatus | None = Field(None, description="How fresh they are.")
    serving: ServingStatus | None = Field(None, description="What the online store answers.")
    serving_by_default: StrictBool | None = Field(
        None,
        description="Whether an absent readyRequires means Serving, too, if the project has a"
        " probe: true unless an older version saw this resource first.",
    )
    history: Annotated[tuple[HistoryEntry, ...], ATOMIC] = Field(
        (), description="Up to 10 versions the alias pointed to, newest first."
    )
