"""The base of all API types: camelCase in YAML, snake_case in Python, rules between fields.

A rule that a schema cannot express ("exactly one of …") is next to its fields, as a `Rule`. The API
server evaluates the CEL expression of the CRD, and this package evaluates the Python predicate.
Both fail with the same message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError

GROUP = "featurelineage.io"
VERSION = "v1alpha1"
API_VERSION: Final = "featurelineage.io/v1alpha1"


@dataclass(frozen=True)
class Rule:
    """One check between fields: `cel` for the API server, `holds` for Python, one message."""

    message: str
    cel: str
    holds: Callable[[Any], bool]


class ApiModel(BaseModel):
    """Base class: frozen, and populated by YAML name or by Python name."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    def as_dict(self) -> dict[str, Any]:
        """The value as Kubernetes spells it: camelCase, JSON types only, without absent fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        # The API server does not remove nulls of fields that are not nullable, and all our fields
        # are so.
        if isinstance(data, dict) and None in data.values():
            return {key: value for key, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _rules_hold(self) -> ApiModel:
        broken = [rule.message for rule in type(self).rules if not rule.holds(self)]
        if broken:
            raise PydanticCustomError("rule", "{message}", {"message": "; ".join(broken)})
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core_schema))
        if cls.rules:
            schema["x-kubernetes-validations"] = [
                {"rule": rule.cel, "message": rule.message} for rule in cls.rules
            ]
        return schema


class StatusModel(ApiModel):
    """Base of status types: a field that a newer operator wrote is ignored, and not an error."""

    model_config = ConfigDict(extra="ignore")


ModelT = TypeVar("ModelT", bound=ApiModel)


def rule(
    message: str, *, cel: str, holds: Callable[[Any], bool]
) -> Callable[[type[ModelT]], type[ModelT]]:
    """Class decorator: every instance must satisfy `holds`, every custom resource `cel`."""

    def add(cls: type[ModelT]) -> type[ModelT]:
        cls.rules = (*cls.rules, Rule(message, cel, holds))
        return cls

    return add


def exactly_one_of(*fields: str) -> Callable[[type[ModelT]], type[ModelT]]:
    """Class decorator for a union: one of `fields` (Python names) is set, and only one."""
    names = [to_camel(field) for field in fields]
    present = ", ".join(f"has(self.{name})" for name in names)
    return rule(
        f"set exactly one of {', '.join(names)}",
        cel=f"[{present}].exists_one(x, x)",
        holds=lambda self: sum(getattr(self, field) is not None for field in fields) == 1,
    )


def at_most_one_of(*fields: str) -> Callable[[type[ModelT]], type[ModelT]]:
    """Class decorator for a union that may be empty: as `exactly_one_of`, or none is set."""
    names = [to_camel(field) for field in fields]
    present = ", ".join(f"has(self.{name})" for name in names)
    return rule(
        f"set at most one of {', '.join(names)}",
        cel=f"[{present}].filter(x, x).size() <= 1",
        holds=lambda self: sum(getattr(self, field) is not None for field in fields) <= 1,
    )
