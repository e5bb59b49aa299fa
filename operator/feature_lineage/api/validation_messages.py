"""Converts pydantic's errors to messages for users who have to correct a manifest.

A message has the fact and the next step. It repeats a value only if the user chose it from a list
of names or by a pattern. Values of Secrets are never repeated.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_TYPES = {
    "string_type": "must be text: put it in quotes",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}


def path_text(loc: Sequence[str | int]) -> str:
    """A field's path as Kubernetes writes it: `spec.schedules[0].cron`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in loc).removeprefix(".")


def nearest(word: str, known: Iterable[str]) -> str:
    """Advice for an unknown word: the word that was probably meant, or all allowed words."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else f"known are {', '.join(known)}"


def complaint(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """One error of pydantic as fact and next step; `model` is the validated model."""
    kind, loc = detail["type"], detail["loc"]
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return f"unknown field: {nearest(str(loc[-1]), _field_names(model, loc[:-1]))}"
    if kind in {"enum", "literal_error"}:
        allowed = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        return f'"{detail["input"]}" is not allowed: use one of {allowed}'
    if kind in _TYPES:
        return _TYPES[kind]
    return re.sub(r"^\w+ should ", "must ", detail["msg"])


def validation_messages(
    error: ValidationError, model: type[BaseModel]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each error: its path, and "field: fact and next step"."""
    for detail in error.errors(include_url=False):
        path = tuple(detail["loc"])
        fact = complaint(detail, model)
        yield path, f"{path_text(path)}: {fact}" if path else fact


def _field_names(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The YAML names of the fields at this path of the model."""
    current: type[BaseModel] = model
    for part in loc:
        if isinstance(part, int):
            continue
        field = next(f for f in current.model_fields.values() if f.alias == part)
        current = _model_within(field.annotation) or current
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The model in `Model`, `Model | None`, `tuple[Model, ...]` or `Annotated[…]` of these."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model_within, typing.get_args(annotation))), None)
