"""`spec` of a TrainedModel: the registered model to follow, and the requirements for Ready."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool

from feature_lineage.api.base import ApiModel, exactly_one_of
from feature_lineage.api.checks import SET, Pattern
from feature_lineage.api.enums import OnConflict, ReadyRequirement, TagsMode
from feature_lineage.api.types import DnsLabel, DnsName, Duration, Text, at_least

ModelName = Annotated[str, Field(min_length=1, max_length=256)]


class ProjectRef(ApiModel):
    """The FeatureStoreProject with the features of the model."""

    name: DnsName = Field(description="Name of the FeatureStoreProject.")
    namespace: DnsLabel | None = Field(
        None,
        description="Its namespace, if that project allows it; by default that of the model.",
    )


@exactly_one_of("alias", "version")
class ModelRef(ApiModel):
    """A registered model of MLflow, followed by alias or pinned to a version."""

    name: ModelName = Field(description="Name of the registered model.")
    alias: ModelName | None = Field(None, description="Follow the version this alias points to.")
    version: (
        Annotated[
            str,
            Field(max_length=16),
            Pattern(r"^[1-9][0-9]*$", 'the number of a version, such as "3"'),
        ]
        | None
    ) = Field(None, description="This version, a number in quotes.")


class TagsSpec(ApiModel):
    """The tags that are written on the model version."""

    mode: TagsMode = Field(
        TagsMode.ALL,
        description="All also writes missing keys of Feast, OwnKeys only those of the operator, Off"
        " none.",
    )


class ModelFreshness(ApiModel):
    """The freshness objective for the features of the model."""

    max_age: Annotated[Duration, at_least("1s")] = Field(
        description="Objective of this model, if stricter than that of the project; at least 1s."
    )


class TrainedModelSpec(ApiModel):
    """The registered model to follow, and the requirements for Ready."""

    project_ref: ProjectRef = Field(description="The project with the features of the model.")
    model: ModelRef = Field(description="The registered model.")
    feature_service: Text | None = Field(
        None,
        description="Feature service of the model; if absent, the recorded features are used.",
    )
    on_conflict: OnConflict = Field(
        OnConflict.REPORT,
        description="What to do if the declared and the recorded service differ.",
    )
    tags: TagsSpec = Field(TagsSpec(), description="Tags that are written on the model version.")
    ready_requires: Annotated[tuple[ReadyRequirement, ...], Field(max_length=3), SET] | None = (
        Field(
            None,
            description="The requirements of Ready; if empty, Ready means observed. If absent:"
            " Lineage, and Serving if status.servingByDefault is true and the project has a probe.",
        )
    )
    freshness: ModelFreshness | None = Field(
        None, description="How fresh the features of the model must be."
    )
    suspend: StrictBool = Field(False, description="Whether the operator stops writing tags.")

    @property
    def declares(self) -> bool:
        """Whether the spec declares a version or a service, which aliases and records do not."""
        return self.model.version is not None or self.feature_service is not None
