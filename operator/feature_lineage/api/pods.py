"""How a project's jobs run: the fields of a pod that users may set, as Kubernetes spells them.

Shallow types are defined here, so that a typo is found early. Deep types (volumes, affinity,
security context) have the bounds of `pod_shapes`, and are passed on unchanged: Kubernetes validates
them when the Job is created.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, GetJsonSchemaHandler, StrictBool, StrictInt
from pydantic_core import CoreSchema

from feature_lineage.api import pod_shapes as shapes
from feature_lineage.api.base import ApiModel, at_most_one_of, exactly_one_of, rule
from feature_lineage.api.checks import ATOMIC, MAP_BY_NAME, ListType, Pattern
from feature_lineage.api.refs import ObjectRef
from feature_lineage.api.types import (
    DataKey,
    DnsLabel,
    DnsName,
    Duration,
    Labels,
    LongText,
    Quantity,
    Text,
    at_least,
)

MAX_VALUE: Final = 32 * 1024
"""Characters of a variable or an annotation."""

EnvName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Pattern(
        r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", "letters, digits, -, _ and ., not starting with a digit"
    ),
]


class ResourceRequirements(ApiModel):
    """CPU and memory of a job's container."""

    requests: Annotated[dict[str, Quantity], Field(max_length=32)] = Field(
        {}, description="Amounts that the scheduler reserves."
    )
    limits: Annotated[dict[str, Quantity], Field(max_length=32)] = Field(
        {}, description="Limits of the container."
    )


class OptionalKeyRef(ApiModel):
    """One key of a Secret or ConfigMap that may be absent."""

    name: DnsName = Field(description="Name of the Secret or ConfigMap, in the same namespace.")
    key: DataKey = Field(description="Key within its data.")
    optional: StrictBool | None = Field(None, description="Whether the key may be absent.")


class FieldRef(ApiModel):
    """A field of the pod itself."""

    api_version: Text | None = Field(None, description="Version of the schema; v1 by default.")
    field_path: Text = Field(description="Path of the field, such as metadata.name.")


class ResourceFieldRef(ApiModel):
    """A resource of the container itself."""

    container_name: Text | None = Field(None, description="Name of the container.")
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
    value: Annotated[str, Field(max_length=MAX_VALUE)] | None = Field(
        None, description="Its value."
    )
    value_from: EnvVarSource | None = Field(None, description="Where its value comes from.")


class OptionalObjectRef(ApiModel):
    """A Secret or ConfigMap that may be absent."""

    name: DnsName = Field(description="Name of the object, in the same namespace.")
    optional: StrictBool | None = Field(None, description="Whether the object may be absent.")


@exactly_one_of("secret_ref", "config_map_ref")
class EnvFromSource(ApiModel):
    """Environment variables from all keys of an object."""

    prefix: LongText | None = Field(None, description="Prefix of each variable.")
    secret_ref: OptionalObjectRef | None = Field(None, description="All keys of this Secret.")
    config_map_ref: OptionalObjectRef | None = Field(
        None, description="All keys of this ConfigMap."
    )


Part = dict[str, Any]

REFUSED: Final = (
    *("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "fc", "flexVolume"),
    *("flocker", "gcePersistentDisk", "gitRepo", "glusterfs", "hostPath", "iscsi", "nfs"),
    *("photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos"),
    "vsphereVolume",
)
"""Sources of Kubernetes that the pod security standard `restricted` refuses.

The CRD has them, empty: the API server would remove an unknown field, and the volume would be an
empty folder. The models do not have them.
"""


@at_most_one_of(
    *("config_map", "csi", "downward_a_p_i", "empty_dir", "ephemeral", "image"),
    *("persistent_volume_claim", "projected", "secret"),
)
@rule(
    "hostPath and the other sources that the pod security standard restricted refuses are not "
    "available; use a persistentVolumeClaim or csi",
    cel=" && ".join(f"!has(self.{name})" for name in REFUSED),
    holds=lambda _: True,
)
class Volume(ApiModel):
    """A volume of the pod: its name, and a source of the pod security standard `restricted`."""

    name: DnsLabel = Field(description="Name of the volume; mounts refer to it.")
    config_map: Annotated[Part, shapes.CONFIG_MAP] | None = Field(
        None, description="Files from a ConfigMap."
    )
    csi: Annotated[Part, shapes.CSI] | None = Field(None, description="A volume of a CSI driver.")
    downward_a_p_i: Annotated[Part, shapes.DOWNWARD_API] | None = Field(
        None, description="Files with fields of the pod."
    )
    empty_dir: Annotated[Part, shapes.EMPTY_DIR] | None = Field(
        None, description="An empty folder for the life of the pod."
    )
    ephemeral: Annotated[Part, shapes.EPHEMERAL] | None = Field(
        None, description="A claim that is created and deleted with the pod."
    )
    image: Annotated[Part, shapes.IMAGE] | None = Field(
        None, description="The files of an OCI image."
    )
    persistent_volume_claim: Annotated[Part, shapes.CLAIM] | None = Field(
        None, description="An existing claim."
    )
    projected: Annotated[Part, shapes.PROJECTED] | None = Field(
        None, description="Several sources in one folder."
    )
    secret: Annotated[Part, shapes.SECRET] | None = Field(None, description="Files from a Secret.")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        refused = {"type": "object", "description": shapes.NOT_AVAILABLE}
        schema["properties"] |= dict.fromkeys(REFUSED, refused)
        return schema


class VolumeMount(ApiModel):
    """The mount path of a volume in the container."""

    name: DnsLabel = Field(description="Name of the volume.")
    mount_path: Text = Field(description="Path in the container.")
    sub_path: LongText | None = Field(None, description="Path within the volume.")
    sub_path_expr: LongText | None = Field(
        None, description="Path within the volume, with $(VAR) expanded."
    )
    read_only: StrictBool | None = Field(None, description="Whether the mount is read-only.")
    mount_propagation: LongText | None = Field(None, description="How mounts propagate.")
    recursive_read_only: LongText | None = Field(
        None, description="Whether a read-only mount is recursive."
    )


class Toleration(ApiModel):
    """A taint that the pods of jobs tolerate."""

    key: LongText | None = Field(None, description="Key of the taint; every key when absent.")
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = Field(
        None, description="How the value is compared; Equal by default."
    )
    value: LongText | None = Field(None, description="Value of the taint.")
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
    pod_labels: Labels = Field({}, description="Labels put on the jobs' pods.")
    pod_annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=MAX_VALUE)]], Field(max_length=100)
    ] = Field({}, description="Annotations put on the jobs' pods.")
    node_selector: Labels = Field({}, description="Labels a node must have.")
    tolerations: Annotated[tuple[Toleration, ...], ATOMIC] = Field(
        (), max_length=50, description="Taints that the jobs tolerate."
    )
    affinity: Annotated[Part, shapes.AFFINITY] | None = Field(
        None, description="Affinity of the jobs' pods."
    )
    priority_class_name: DnsName | None = Field(None, description="PriorityClass of the jobs.")
    image_pull_secrets: Annotated[tuple[ObjectRef, ...], MAP_BY_NAME] = Field(
        (), max_length=50, description="Secrets to pull the image with."
    )
    security_context: Annotated[Part, shapes.SECURITY_CONTEXT] | None = Field(
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
