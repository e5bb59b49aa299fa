"""Training-serving skew of what on-demand views compute: on both sides, from the same keys."""

from collections.abc import Iterator

from feast import FeatureStore
from feast.types import Array, Float32

from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.runner.compared_rows import ComparedRows, SkewCounts
from feature_lineage.runner.retrieval import Retrieval, retrieve
from feature_lineage.runner.same_value import same_value
from feature_lineage.runner.training_values import Found


def compare_computed(
    store: FeatureStore,
    request: ProbeRequest,
    counts: SkewCounts,
    retrieval: Retrieval,
    written: list[ComparedRows],
    found: Found,
) -> str:
    """Compare what on-demand views compute; returns why some of it was not compared.

    Args:
        counts: get the compared values.
        written: of each view of the retrieval that has rows.
    """
    context = retrieval.context
    if len(written) < len(context.views):
        return "on-demand features read a view without written rows"
    for each in written:
        sampled = set(request.keys[each.view.view.name].features)
        if not {f.name for f in each.view.view.features} <= sampled:
            return f"on-demand features: some of {each.view.view.name} were not written"
    rows = [n for n in range(len(retrieval.asked.rows)) if all(n in w.own for w in written)]
    rounded = any(
        f.dtype in (Float32, Array(Float32)) for w in written for f in w.view.view.features
    )
    differing: list[tuple[str, int]] = []
    for column in sorted(context.computed):
        vector = retrieval.columns[column]
        for number in rows:
            moments = {m for w in written for m in w.moments(number)}
            answers = [found[number, m] for m in moments if (number, m) in found]
            if len(answers) < len(moments):
                continue
            online = vector.values[number]
            kind = online.WhichOneof("val") or ""
            if rounded and not kind.startswith(("float", "double")):
                continue
            same = [same_value(online, a.get(column), computed=True) for a in answers]
            if None in same:
                continue
            if any(same):
                counts.add(column, late=not all(same))
            elif len({repr(answer.get(column)) for answer in answers}) > 1:
                counts.add(column, late=True)
            else:
                differing.append((column, number))
    for column, _ in _repeatable(store, retrieval, differing):
        counts.add(column, differs=True)
    return ""


def _repeatable(
    store: FeatureStore, retrieval: Retrieval, differing: list[tuple[str, int]]
) -> Iterator[tuple[str, int]]:
    """Those whose value is the same if the store is asked again."""
    if not differing:
        return
    rows, full = retrieval.asked.rows, retrieval.context.full
    again = retrieve(store, retrieval.features, rows, full=full)
    for column, number in differing:
        first, second = (c[column].values[number] for c in (retrieval.columns, again))
        if first.SerializeToString() == second.SerializeToString():
            yield column, number
