"""Compares the answer of a feature server, which is JSON, with that of Feast in the job."""

import base64
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from feature_lineage.operations.feature_server import MAX_WORDS
from feature_lineage.operations.skew import FeatureSkew
from feature_lineage.runner.retrieval import Retrieval
from feature_lineage.runner.same_value import NO_TIME, same_value
from feature_lineage.shorten import cut, listed, visible

ServerColumns = Mapping[str, list[Any]]
"""Name of a column → its values, as JSON has them, one for each row."""
Repeat = Callable[[Retrieval], Mapping[str, Any]]
"""Repeats a retrieval: column → Feast's FeatureVector; empty if it fails now."""
_FRACTIONS: Final = ("float", "double")


def compared(found: ServerColumns, retrieval: Retrieval, again: Repeat) -> dict[str, Any]:
    """The fields of `ServerAnswer` that say what differs.

    A value counts only if Feast in the job answers the same before and after the server.
    """
    context, own = retrieval.context, retrieval.columns
    named = {context.column(view, each) for view in context.views for each in view.features}
    expected = {*named, *context.computed} & own.keys()
    both = sorted(expected & found.keys())
    cells = {name: list(_differing(name, found, retrieval)) for name in both}
    differ = any(differs for cell in cells.values() for _, differs in cell)
    repeated = again(retrieval) if differ else own
    counts, absent = [], 0
    for name in both:
        later = repeated.get(name)
        stable = [(n, d) for n, d in cells[name] if not d or _same(own[name], later, n)]
        differing = [number for number, differs in stable if differs]
        absent += sum(found[name][number] is None for number in differing)
        counts.append(FeatureSkew(column=name, compared=len(stable), differing=len(differing)))
    return {
        "lacks": _listed(expected - found.keys()),
        "adds": _listed(found.keys() - own.keys()),
        "compared": sum(each.compared for each in counts),
        "differing": sum(each.differing for each in counts),
        "absent": absent,
        "worst": max(counts, key=lambda each: each.ratio, default=None),
    }


def _differing(name: str, found: ServerColumns, retrieval: Retrieval) -> Iterator[tuple[int, bool]]:
    """Each row whose values can be compared, and whether they differ."""
    computed = name in retrieval.context.computed
    for number, value in enumerate(retrieval.columns[name].values):
        same = same_as_json(value, found[name][number], computed=computed)
        if same is not None:
            yield number, not same


def _same(first: Any, second: Any, number: int) -> bool:
    return second is not None and bool(
        first.values[number].SerializeToString() == second.values[number].SerializeToString()
    )


def same_as_json(value: Any, found: Any, *, computed: bool = False) -> bool | None:
    """Whether the JSON of a feature server means the value; None if the type is not compared.

    Feast writes bytes as base64, times as seconds, and NaN and infinity as texts; older versions
    write null for them.

    Args:
        value: Feast's `Value`.
    """
    kind, many = value.WhichOneof("val") or "", isinstance(found, list)
    base = kind.removesuffix("_val").removesuffix("_list")
    if isinstance(found, dict) or (base in _FRACTIONS and _nulls(getattr(value, kind), found)):
        return None
    try:
        meant = [_meant(base, each) for each in found] if many else _meant(base, found)
        return same_value(value, meant, computed=computed)
    except ValueError:
        return False


def _nulls(value: Any, found: Any) -> bool:
    """Whether a server may have written null for infinity, as older versions of Feast do."""
    one = isinstance(value, float)
    values, nulls = ([value], [found]) if one else (value.val, found)
    return any(map(math.isinf, values)) and isinstance(nulls, list) and None in nulls


def _meant(base: str, found: Any) -> Any:
    """The Python value of a JSON value.

    Raises:
        ValueError: it is none of the type.
    """
    if base == "bytes" and isinstance(found, str):
        return base64.b64decode(found, validate=True)
    if base in _FRACTIONS and isinstance(found, str):
        return float(found)
    return None if base == "unix_timestamp" and found == NO_TIME else found


def _listed(names: Any) -> str:
    return cut(visible(listed(sorted(names), 3)), MAX_WORDS)
