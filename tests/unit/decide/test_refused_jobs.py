"""A job that cannot be started for a reason that only a change of the spec removes."""

import pytest
from tests.unit.decide.build import MLFLOW, B, Play, at, backfill, hourly

from feature_lineage.api.enums import BackfillState, OperationKind, Result
from feature_lineage.decide.values import Failure

REFUSAL = Failure(
    "InvalidManifest", "Job ranking: requests.memory must not exceed limits.memory", terminal=True
)


def refused(play: Play) -> Play:
    play.rest()
    play.refusal = REFUSAL
    return play


def test_a_refused_tick_is_over() -> None:
    play = refused(Play(mlflow=MLFLOW, schedules=[hourly()]).apply())
    play.now = at("12:31")
    play.look()
    assert play.status.operation is None
    refusals = play.status.sequence

    for _ in range(5):
        play.look()

    assert play.status.sequence == refusals, "no second operation for the same tick"
    assert play.status.schedules[0].last == at("12:30")
    play.now = at("13:31")
    play.look()
    assert play.status.sequence == refusals + 1, "the next tick is another"


def test_a_refused_backfill_has_failed() -> None:
    play = refused(Play(mlflow=MLFLOW).apply())
    play.change(backfills=[backfill()])
    for _ in range(5):
        play.look()

    assert play.status.backfills[0].state is BackfillState.FAILED
    assert [op.kind for op in play.status.operations] == [
        OperationKind.BACKFILL,
        OperationKind.APPLY,
    ]


@pytest.mark.parametrize("mode", ["Auto", "Observe"])
def test_a_refused_apply_or_observe_is_not_repeated_at_once(mode: str) -> None:
    play = Play(mlflow=MLFLOW, apply={"mode": mode})
    play.refusal = REFUSAL
    for _ in range(5):
        play.look()

    assert play.status.sequence == 1
    assert play.status.operations[0].result is Result.FAILED
    play.push(B)
    play.look()
    assert play.status.sequence == (2 if mode == "Auto" else 1)


def test_a_refusal_is_an_event() -> None:
    play = refused(Play(mlflow=MLFLOW, schedules=[hourly()]).apply())
    play.events.clear()
    play.now = at("12:31")
    for _ in range(5):
        play.look()

    assert play.events == ["InvalidManifest"]
