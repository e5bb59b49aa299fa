"""References to Secrets and ConfigMaps, by name and in the namespace of the resource."""

from __future__ import annotations

from pydantic import Field

from feature_lineage.api.base import ApiModel, exactly_one_of
from feature_lineage.api.types import DataKey, DnsName


class ObjectRef(ApiModel):
    """An object of the same namespace, by name."""

    name: DnsName = Field(description="Name of the object, in the same namespace.")


class KeyRef(ApiModel):
    """One key of a Secret or ConfigMap of the same namespace."""

    name: DnsName = Field(description="Name of the Secret or ConfigMap, in the same namespace.")
    key: DataKey = Field(description="Key within its data.")


@exactly_one_of("secret_key_ref", "config_map_key_ref")
class KeySource(ApiModel):
    """A text kept in a Secret or in a ConfigMap."""

    secret_key_ref: KeyRef | None = Field(None, description="The text is a key of this Secret.")
    config_map_key_ref: KeyRef | None = Field(
        None, description="The text is a key of this ConfigMap."
    )

    @property
    def ref(self) -> KeyRef:
        """The reference that is set."""
        ref = self.secret_key_ref or self.config_map_key_ref
        assert ref is not None
        return ref
