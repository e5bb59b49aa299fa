"""The facts from MLflow's JSON."""

import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.tracking import parsing


@given(st.integers(0, 253402300799999))
def test_milliseconds_survive_the_round_trip_exactly(ms: int) -> None:
    assert parsing.milliseconds(parsing.moment(ms)) == ms


def test_a_moment_is_aware_and_in_utc() -> None:
    assert parsing.moment("1000") == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "model_id"),
    [
        ("models:/m-0123", "m-0123"),
        ("models:/m-0123/sub/path", "m-0123"),
        ("models:/m-other/3", ""),
        ("models:/m-other@champion", ""),
        ("models:/driver/3", ""),
        ("runs:/m-1/model", ""),
        ("s3://bucket/m-1", ""),
        ("", ""),
    ],
)
def test_a_logged_model_differs_from_a_model_with_its_name(source: str, model_id: str) -> None:
    assert parsing.logged_model_of(source) == model_id


def version(**more: object) -> dict[str, object]:
    return {"name": "m", "version": "1", "creation_timestamp": 5, **more}


def test_only_tags_that_lineage_needs_are_kept() -> None:
    tags = [
        {"key": "feast.project", "value": "p"},
        {"key": "featurelineage.io/verdict", "value": "Broken"},
        {"key": "feastish", "value": "x"},
        {"key": "mlflow.note", "value": "x" * 100_000},
        {"key": "feast.empty"},
    ]

    found = parsing.model_version(version(tags=tags)).version

    assert found.tags == {
        "feast.project": "p",
        "featurelineage.io/verdict": "Broken",
        "feast.empty": "",
    }


def test_equal_strings_of_many_versions_are_one_string() -> None:
    refs = ["view:" + "".join(["feat", "ure"]) for _ in range(2)]
    assert refs[0] is not refs[1]

    one, two = (
        parsing.model_version(version(tags=[{"key": "feast.feature_refs", "value": ref}])).version
        for ref in refs
    )

    assert one.tags["feast.feature_refs"] is two.tags["feast.feature_refs"]
    assert sys.intern(refs[0]) is one.tags["feast.feature_refs"]


def test_prompts_are_left_out() -> None:
    prompt = version(tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])

    assert parsing.model_versions({"model_versions": [prompt, version()]}) == [
        parsing.model_version(version())
    ]
    assert parsing.registered_models({"registered_models": [prompt]}) == []


def test_an_empty_answer_is_an_empty_page() -> None:
    assert parsing.model_versions({}) == []
    assert parsing.registered_models({}) == []
    assert parsing.runs({}) == []


@pytest.mark.parametrize("field", ["source", "run_id", "model_id"])
@pytest.mark.parametrize("value", [7, {"a": 1}, ["a"], True])
def test_a_text_that_is_none_is_refused(field: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{field} is a "):
        parsing.model_version(version(**{field: value}))


def test_a_missing_text_is_empty() -> None:
    found = parsing.model_version(version(source=None, run_id=None)).version

    assert (found.source, found.run_id, found.model_id) == ("", "", "")


def test_a_token_is_at_most_as_long_as_one_of_mlflow() -> None:
    assert parsing.next_page_token({"next_page_token": "x" * 4096}) == "x" * 4096
    assert parsing.next_page_token({}) == ""
    with pytest.raises(ValueError, match="has 4097 characters"):
        parsing.next_page_token({"next_page_token": "x" * 4097})


def test_tags_of_a_run_that_are_no_texts_are_an_error() -> None:
    with pytest.raises(TypeError, match="value is a list"):
        parsing.pairs([{"key": "a", "value": [1]}])


def test_a_model_has_a_limited_number_of_aliases() -> None:
    """The others of the server are read all the same."""
    aliases = [{"alias": f"a{number:04}", "version": "1"} for number in reversed(range(1001))]
    answer = {
        "registered_models": [
            {"name": "m", "creation_timestamp": 1, "aliases": aliases},
            {"name": "n", "creation_timestamp": 1, "aliases": aliases[:1]},
        ]
    }

    many, one = parsing.registered_models(answer)

    assert list(many.aliases) == [f"a{number:04}" for number in range(1000)]
    assert list(one.aliases) == ["a1000"]
