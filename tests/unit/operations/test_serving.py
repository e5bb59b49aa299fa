"""Only what a plan makes fail, whatever the values are, is a problem; the rest is said."""

import pytest

from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.signatures import question_key
from feature_lineage.models.problems import ProblemKind
from feature_lineage.operations.protection import GuardedModel
from feature_lineage.operations.serving import (
    Answers,
    Cause,
    Failed,
    Question,
    not_served,
    question_of,
    serving_problem,
    serving_warnings,
)

REFS = (FeatureRef("stats", "trips"), FeatureRef("stats", "conv_rate"))
LISTED = GuardedModel("ranker", "3", ("champion",), "", (), REFS)
SERVED = GuardedModel("ranker", "4", ("champion",), "ranking", (), REFS)
REFUSED = Failed(Cause.SERVING, "ValueError: Feature view 'stats' is disabled\x1b[0m")
VALUES = Failed(Cause.VALUES, "ZeroDivisionError: division by zero")
IMAGE = Failed(Cause.IMAGE, "ModuleNotFoundError: No module named 'pygeohash'")


@pytest.mark.parametrize(
    ("in_force", "staged", "broken", "warning"),
    [
        pytest.param(None, None, False, "", id="served before and after"),
        pytest.param(None, REFUSED, True, "", id="the plan makes it fail"),
        pytest.param(REFUSED, None, False, "", id="the plan repairs it"),
        pytest.param(REFUSED, REFUSED, False, "does not serve it now either", id="it failed"),
        pytest.param(VALUES, REFUSED, False, "does not serve it now either", id="other error"),
        pytest.param(None, VALUES, False, "fails on made-up values", id="made-up values"),
        pytest.param(None, IMAGE, False, "is not known", id="a module is missing"),
        pytest.param(IMAGE, IMAGE, False, "is not known", id="a module was missing before"),
    ],
)
def test_an_answer_is_a_problem_or_a_warning_or_nothing(
    in_force: Failed | None, staged: Failed | None, broken: bool, warning: str
) -> None:
    answers = {question_of(SERVED): Answers(in_force, staged)}

    problem = serving_problem(SERVED, answers)
    assert (problem is not None) is broken
    if problem is not None:
        assert problem.kind is ProblemKind.SERVING_FAILS
        assert problem.feature == "service ranking"
        assert problem.now == "ValueError: Feature view 'stats' is disabled\\x1b[0m"
    said = serving_warnings([SERVED], answers)
    assert [warning in text for text in said] == ([True] if warning else [])


def test_a_list_is_asked_for_and_a_service_by_its_name() -> None:
    assert question_of(LISTED) == Question("", ("stats:trips", "stats:conv_rate"))
    assert question_of(SERVED) == Question("ranking")


def test_only_a_refusal_is_noted_in_the_snapshot() -> None:
    asked = question_of(LISTED)

    assert not_served({asked: REFUSED}) == {
        question_key("", reversed(REFS)): "ValueError: Feature view 'stats' is disabled\\x1b[0m"
    }
    for answer in (VALUES, IMAGE, None):
        assert not_served({asked: answer}) == {}
