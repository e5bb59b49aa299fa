"""A running job asks for a newer guard: the answer has facts that were read after the question."""

from datetime import timedelta

import pytest
from tests.unit.decide.build import MLFLOW, OUTAGE, ProjectScenario, guard, plan

from feature_lineage.operations.plan import PlanVerdict

TOKEN = "a" * 32


def asking(**spec: object) -> ProjectScenario:
    """A job that has imported its repository for longer than maxGuardAge, and asks."""
    scenario = ProjectScenario(mlflow=MLFLOW, **spec)
    scenario.reconcile()
    scenario.reconcile()
    scenario.later(minutes=11)
    scenario.asks(TOKEN)
    return scenario


def test_a_question_is_answered_with_newer_facts() -> None:
    scenario = asking()
    scenario.guard = guard("driver_model")

    scenario.reconcile()

    (answer,) = scenario.answers
    assert answer.token == TOKEN
    assert answer.guard is not None
    assert answer.guard.read_at == scenario.asked_at
    assert [model.model for model in answer.guard.models] == ["driver_model"]
    scenario.rest()
    assert (len(scenario.answers), len(scenario.started)) == (1, 1)


@pytest.mark.parametrize("old", ["older than the question", "an outage"])
def test_older_facts_answer_no_question(old: str) -> None:
    scenario = asking()
    if old == "an outage":
        scenario.outage = OUTAGE
    else:
        assert scenario.asked_at is not None
        scenario.asked_at += timedelta(microseconds=1)

    decision = scenario.reconcile()

    assert scenario.answers == []
    assert decision.requeue_at is not None
    assert decision.requeue_at <= scenario.now + timedelta(seconds=5)
    reason, words = ("GuardUnavailable", OUTAGE.message) if scenario.outage else ("Progressing", "")
    assert scenario.says("Applied") == ("False", reason)
    assert words in scenario.condition("Applied").message

    scenario.outage = None
    scenario.later(seconds=5)
    scenario.reconcile()
    assert len(scenario.answers) == 1


def test_the_newer_guard_is_the_one_that_blocked() -> None:
    """Moved back to the models of the first guard, the same commit is planned again."""
    scenario = asking()
    before, scenario.guard = scenario.guard, guard("driver_model")
    scenario.reconcile()
    scenario.end("Blocked", reason="Blocked", plan=plan(PlanVerdict.BLOCKED))
    scenario.rest()
    assert len(scenario.started) == 1, "nothing has changed since this guard blocked the plan"

    scenario.guard = before
    scenario.rest()

    assert len(scenario.started) == 2


def test_a_deletion_gets_a_newer_guard_too() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, deletionPolicy="Delete").apply()
    scenario.rest()
    scenario.delete()
    scenario.reconcile()
    scenario.reconcile()
    scenario.later(minutes=11)
    scenario.asks(TOKEN)

    scenario.reconcile()

    assert [answer.token for answer in scenario.answers] == [TOKEN]
