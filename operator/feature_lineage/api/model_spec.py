"""`spec` of a TrainedModel: which registered model to follow, and what is expected of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool

from feature_lineage.api.base import ApiModel, exactly_one_of
from feature_lineage.api.enums import OnConflict, ReadyRequirement, TagsMode
from feature_lineage.api.types import SET, AtLeast, DnsLabel, DnsName, Duration, Pattern, Text

ModelName = Annotated[str, Field(min_length=1, max_length=256)]


class ProjectRef(ApiModel):
    """The FeatureStoreProject a model's features come from."""

    name: DnsName = Field(description="Name of the FeatureStoreProject.")
    namespace: DnsLabel | None = Field(
        None,
        description="Its namespace, where that project allows it; the model's own when absent.",
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
    """What is written on the model version."""

    mode: TagsMode = Field(
        TagsMode.ALL,
        description="All also writes Feast's own keys where they are missing, OwnKeys only ours,"
        " Off none.",
    )


class ModelFreshness(ApiModel):
    """How fresh the model's features must be."""

    max_age: Annotated[Duration, AtLeast("1s")] = Field(
        description="Stricter than the project's, for this model; at least 1s."
    )


class TrainedModelSpec(ApiModel):
    """Which registered model to follow, and what is expected of it."""

    project_ref: ProjectRef = Field(description="The project its features come from.")
    model: ModelRef = Field(description="The registered model.")
    feature_service: Text | None = Field(
        None, description="Feature service it uses; without it the recorded lineage is used."
    )
    on_conflict: OnConflict = Field(
        OnConflict.REPORT,
        description="What to do when the declared and the recorded service differ.",
    )
    tags: TagsSpec = Field(TagsSpec(), description="What is written on the model version.")
    ready_requires: Annotated[tuple[ReadyRequirement, ...], SET] = Field(
        (ReadyRequirement.LINEAGE,),
        max_length=2,
        description="What Ready asks for; when empty, Ready means observed.",
    )
    freshness: ModelFreshness | None = Field(
        None, description="How fresh the model's features must be."
    )
    suspend: StrictBool = Field(False, description="Whether writes of tags stop.")
