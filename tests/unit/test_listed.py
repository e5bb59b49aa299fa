"""No list for people is cut without the number of what is left out."""

import pytest

from feature_lineage.shorten import listed


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], ""),
        (["a", "b"], "a, b"),
        (["a", "b", "c"], "a, b and 1 more"),
    ],
)
def test_a_cut_list_has_the_number_of_the_others(items: list[str], text: str) -> None:
    assert listed(items, 2) == text
