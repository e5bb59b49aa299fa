"""The host answers a job that asks for a newer guard; a tenant may write such a question."""

from datetime import datetime, timedelta
from itertools import pairwise

from tests.unit.reconcile.test_reconciler import ReconcilerSetup

from feature_lineage.decide.facts import JobFacts
from feature_lineage.errors import RequestRejected

TOKEN = "a" * 32


async def working(minutes: float = 11) -> ReconcilerSetup:
    """A job that has worked for this time."""
    scene = ReconcilerSetup()
    await scene.reconcile()
    await scene.reconcile()
    scene.fakes.instant += timedelta(minutes=minutes)
    return scene


def ask(scene: ReconcilerSetup, token: str = TOKEN) -> None:
    scene.fakes.waiting[scene.job] = JobFacts(running=True, guard_question=token)


def answered(scene: ReconcilerSetup) -> list[tuple[str, datetime]]:
    """The token of each answer, and when its facts were read."""
    return [(a.token, a.guard.read_at) for a in scene.fakes.answers if a.guard is not None]


async def test_the_facts_are_read_in_full_for_a_question() -> None:
    scene = await working()
    scene.fakes.asked.clear()
    ask(scene)

    result = await scene.reconcile()

    assert scene.fakes.asked == [True]
    assert scene.fakes.log == [("answer", scene.job)]
    assert answered(scene) == [(TOKEN, scene.fakes.instant)]
    assert result.requeue
    await scene.reconcile()
    assert scene.fakes.log == []


async def test_facts_from_before_the_question_are_read_again() -> None:
    scene = await working(minutes=0.05)
    ask(scene)

    result = await scene.reconcile()
    assert answered(scene) == []
    assert result.requeue_at is not None
    assert result.requeue_at <= scene.fakes.instant + timedelta(seconds=5)
    scene.fakes.instant = result.requeue_at
    await scene.reconcile()

    assert answered(scene) == [(TOKEN, result.requeue_at)]


async def test_a_new_process_answers_with_its_own_facts() -> None:
    scene = await working(minutes=0.05)
    ask(scene)
    await scene.reconcile()

    await scene.restart()
    scene.fakes.instant += timedelta(seconds=6)
    await scene.reconcile()

    assert answered(scene) == [(TOKEN, scene.fakes.instant)]


async def test_an_answer_that_is_refused_is_not_repeated_at_once() -> None:
    """A user can make the ConfigMap immutable, so that the API server refuses each answer."""
    scene = await working()
    scene.fakes.fail["answer"] = RequestRejected("field is immutable")
    ask(scene)

    result = await scene.reconcile()

    assert not result.requeue
    assert result.requeue_at == scene.fakes.instant + timedelta(seconds=30)
    assert scene.project.status.operation is not None
    assert scene.says("Applied") == ("False", "Progressing")
    assert scene.says("Recorded") == ("True", "Succeeded")


async def test_questions_without_end_cost_a_read_in_five_seconds() -> None:
    scene = await working()
    began = scene.fakes.instant
    for number in range(100):
        ask(scene, f"{number:032x}")
        await scene.reconcile()
        scene.fakes.instant += timedelta(seconds=0.2)

    times = [read_at for _, read_at in answered(scene)]
    assert len(times) <= (scene.fakes.instant - began).total_seconds() / 5 + 1
    assert min(later - sooner for sooner, later in pairwise(times)) > timedelta(seconds=5)
