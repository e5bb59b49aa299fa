"""Whether a value of the online store is the value of the source, by the type that Feast stores."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

FLOAT32: Final = 1e-6
DOUBLE: Final = 1e-9
COMPUTED: Final = 1e-4
"""Relative tolerances; the last one of values that on-demand views compute from others."""
NO_TIME: Final = -(2**63)
"""Feast's value of a missing timestamp."""
_SCALARS: Final = frozenset(
    ("int32", "int64", "float", "double", "bool", "string", "bytes", "unix_timestamp")
)


def is_null(value: Any) -> bool:
    """Whether a value of a retrieval for training is none; an empty list is."""
    if isinstance(value, np.ndarray | list | tuple | set):
        return len(value) == 0
    return value is None or value is pd.NaT or (bool(np.isscalar(value)) and bool(pd.isna(value)))


def same_value(online: Any, source: Any, *, computed: bool = False) -> bool | None:
    """Whether two values are the same.

    Args:
        online: Feast's `Value`.
        source: of the retrieval for training, as pandas has it.
        computed: by an on-demand view.

    Returns:
        None if values of this type are not compared.
    """
    kind = online.WhichOneof("val")
    if kind is None:
        return is_null(source)
    value = getattr(online, kind)
    base = kind.removesuffix("_val").removesuffix("_list")
    if base not in _SCALARS:
        return None
    try:
        if kind.endswith("_list_val"):
            return _same_list(base, list(value.val), source, computed)
        return _same(base, value, source, computed)
    except (TypeError, ValueError, OverflowError):
        return False


def _same_list(base: str, values: Sequence[Any], source: Any, computed: bool) -> bool:
    if is_null(source):
        return not values
    found = list(source)
    return len(found) == len(values) and all(
        _same(base, value, each, computed) for value, each in zip(values, found, strict=True)
    )


def _same(base: str, value: Any, source: Any, computed: bool) -> bool:
    if _no_value(base, value) or is_null(source):
        return _no_value(base, value) and is_null(source)
    match base:
        case "string":
            return bool(value == str(source))
        case "bytes":
            return bool(value == bytes(source))
        case "bool":
            return bool(value) == bool(source)
        case "unix_timestamp":
            moment = source if isinstance(source, int | np.integer) else _seconds(source)
            return int(moment) == int(value)
        case "int32" | "int64" if isinstance(source, float | np.floating):
            # pandas has no null among integers: its column is of float64 then.
            return float(value) == float(source)
        case "int32" | "int64":
            return int(source) == int(value)
        case _:
            relative = FLOAT32 if base == "float" else DOUBLE
            tolerance = COMPUTED if computed else relative
            floor = COMPUTED * 1e-2 if computed else 1e-38
            return math.isclose(float(value), float(source), rel_tol=tolerance, abs_tol=floor)


def _no_value(base: str, value: Any) -> bool:
    if base in ("float", "double"):
        return math.isnan(value)
    return base == "unix_timestamp" and value == NO_TIME


def _seconds(source: Any) -> int:
    moment = pd.Timestamp(source)
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment
    return math.floor(float(moment.timestamp()))
