"""The two custom resources."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from feature_lineage.api.base import API_VERSION, ApiModel, rule
from feature_lineage.api.meta import ObjectMeta
from feature_lineage.api.model_spec import TrainedModelSpec
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import FeatureStoreProjectStatus

_short_name = rule(
    "metadata.name must be at most 63 characters: it becomes the value of labels",
    cel="size(self.metadata.name) <= 63",
    holds=lambda self: len(self.metadata.name) <= 63,
)


@_short_name
class FeatureStoreProject(ApiModel):
    """A Feast project: its source, how changes are applied, and which models are protected."""

    api_version: Literal["featurelineage.io/v1alpha1"] = Field(
        API_VERSION, description="Version of this API."
    )
    kind: Literal["FeatureStoreProject"] = Field(
        "FeatureStoreProject", description="Kind of this resource."
    )
    metadata: ObjectMeta = Field(description="Kubernetes' metadata.")
    spec: FeatureStoreProjectSpec = Field(description="The desired state.")
    status: FeatureStoreProjectStatus = Field(
        FeatureStoreProjectStatus(), description="The observed state, and the operations."
    )


@_short_name
class TrainedModel(ApiModel):
    """A registered model of MLflow, by alias or version, and the features it was trained on."""

    api_version: Literal["featurelineage.io/v1alpha1"] = Field(
        API_VERSION, description="Version of this API."
    )
    kind: Literal["TrainedModel"] = Field("TrainedModel", description="Kind of this resource.")
    metadata: ObjectMeta = Field(description="Kubernetes' metadata.")
    spec: TrainedModelSpec = Field(description="Which model to follow, and its requirements.")
    status: TrainedModelStatus = Field(TrainedModelStatus(), description="The observed state.")
