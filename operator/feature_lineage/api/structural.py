"""Converts pydantic's JSON schema to the structural schema that Kubernetes requires in a CRD.

Kubernetes supports no `$ref`, no `anyOf` for "or null" and no `additionalProperties: false`;
instead it removes unknown fields. A construct that this module does not recognise is an error, so
that no new type in the models gets an incomplete schema.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

Json = dict[str, Any]

_KEPT = (
    "type",
    "format",
    "description",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
_TRANSLATED = {"title", "default", "properties", "items", "additionalProperties", "const"}


def structural_schema(model: type[BaseModel], *, defaults: bool) -> Json:
    """The model as a structural schema; with `defaults`, the API server sets default values.

    Raises ValueError for a construct that has no structural form.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _Translation(schema.pop("$defs", {}), defaults).translate(schema)


class _Translation:
    def __init__(self, definitions: dict[str, Json], defaults: bool) -> None:
        self._definitions = definitions
        self._defaults = defaults

    def translate(self, schema: Json) -> Json:
        schema = self._resolve(schema)
        unknown = schema.keys() - set(_KEPT) - _TRANSLATED
        if unknown:
            raise ValueError(f"no structural form for {sorted(unknown)} in {schema}")
        result = {key: schema[key] for key in _KEPT if key in schema}
        if "const" in schema:
            result["enum"] = [schema["const"]]
        if result.get("type") == "integer":
            result["format"] = "int64"
        if self._defaults and (default := _without_empty(schema.get("default"))) is not None:
            result["default"] = default
        if "items" in schema:
            result["items"] = self.translate(schema["items"])
        # The API server drops an empty map, and a GitOps tool would always see a difference.
        if schema.get("properties"):
            result["properties"] = {
                name: self.translate(value) for name, value in schema["properties"].items()
            }
        return result | self._extra_fields(schema)

    def _resolve(self, schema: Json) -> Json:
        """Resolve `$ref`, and replace "this or null" by this: absent has the same meaning."""
        if "anyOf" in schema:
            outer = {key: value for key, value in schema.items() if key != "anyOf"}
            choices = [choice for choice in schema["anyOf"] if choice.get("type") != "null"]
            if len(choices) != 1:
                raise ValueError(f"no structural form for a union: {schema}")
            return {**self._resolve(choices[0]), **outer}
        if "$ref" in schema:
            outer = {key: value for key, value in schema.items() if key != "$ref"}
            return {**self._definitions[schema["$ref"].removeprefix("#/$defs/")], **outer}
        return schema

    def _extra_fields(self, schema: Json) -> Json:
        extra = schema.get("additionalProperties", False)
        if extra is False:
            return {}
        if extra is True:
            return {"x-kubernetes-preserve-unknown-fields": True}
        return {"additionalProperties": self.translate(extra)}


def _without_empty(default: Any) -> Any:
    """Leave out empty lists and maps: an absent default has the same meaning and is shorter.

    Objects have all their fields, because Kubernetes validates a default before it adds fields.
    """
    if isinstance(default, dict):
        parts = {key: _without_empty(value) for key, value in default.items()}
        default = {key: value for key, value in parts.items() if value is not None}
    return None if default in ([], {}) else default
