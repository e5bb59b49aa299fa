"""The sums of a comparison with training."""

from feature_lineage.operations.skew import MAX_WHY
from feature_lineage.runner.compared_rows import SkewCounts


def test_a_long_reason_loses_no_found_difference() -> None:
    counts = SkewCounts()
    counts.add("trips", differs=True)

    found = counts.answer("view " * 1000)

    assert (found.compared, found.differing) == (1, 1)
    assert len(found.why) <= MAX_WHY
