"""Annotations of fields: what Python checks, and how the CRD says the same.

Each annotation has both, so that the two cannot differ.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_snake
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Json = dict[str, Any]


class _Checked(ABC):
    """Annotation whose check each value has to pass."""

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    @abstractmethod
    def _check(self, value: Any) -> Any: ...


@dataclass(frozen=True)
class Check(_Checked):
    """Annotation of a scalar: a named check with one message for Python and for the API server."""

    message: str
    cel: str
    holds: Callable[[Any], bool] | None = None  # None: only the API server can check it (`oldSelf`)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        inner = handler(schema)
        rules = [
            *inner.get("x-kubernetes-validations", []),
            {"rule": self.cel, "message": self.message},
        ]
        return {**inner, "x-kubernetes-validations": rules}

    def _check(self, value: Any) -> Any:
        if self.holds is not None and not self.holds(value):
            raise PydanticCustomError("check", "{fact}", {"fact": self.message})
        return value


@dataclass(frozen=True)
class Pattern(_Checked):
    """Annotation of a string: `pattern` of the schema, with a hint of what to write."""

    regex: str
    hint: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return {**handler(schema), "pattern": self.regex}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self.regex, value):
            fact = f'"{value}" does not fit: write {self.hint}'
            raise PydanticCustomError("pattern", "{fact}", {"fact": fact})
        return value


@dataclass(frozen=True)
class ListType(_Checked):
    """Annotation of a list: how server-side apply merges it, and what may not occur twice in it."""

    kind: Literal["map", "set", "atomic"]
    keys: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        extra: Json = {"x-kubernetes-list-type": self.kind}
        if self.kind == "map":
            extra["x-kubernetes-list-map-keys"] = list(self.keys)
        return {**handler(schema), **extra}

    def _check(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.kind == "atomic":
            return items
        seen: set[Any] = set()
        fields = [to_snake(key) for key in self.keys]
        for item in items:
            key = item if self.kind == "set" else tuple(getattr(item, name) for name in fields)
            if key in seen:
                shown = key if self.kind == "set" else ", ".join(str(part) for part in key)
                what = "value" if self.kind == "set" else " and ".join(self.keys)
                raise PydanticCustomError(
                    "duplicate", "{fact}", {"fact": f'{what} "{shown}" appears twice: keep one'}
                )
            seen.add(key)
        return items


SET = ListType("set")


ATOMIC = ListType("atomic")


MAP_BY_NAME = ListType("map", ("name",))
