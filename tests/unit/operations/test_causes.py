"""Problems of many features and models have few causes: each is listed once."""

from feature_lineage.models.problems import Problem, ProblemKind
from feature_lineage.operations.causes import Cause, causes
from feature_lineage.operations.protection import Impact

TTL = ProblemKind.TTL_CHANGED
SOURCE = ProblemKind.SOURCE_CHANGED
GONE = ProblemKind.FEATURE_GONE


def impact(model: str, *problems: Problem) -> Impact:
    return Impact(model, "1", ("champion",), tuple(sorted(problems)))


def ttl(feature: str) -> Problem:
    return Problem(feature, TTL, "7d", "1d")


def derived(feature: str, of: str) -> Problem:
    return Problem(feature, SOURCE, f"input {of}", f"{of} differs")


def outline(cause: Cause) -> tuple[object, ...]:
    models = tuple(model.model for model in cause.models)
    return cause.subject, cause.problem.kind, cause.features, cause.derived, models


def test_one_view_of_many_features_and_models_is_one_cause() -> None:
    found = causes([impact("a", ttl("s:x"), ttl("s:y")), impact("b", ttl("s:y"), ttl("s:z"))])

    assert [outline(c) for c in found] == [("s", TTL, ("s:x", "s:y", "s:z"), (), ("a", "b"))]


def test_features_computed_from_a_changed_view_are_of_its_cause() -> None:
    found = causes(
        [
            impact("a", ttl("s:x"), derived("d:sum", "s:x")),
            impact("b", derived("d:sum", "s:x"), derived("e:twice", "d:sum")),
        ]
    )

    assert [outline(c) for c in found] == [
        ("s", TTL, ("s:x",), ("d:sum", "e:twice"), ("a", "b")),
    ]


def test_a_feature_that_is_gone_explains_only_what_uses_it() -> None:
    found = causes(
        [impact("a", Problem("s:x", GONE, "FLOAT"), derived("d:p", "s:x"), derived("d:q", "s:y"))]
    )

    assert [outline(c) for c in found] == [
        ("s", GONE, ("s:x",), ("d:p",), ("a",)),
        ("d", SOURCE, ("d:q",), (), ("a",)),
    ]


def test_features_of_different_types_that_are_gone_are_one_cause() -> None:
    (found,) = causes([impact("a", Problem("s:x", GONE, "FLOAT"), Problem("s:y", GONE, "INT64"))])

    assert found.features == ("s:x", "s:y")


def keys(feature: str, was: str, now: str) -> Problem:
    return Problem(feature, ProblemKind.JOIN_KEYS_CHANGED, was, now)


def test_an_entity_that_changes_is_one_cause_of_all_its_views() -> None:
    """Also under other names of the key, and with other keys beside it."""
    found = causes(
        [
            impact("a", keys("s:x", "id INT64", "id STRING"), derived("d:sum", "s:x")),
            impact("b", keys("t:y", "id INT64, at INT32", "id STRING, at INT32")),
            impact("c", keys("s:x", "id INT64, id as to", "id STRING, id as to")),
        ]
    )

    models = ("a", "b", "c")
    assert [outline(c) for c in found] == [
        ("s", ProblemKind.JOIN_KEYS_CHANGED, ("s:x", "t:y"), ("d:sum",), models)
    ]
    assert (found[0].views, found[0].problem.was, found[0].problem.now) == (
        ("s", "t"),
        "id INT64",
        "id STRING",
    )


def test_a_renamed_key_of_a_request_is_a_cause_of_its_own() -> None:
    old, new = "id INT64, id as to", "id INT64, id as from"
    found = causes([impact("a", keys("s:x", old, new), keys("t:x", old, new))])

    assert [(cause.subject, cause.problem.was) for cause in found] == [("s", old), ("t", old)]


def test_breaking_causes_come_first_then_those_of_most_models() -> None:
    found = causes(
        [
            impact("a", ttl("s:x"), ttl("r:x")),
            impact("b", ttl("s:x"), Problem("t:x", GONE, "FLOAT")),
        ]
    )

    assert [cause.subject for cause in found] == ["t", "s", "r"]


def test_a_cycle_of_inputs_ends() -> None:
    found = causes([impact("a", derived("d:x", "e:y"), derived("e:y", "d:x"))])

    assert [cause.subject for cause in found] == ["d", "e"]
