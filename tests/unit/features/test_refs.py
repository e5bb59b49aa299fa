"""References: one format, with one parser and one writer."""

import pytest
from hypothesis import given
from tests import strategies as some

from feature_lineage.errors import TerminalError
from feature_lineage.features.refs import FeatureRef


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("stats:rate", FeatureRef("stats", "rate"), id="the latest version"),
        pytest.param("stats@v2:rate", FeatureRef("stats", "rate", 2), id="a pinned version"),
        pytest.param("stats@V2:rate", FeatureRef("stats", "rate", 2), id="capital v, as Feast"),
        pytest.param("stats@latest:rate", FeatureRef("stats", "rate"), id="latest by its name"),
        pytest.param(
            " フィード:größe ", FeatureRef("フィード", "größe"), id="beyond ASCII, blanks"
        ),
    ],
)
def test_a_reference_is_read_as_feast_reads_it(text: str, expected: FeatureRef) -> None:
    actual = FeatureRef.parse(text)

    assert expected == actual


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stats",
        "stats:",
        ":rate",
        " : ",
        "a:b:c",
        "stats@v2",
        "stats@2:rate",
        "stats@v٣:rate",
        pytest.param(f"stats@v{'9' * 5000}:rate", id="a version of 5,000 digits"),
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(TerminalError, match="no feature reference"):
        FeatureRef.parse(text)


@given(some.refs)
def test_a_reference_survives_being_written_and_read(ref: FeatureRef) -> None:
    assert ref == FeatureRef.parse(str(ref))
