"""`v1` Secret and ConfigMap, which the local host reads from its folder of manifests."""

from __future__ import annotations

import base64
from typing import Literal

from pydantic import ConfigDict, Field, StrictBool, field_validator
from pydantic_core import PydanticCustomError

from feature_lineage.api.base import ApiModel
from feature_lineage.api.meta import ObjectMeta


def _only_base64(data: dict[str, str]) -> dict[str, str]:
    for key, value in data.items():
        try:
            base64.b64decode("".join(value.split()), validate=True)
        except ValueError as error:
            fact = (
                f'key "{key}" is not base64: encode it, or put plain text under the field for text'
            )
            raise PydanticCustomError("base64", "{fact}", {"fact": fact}) from error
    return data


def _decode(data: dict[str, str]) -> dict[str, bytes]:
    return {key: base64.b64decode("".join(value.split())) for key, value in data.items()}


class Secret(ApiModel):
    """A `v1` Secret. Its values are never part of a repr."""

    model_config = ConfigDict(hide_input_in_errors=True)

    api_version: Literal["v1"] = Field("v1", description="Version of the API.")
    kind: Literal["Secret"] = Field("Secret", description="Kind of the object.")
    metadata: ObjectMeta = Field(description="Kubernetes' metadata.")
    type: str = Field("Opaque", description="Type of the Secret.")
    immutable: StrictBool | None = Field(None, description="Whether it may change.")
    data: dict[str, str] = Field({}, repr=False, description="Values in base64.")
    string_data: dict[str, str] = Field({}, repr=False, description="Values in plain text.")

    _data_is_base64 = field_validator("data")(_only_base64)

    def contents(self) -> dict[str, bytes]:
        """Every key with its decoded value; `stringData` wins, as in Kubernetes."""
        plain = {key: value.encode() for key, value in self.string_data.items()}
        return {**_decode(self.data), **plain}


class ConfigMap(ApiModel):
    """A `v1` ConfigMap."""

    api_version: Literal["v1"] = Field("v1", description="Version of the API.")
    kind: Literal["ConfigMap"] = Field("ConfigMap", description="Kind of the object.")
    metadata: ObjectMeta = Field(description="Kubernetes' metadata.")
    immutable: StrictBool | None = Field(None, description="Whether it may change.")
    data: dict[str, str] = Field({}, description="Texts.")
    binary_data: dict[str, str] = Field({}, description="Bytes in base64.")

    _data_is_base64 = field_validator("binary_data")(_only_base64)

    def contents(self) -> dict[str, bytes]:
        """Every key with its value as bytes."""
        plain = {key: value.encode() for key, value in self.data.items()}
        return {**plain, **_decode(self.binary_data)}
