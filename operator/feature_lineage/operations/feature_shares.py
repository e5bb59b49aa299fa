"""What the last answer of the online store says about each feature of a model, for metrics."""

import sys
from typing import NamedTuple

from feature_lineage.operations.probe_answer import ProbeAnswer


class FeatureShare(NamedTuple):
    """One listed column of an answer; ten thousand models have twenty of these each.

    Attributes:
        column: as Feast answers it, such as ``driver_stats__trips`` or ``trips``.
        null_ratio: share of null values, from 0 to 1; None if the store has none of the keys.
        skew_ratio: share of values that differ from those of the source; None except for the
            column with the largest share.
    """

    column: str
    null_ratio: float | None
    skew_ratio: float | None = None


def feature_shares(answer: ProbeAnswer) -> tuple[FeatureShare, ...]:
    """The listed columns of an answer, each once: a report may name one twice."""
    found: dict[str, FeatureShare] = {}
    for each in answer.features:
        column, ratio = sys.intern(each.column), each.null_ratio
        share = FeatureShare(column, ratio if each.keys > each.missing else None)
        found.setdefault(column, share)
    skewed = answer.skew.worst if answer.skew is not None else None
    if skewed is not None:
        column = sys.intern(skewed.column)
        known = found.get(column, FeatureShare(column, None))
        found[column] = known._replace(skew_ratio=skewed.ratio)
    return tuple(found.values())
