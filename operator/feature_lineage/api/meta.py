"""Kubernetes' own types: the part of object metadata and conditions that this project reads."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from feature_lineage.api.base import ApiModel, StatusModel
from feature_lineage.api.checks import ATOMIC, ListType
from feature_lineage.api.types import DnsName, Timestamp

MAX_FINALIZERS: Final = 100
"""All are kept, because a change of one writes all; the API server allows a megabyte of them."""


class OwnerReference(ApiModel):
    """The owner of an object: the object is garbage-collected with its owner."""

    model_config = ConfigDict(extra="ignore")

    api_version: str = Field(description="API version of the owner.")
    kind: str = Field(description="Kind of the owner.")
    name: str = Field(description="Name of the owner.")
    uid: str = Field(description="UID of the owner.")
    controller: StrictBool | None = Field(None, description="Whether the owner manages the object.")
    block_owner_deletion: StrictBool | None = Field(
        None, description="Whether foreground deletion of the owner waits for the object."
    )


class ObjectMeta(ApiModel):
    """The part of an object's metadata that this project reads; other fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    name: DnsName = Field(description="Name of the object.")
    namespace: str = Field("default", description="Namespace of the object.")
    uid: str = Field("", description="Identity of the object over renames and re-creations.")
    generation: StrictInt = Field(0, description="Counts the changes of the spec.")
    resource_version: str = Field("", description="Opaque version for optimistic concurrency.")
    labels: dict[str, str] = Field({}, description="Labels.")
    annotations: dict[str, str] = Field({}, description="Annotations.")
    creation_timestamp: Timestamp | None = Field(None, description="When the object was created.")
    deletion_timestamp: Timestamp | None = Field(None, description="When deletion was requested.")
    finalizers: Annotated[tuple[str, ...], ATOMIC] = Field(
        (), max_length=MAX_FINALIZERS, description="Finalizers, which delay the deletion."
    )
    owner_references: Annotated[tuple[OwnerReference, ...], ATOMIC] = Field(
        (), description="Who owns the object."
    )


class Condition(StatusModel):
    """A `metav1.Condition`: one aspect of the observed state."""

    type: str = Field(max_length=316, description="Type of the condition, in CamelCase.")
    status: Literal["True", "False", "Unknown"] = Field(description="Status of the condition.")
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="Reason of the status, for programs.",
    )
    message: str = Field("", description="Reason of the status, for people, with the next step.")
    last_transition_time: Timestamp = Field(description="When the status last changed.")
    observed_generation: StrictInt | None = Field(
        None, ge=0, description="The generation of the spec this was computed from."
    )


ConditionSet = Annotated[tuple[Condition, ...], ListType("map", ("type",))]

UNSEEN: Final = -1
"""``status.observedGeneration`` before the first reconcile of an object: the default of the CRD.

Without this default, kstatus and Flux would treat an object without a status as done.
"""

ObservedGeneration = Annotated[
    StrictInt | None, BeforeValidator(lambda value: None if value == UNSEEN else value)
]
