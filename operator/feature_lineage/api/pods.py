"""How a project's jobs run: the fields of a pod that users may set, as Kubernetes spells them.

Shallow types are defined here, so that a typo is found early. Deep types (volumes, affinity,
security context) are passed on unchanged: Kubernetes validates them when the Job is created.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt

from feature_lineage.api.base import ApiModel, exactly_one_of
from feature_lineage.api.checks import ATOMIC, MAP_BY_NAME, ListType, Pattern
from feature_lineage.api.refs import ObjectRef
from feature_lineage.api.types import (
    DataKey,
    DnsLabel,
    DnsName,
    Duration,
    PodFragment,
    Quantity,
    Text,
    at_least,
)

EnvName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Pattern(
        r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", "letters, digits, -, _ and ., not starting with a digit"
    ),
]


class ResourceRequirements(ApiModel):
    """CPU and memory of a job's container."""

    requests: dict[str, Quantity] = Field({}, description="Amounts that the scheduler reserves.")
    limits: dict[str, Quantity] = Field({}, description="Limits of the container.")


class OptionalKeyRef(ApiModel):
    """One key of a Secret or ConfigMap that may be absent."""

    name: DnsName = Field(description="Name of the Secret or ConfigMap, in the same namespace.")
    key: DataKey = Field(description="Key within its data.")
    optional: StrictBool | None = Field(None, description="Whether the key may be absent.")


class FieldRef(ApiModel):
    """A field of the pod itself."""

    api_version: str | None = Field(None, description="Version of the schema; v1 by default.")
    field_path: Text = Field(description="Path of the field, such as metadata.name.")


class ResourceFieldRef(ApiModel):
    """A resource of the container itself."""

    container_name: str | None = Field(None, description="Name of the container.")
    resource: Text = Field(description="Which resource, such as limits.memory.")
    divisor: Quantity | None = Field(None, description="Unit of the value; 1 by default.")


@exactly_one_of("secret_key_ref", "config_map_key_ref", "field_ref", "resource_field_ref")
class EnvVarSource(ApiModel):
    """The source of an environment variable's value."""

    secret_key_ref: OptionalKeyRef | None = Field(None, description="A key of a Secret.")
    config_map_key_ref: OptionalKeyRef | None = Field(None, description="A key of a ConfigMap.")
    field_ref: FieldRef | None = Field(None, description="A field of the pod.")
    resource_field_ref: ResourceFieldRef | None = Field(
        None, description="A resource of the container."
    )


class EnvVar(ApiModel):
    """One environment variable."""

    name: EnvName = Field(description="Name of the variable.")
    value: str | None = Field(None, description="Its value.")
    value_from: EnvVarSource | None = Field(None, description="Where its value comes from.")


class OptionalObjectRef(ApiModel):
    """A Secret or ConfigMap that may be absent."""

    name: DnsName = Field(description="Name of the object, in the same namespace.")
    optional: StrictBool | None = Field(None, description="Whether the object may be absent.")


@exactly_one_of("secret_ref", "config_map_ref")
class EnvFromSource(ApiModel):
    """Environment variables from all keys of an object."""

    prefix: str | None = Field(None, description="Prefix of each variable.")
    secret_ref: OptionalObjectRef | None = Field(None, description="All keys of this Secret.")
    config_map_ref: OptionalObjectRef | None = Field(
        None, description="All keys of this ConfigMap."
    )


class Volume(ApiModel):
    """A volume of the pod: its name, and any source Kubernetes knows."""

    model_config = ConfigDict(extra="allow")

    name: DnsLabel = Field(description="Name of the volume; mounts refer to it.")


class VolumeMount(ApiModel):
    """The mount path of a volume in the container."""

    name: DnsLabel = Field(description="Name of the volume.")
    mount_path: Text = Field(description="Path in the container.")
    sub_path: str | None = Field(None, description="Path within the volume.")
    sub_path_expr: str | None = Field(
        None, description="Path within the volume, with $(VAR) expanded."
    )
    read_only: StrictBool | None = Field(None, description="Whether the mount is read-only.")
    mount_propagation: str | None = Field(None, description="How mounts propagate.")
    recursive_read_only: str | None = Field(
        None, description="Whether a read-only mount is recursive."
    )


class Toleration(ApiModel):
    """A taint that the pods of jobs tolerate."""

    key: str | None = Field(None, description="Key of the taint; every key when absent.")
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = Field(
        None, description="How the value is compared; Equal by default."
    )
    value: str | None = Field(None, description="Value of the taint.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Effect of the taint; every effect when absent."
    )
    toleration_seconds: StrictInt | None = Field(
        None, description="Seconds to stay on a node with a NoExecute taint; for ever when absent."
    )


class RuntimeSpec(ApiModel):
    """How the jobs of a project run."""

    image: Text | None = Field(
        None, description="Image of the runner; by default that of the operator's configuration."
    )
    service_account_name: DnsName | None = Field(
        None, description="ServiceAccount of the jobs; by default the operator creates one."
    )
    env: Annotated[tuple[EnvVar, ...], MAP_BY_NAME] = Field(
        (), max_length=200, description="Environment variables of the jobs."
    )
    env_from: Annotated[tuple[EnvFromSource, ...], ATOMIC] = Field(
        (), max_length=50, description="Objects whose keys become environment variables."
    )
    resources: ResourceRequirements | None = Field(None, description="CPU and memory of the jobs.")
    volumes: Annotated[tuple[Volume, ...], MAP_BY_NAME] = Field(
        (), max_length=50, description="Volumes of the jobs' pods."
    )
    volume_mounts: Annotated[tuple[VolumeMount, ...], ListType("map", ("mountPath",))] = Field(
        (), max_length=50, description="Mounts of the volumes."
    )
    pod_labels: dict[str, str] = Field({}, description="Labels put on the jobs' pods.")
    pod_annotations: dict[str, str] = Field({}, description="Annotations put on the jobs' pods.")
    node_selector: dict[str, str] = Field({}, description="Labels a node must have.")
    tolerations: Annotated[tuple[Toleration, ...], ATOMIC] = Field(
        (), max_length=50, description="Taints that the jobs tolerate."
    )
    affinity: PodFragment | None = Field(None, description="Affinity of the jobs' pods.")
    priority_class_name: DnsName | None = Field(None, description="PriorityClass of the jobs.")
    image_pull_secrets: Annotated[tuple[ObjectRef, ...], MAP_BY_NAME] = Field(
        (), max_length=50, description="Secrets to pull the image with."
    )
    security_context: PodFragment | None = Field(
        None, description="Security context of the jobs' pods, such as fsGroup."
    )
    timeout: Annotated[Duration, at_least("10s")] = Field(
        Duration("1h"), description="How long one job may take, at least 10s."
    )
    retries: StrictInt = Field(
        3,
        ge=0,
        le=20,
        description="How often a failed job is repeated, 30 s to 10 min apart.",
    )
