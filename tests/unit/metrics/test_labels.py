"""Label values come from registries with content of any user."""

from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.metrics.families import MAX_LABEL, label


@given(st.text(max_size=MAX_LABEL).filter(lambda text: text.isprintable()))
def test_a_name_of_a_sane_length_stays_as_it_is(name: str) -> None:
    assert name == label(name)


@given(st.text(st.characters(categories=None), max_size=600))
def test_any_text_can_be_spelled_and_is_capped(name: str) -> None:
    found = label(name)

    assert found.encode().decode() == found
    assert len(found) <= MAX_LABEL


def test_long_names_with_the_same_beginning_stay_apart() -> None:
    long = "v" * MAX_LABEL

    assert long == label(long)
    assert label(f"{long}1") != label(f"{long}2")


def test_half_a_character_is_shown_as_an_escape() -> None:
    assert label("view\ud800") == "view\\ud800"
