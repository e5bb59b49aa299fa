"""The scalar and list types of the API, with their Python values and their CRD schemas.

Each type contains its Python check and its part of the CRD schema, so that the two agree.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from feature_lineage.api.checks import Check, Json, Pattern

# Five digits per part and 24 characters stay below 1,100 years: no date arithmetic overflows.
DURATION_PATTERN = r"^([0-9]{1,5}(ms|s|m|h|d))+$"
DURATION_MAX_LENGTH = 24
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Duration(timedelta):
    """A `timedelta` that keeps its text: `Duration("1h30m")` prints as `1h30m`.

    Raises ValueError for text other than numbers with the units ms, s, m, h or d.
    """

    text: str

    def __new__(cls, text: str) -> Duration:
        if len(text) > DURATION_MAX_LENGTH or not re.fullmatch(DURATION_PATTERN, text):
            raise ValueError(
                f"{text!r} is not a duration: write numbers of up to five digits, each with a unit"
                " of ms, s, m, h or d, such as 90s, 1h30m or 1d"
            )
        parts = re.findall(r"([0-9]+)(ms|s|m|h|d)", text)
        total = sum(int(number) * _MILLISECONDS[unit] for number, unit in parts)
        self = super().__new__(cls, milliseconds=total)
        self.text = text
        return self

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Duration({self.text!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.text,)

    @classmethod
    def _validate(cls, value: object) -> Duration:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("duration", "a duration is a string such as 90s or 1h30m")
        try:
            return cls(value)
        except ValueError as error:
            raise PydanticCustomError("duration", "{fact}", {"fact": str(error)}) from error

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return {"type": "string", "pattern": DURATION_PATTERN, "maxLength": DURATION_MAX_LENGTH}


def at_least(minimum: str) -> Check:
    """Annotation of a `Duration`: the smallest allowed value, at most one day."""
    # CEL's duration() has no days. A duration with a day other than zero passes; only the
    # others are compared.
    return Check(
        f"must be at least {minimum}",
        "self.matches('[1-9][0-9]*d') ||"
        f" duration(self.replace('0d', '0s')) >= duration('{minimum}')",
        lambda value: value >= Duration(minimum),
    )


def zero_or_at_least(minimum: str) -> Check:
    """Annotation of a `Duration` that switches something off if it is zero."""
    other = at_least(minimum)
    return Check(
        f"must be 0s or at least {minimum}",
        f"!self.matches('[1-9]') || {other.cel}",
        lambda value: not value or value >= Duration(minimum),
    )


_DATE, _TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_TIMESTAMP = rf"^{_DATE}T{_TIME}(\.[0-9]+)?(Z|[+-][0-9]{{2}}:[0-9]{{2}})$"


def _only_rfc3339(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and re.fullmatch(_TIMESTAMP, value)):
        return value
    raise PydanticCustomError(
        "timestamp", "a time is RFC 3339 with its zone, such as 2026-07-01T00:00:00Z"
    )


def _utc_seconds(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC).replace(microsecond=0)
    except OverflowError as error:
        raise PydanticCustomError("timestamp", "a time is in the years 1 to 9999, UTC") from error


def format_timestamp(value: datetime) -> str:
    """RFC 3339 in UTC, whole seconds: `2026-07-01T00:00:00Z`. The value must be aware."""
    return value.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


Timestamp = Annotated[
    AwareDatetime,
    BeforeValidator(_only_rfc3339),
    AfterValidator(_utc_seconds),
    PlainSerializer(format_timestamp, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": _TIMESTAMP, "maxLength": 64}
    ),
]

Text = Annotated[str, Field(min_length=1, max_length=253)]
LongText = Annotated[str, Field(max_length=4096)]
Labels = Annotated[dict[str, Annotated[str, Field(max_length=253)]], Field(max_length=100)]
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DnsLabel = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Pattern(rf"^{_LABEL}$", "lower-case letters, digits and -, such as driver-stats"),
]
DnsName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Pattern(
        rf"^{_LABEL}(\.{_LABEL})*$", "lower-case letters, digits, - and ., such as driver-stats"
    ),
]
DataKey = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Pattern(r"^[-._a-zA-Z0-9]+$", "letters, digits, -, _ and ., such as feature_store.yaml"),
]
_QUANTITY_LENGTH = 64
_QUANTITY = r"^[0-9]+(\.[0-9]+)?([EPTGMK]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$"


def _only_quantity(value: str | int) -> str | int:
    if len(str(value)) <= _QUANTITY_LENGTH and re.fullmatch(_QUANTITY, str(value)):
        return value
    fact = f'"{value}" is not a quantity: write a number with a unit, such as 500m or 2Gi'
    raise PydanticCustomError("quantity", "{fact}", {"fact": fact})


Quantity = Annotated[
    StrictStr | StrictInt,
    AfterValidator(_only_quantity),
    WithJsonSchema(
        {"x-kubernetes-int-or-string": True, "pattern": _QUANTITY, "maxLength": _QUANTITY_LENGTH}
    ),
]
