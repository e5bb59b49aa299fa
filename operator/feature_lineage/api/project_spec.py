"""`spec` of a FeatureStoreProject: the desired state."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from feature_lineage.api.base import ApiModel, rule
from feature_lineage.api.checks import MAP_BY_NAME, SET, Check, Pattern
from feature_lineage.api.enums import (
    ApplyMode,
    DeletionPolicy,
    Harm,
    NamespacesFrom,
    OnGuardUnavailable,
    OnUnknown,
    ProbeSkew,
    ProtectionMode,
)
from feature_lineage.api.mlflow_spec import MlflowSpec, OpenUrl
from feature_lineage.api.pods import RuntimeSpec
from feature_lineage.api.refs import KeySource
from feature_lineage.api.schedules import Backfill, Schedule
from feature_lineage.api.sources import Source
from feature_lineage.api.types import DnsLabel, Duration, Text, at_least, zero_or_at_least

ProjectName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Pattern(r"^[a-zA-Z0-9_]{1,63}$", "letters, digits and _, such as driver_ranking"),
    Check(
        "project is immutable: create another FeatureStoreProject for another project",
        cel="self == oldSelf",
    ),
]
Globs = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], Field(max_length=100), SET
]
BlockOn = Annotated[
    tuple[Harm, ...],
    Field(max_length=2),
    SET,
    Check(
        "blockOn must contain Broken: to block nothing, set mode to Warn or Off",
        cel="'Broken' in self",
        holds=lambda harms: Harm.BROKEN in harms,
    ),
]


class NameFilter(ApiModel):
    """Names by glob: those that match `include` and do not match `exclude`."""

    include: Globs = Field(("*",), description="Globs of names that are selected.")
    exclude: Globs = Field(
        (), description="Globs of names that are not selected, although include matches."
    )


@rule(
    "services needs at least one name in include or exclude",
    cel="(has(self.include) && size(self.include) > 0)"
    " || (has(self.exclude) && size(self.exclude) > 0)",
    holds=lambda self: bool(self.include or self.exclude),
)
class ServiceFilter(ApiModel):
    """Feature services by glob, and by their own tag `featurelineage.io/protected: "true"`."""

    include: Globs = Field(
        (), description="Globs of names that are protected, besides the services with the tag."
    )
    exclude: Globs = Field(
        (),
        description="Globs of names that are not protected, although include or the tag says so.",
    )


class Protection(ApiModel):
    """Which models and feature services a change must not break."""

    mode: ProtectionMode = Field(
        ProtectionMode.ENFORCE,
        description="Enforce blocks a breaking change, Warn reports it, Off does not compare.",
    )
    block_on: BlockOn = Field(
        (Harm.BROKEN,), description="Which verdicts block a change: Broken, or Broken and Changed."
    )
    aliases: NameFilter = Field(
        NameFilter(), description="Which aliases protect a model version; globs."
    )
    models: NameFilter = Field(
        NameFilter(),
        description="Which registered models are protected; globs.",
    )
    services: ServiceFilter | None = Field(
        None,
        description="Which feature services are protected without a model; absent: those with the"
        " tag featurelineage.io/protected.",
    )
    on_unknown: OnUnknown = Field(
        OnUnknown.WARN,
        description="What to do if the features of a model of this project are not known.",
    )
    on_guard_unavailable: OnGuardUnavailable = Field(
        OnGuardUnavailable.BLOCK,
        description="What to do while MLflow is down: Block, or UseLast facts up to maxGuardAge.",
    )
    max_guard_age: Annotated[Duration, at_least("1s")] = Field(
        Duration("10m"), description="How old facts about models may be for an apply, at least 1s."
    )


class ApplySpec(ApiModel):
    """How changes of the repository reach the registry."""

    mode: ApplyMode = Field(
        ApplyMode.AUTO,
        description="Auto applies, PlanOnly only plans, Observe is for projects that another tool"
        " applies.",
    )
    prune: StrictBool = Field(
        True,
        description="Whether objects that are no longer in the repository are deleted, as by"
        " `feast apply`.",
    )
    protection: Protection = Field(
        Protection(), description="Which models and feature services a change must not break."
    )


class RegistrySpec(ApiModel):
    """How changes of the Feast registry by other tools are detected."""

    poll_interval: Annotated[Duration, at_least("1s")] = Field(
        Duration("1h"), description="How often a short job reads the registry, at least 1s."
    )


class ProbeSpec(ApiModel):
    """How the online store is asked whether it serves the features of the models."""

    interval: Annotated[Duration, zero_or_at_least("1m")] | None = Field(
        None,
        description="How often a short job retrieves the features of each model version that has "
        "an alias or that a TrainedModel declares, besides after each apply and materialization; "
        "at least 1m, if absent 1h. With 0s the store is not asked, as without probe.",
    )
    keys: Annotated[StrictInt, Field(ge=5, le=1000)] | None = Field(
        None, description="How many entity keys are retrieved for each model; if absent 100."
    )
    skew: ProbeSkew | None = Field(
        None,
        description="Whether values are compared with those of the sources after a "
        "materialization. Auto: of files and PostgreSQL; Always: also of warehouses; if absent "
        "Auto.",
    )
    feature_server_url: OpenUrl | None = Field(
        None,
        description="Address of the feature server (feast serve) that serves the models: each "
        "probe asks it, too, without a credential. In a cluster, allowedFeatureServerUrls must "
        "allow it.",
    )


class ViewFreshness(ApiModel):
    """The objective of one feature view."""

    name: Text = Field(description="Name of the feature view.")
    max_age: Annotated[Duration, at_least("1s")] = Field(
        description="How old its newest materialization may be, at least 1s."
    )


class ProjectFreshness(ApiModel):
    """How fresh the online store must be."""

    max_age: Annotated[Duration, at_least("1s")] | None = Field(
        None, description="The objective of every view without its own, at least 1s."
    )
    views: Annotated[tuple[ViewFreshness, ...], MAP_BY_NAME] = Field(
        (), max_length=500, description="Objectives of single views."
    )


@rule(
    "names is for from: List only, which needs at least one name",
    cel="(self.from == 'List') == (has(self.names) && size(self.names) > 0)",
    holds=lambda self: (self.from_ is NamespacesFrom.LIST) == bool(self.names),
)
class AllowedNamespaces(ApiModel):
    """The namespaces whose TrainedModels may reference the project."""

    from_: NamespacesFrom = Field(
        NamespacesFrom.SAME,
        alias="from",
        description="Same: the namespace of the project; All: every namespace; List: its own and"
        " those in names.",
    )
    names: Annotated[tuple[DnsLabel, ...], SET] = Field(
        (), max_length=100, description="Namespaces, for from: List."
    )

    def permit(self, namespace: str, own: str) -> bool:
        """Whether TrainedModels in `namespace` may refer to the project, which is in `own`."""
        if self.from_ is NamespacesFrom.ALL or namespace == own:
            return True
        return self.from_ is NamespacesFrom.LIST and namespace in self.names


@rule(
    "source is required, unless apply.mode is Observe and featureStoreYaml is given",
    cel="has(self.source) || (self.apply.mode == 'Observe' && has(self.featureStoreYaml))",
    holds=lambda self: (
        self.source is not None
        or (self.apply.mode is ApplyMode.OBSERVE and self.feature_store_yaml is not None)
    ),
)
class FeatureStoreProjectSpec(ApiModel):
    """The desired state of a Feast project."""

    project: ProjectName = Field(
        description="Name of the Feast project, as in feature_store.yaml; immutable."
    )
    suspend: StrictBool = Field(
        False,
        description="Whether jobs and writes stop; verdicts, metrics and alerts continue.",
    )
    source: Source | None = Field(None, description="Where the feature repository comes from.")
    feature_store_yaml: KeySource | None = Field(
        None, description="Replaces feature_store.yaml of the source."
    )
    runtime: RuntimeSpec = Field(RuntimeSpec(), description="How the jobs of the project run.")
    apply: ApplySpec = Field(
        ApplySpec(), description="How changes of the repository reach the registry."
    )
    registry: RegistrySpec | None = Field(
        None, description="How changes of the registry by other tools are detected."
    )
    probe: ProbeSpec | None = Field(
        None,
        description="How the online store is asked whether it serves the features of the models; "
        "if absent, nobody asks.",
    )
    schedules: Annotated[tuple[Schedule, ...], MAP_BY_NAME] = Field(
        (), max_length=100, description="Recurring materializations."
    )
    backfills: Annotated[tuple[Backfill, ...], MAP_BY_NAME] = Field(
        (), max_length=100, description="Past ranges to materialize once."
    )
    freshness: ProjectFreshness | None = Field(
        None, description="How fresh the online store must be."
    )
    mlflow: MlflowSpec | None = Field(
        None, description="The MLflow server with the models of this project."
    )
    deletion_policy: DeletionPolicy = Field(
        DeletionPolicy.RETAIN,
        description="Delete also removes the Feast objects of this project, never those of another"
        " project.",
    )
    allowed_namespaces: AllowedNamespaces = Field(
        AllowedNamespaces(),
        description="The namespaces whose TrainedModels may reference the project.",
    )

    @property
    def probe_interval(self) -> Duration | None:
        """How often the online store is asked; None if it is not asked."""
        if self.probe is None or self.probe.interval is None:
            return None if self.probe is None else Duration("1h")
        return self.probe.interval or None

    @property
    def probe_keys(self) -> int:
        """How many entity keys are retrieved for each model; 0 if the store is not asked."""
        return 0 if self.probe is None or not self.is_probed else self.probe.keys or 100

    @property
    def is_probed(self) -> bool:
        """Whether the online store is asked."""
        return self.probe_interval is not None

    @property
    def probe_skew(self) -> ProbeSkew:
        """Of which sources values are compared with the online store."""
        return self.probe.skew or ProbeSkew.AUTO if self.probe is not None else ProbeSkew.OFF

    @property
    def feature_server(self) -> str:
        """Address of the feature server that is asked, too; "" for none."""
        return (self.probe.feature_server_url or "") if self.probe is not None else ""

    @property
    def registry_poll_interval(self) -> Duration | None:
        """How often to read the registry; None if it is read only by jobs that write."""
        if self.registry is not None:
            return self.registry.poll_interval
        return RegistrySpec().poll_interval if self.apply.mode is ApplyMode.OBSERVE else None
