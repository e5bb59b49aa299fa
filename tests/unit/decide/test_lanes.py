"""The two lanes: what reads runs beside what writes, and a long reading job gives way."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    STATS,
    B,
    Play,
    at,
    hourly,
    view_report,
)
from tests.unit.operations.build import registry, view

from feature_lineage.api.enums import OperationKind, OperationPhase, Result
from feature_lineage.api.project_status import OperationStatus
from feature_lineage.decide.events import OperationEnded, OperationStarted, OperationWithdrawn
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.values import CancelJob
from feature_lineage.operations.kinds import KINDS, Lane

OLD = registry({"stats": view({"conv_rate": "FLOAT"})})


def reading(play: Play) -> OperationStatus:
    assert play.status.reading_operation is not None
    return play.status.reading_operation


def writing(play: Play) -> OperationStatus:
    assert play.status.operation is not None
    return play.status.operation


def both(**spec: Any) -> Play:
    """A materialization runs, and the registry is being read beside it."""
    play = Play(mlflow=MLFLOW, registry={"pollInterval": "10m"}, schedules=[hourly()], **spec)
    play.apply().rest()
    play.now = at("12:31")
    play.look()
    play.look()
    return play


def test_an_observe_runs_beside_a_materialization() -> None:
    play = both()

    assert (writing(play).kind, reading(play).kind) == (
        OperationKind.MATERIALIZE,
        OperationKind.OBSERVE,
    )
    assert [play.jobs[job].running for job in play.started[-2:]] == [True, True]
    play.reports(reading(play), "Succeeded")
    play.look()
    assert play.status.reading_operation is None
    assert writing(play).phase is OperationPhase.RUNNING
    play.rest()
    play.later(minutes=11)
    play.look()
    assert reading(play).kind is OperationKind.OBSERVE, "the next one does not wait either"


def test_an_apply_does_not_wait_for_an_observe() -> None:
    play = Play(mlflow=MLFLOW, registry={"pollInterval": "10m"}).apply()
    play.rest()
    play.later(minutes=11)
    play.look()
    assert reading(play).kind is OperationKind.OBSERVE

    play.push(B)
    play.look()

    assert writing(play).kind is OperationKind.APPLY


@pytest.mark.parametrize("together", [False, True], ids=["later", "in the same reconcile"])
def test_what_was_read_before_a_write_is_not_taken_over(together: bool) -> None:
    play = both()
    observe = reading(play)
    views = (view_report("stats"), view_report("extra"))
    play.reports(writing(play), "Succeeded", views=views)
    if not together:
        play.look()
        assert reading(play).overtaken_by is not None
    play.reports(observe, "Succeeded", snapshot=OLD, views=(view_report("stats", ""),))

    decision = play.look()

    assert play.status.registry is not None
    assert play.status.registry.digest == STATS.digest, "the write is newer"
    assert OLD.digest not in [keep.snapshot.digest for keep in decision.before]
    assert {view.name for view in play.status.feature_views} == {"stats", "extra"}
    ended = next(each for each in play.status.operations if each.id == observe.id)
    assert (ended.result, ended.registry_digest) == (Result.SUCCEEDED, None)
    assert "wrote the registry meanwhile" in (ended.message or "")


def test_a_block_writes_nothing_so_what_was_read_counts() -> None:
    play = Play(mlflow=MLFLOW, registry={"pollInterval": "10m"}).apply()
    play.rest()
    play.later(minutes=11)
    play.push(B)
    play.look()
    play.reports(writing(play), "Blocked", reason="Blocked", snapshot=STATS)
    play.look()
    play.reports(reading(play), "Succeeded", snapshot=OLD)
    play.look()

    assert play.status.registry is not None
    assert play.status.registry.digest == OLD.digest


def test_the_next_attempt_of_an_overtaken_observe_counts() -> None:
    play = both()
    play.reports(writing(play), "Succeeded", views=(view_report("stats"),))
    play.look()
    play.jobs[reading(play).job] = JobFacts(running=False, reason="JobFailed", message="killed")
    play.look()
    assert (reading(play).phase, reading(play).overtaken_by) == (OperationPhase.BACKING_OFF, None)


def test_a_deletion_waits_for_both_lanes() -> None:
    play = both()
    play.delete()
    play.reports(writing(play), "Succeeded")

    assert not play.look().finished
    play.reports(reading(play), "Succeeded")
    for _ in range(3):
        decision = play.look()
    assert decision.finished


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Play:
    """A materialization stands for a long reading job, which the table gives another lane."""
    table = cast("dict[OperationKind, Any]", KINDS)
    long = replace(KINDS[OperationKind.MATERIALIZE], lane=Lane.READING, priority=2, yields=True)
    monkeypatch.setitem(table, OperationKind.MATERIALIZE, long)
    play = Play(mlflow=MLFLOW, registry={"pollInterval": "10m"}, schedules=[hourly()])
    play.apply().rest()
    play.now = at("12:31")
    play.look()
    if reading(play).kind is OperationKind.OBSERVE:  # it goes first
        play.reports(reading(play), "Succeeded")
        play.look()
        play.look()
    assert reading(play).kind is OperationKind.MATERIALIZE
    play.rest()
    return play


def test_a_long_reading_job_gives_way_and_starts_again(measuring: Play) -> None:
    play, long = measuring, reading(measuring)
    play.now = at("12:43")
    decision = play.look()
    assert [each.job for each in decision.after if isinstance(each, CancelJob)] == [long.job]
    assert reading(play).id == long.id, "its job has to be over first"

    play.jobs[long.job] = replace(play.jobs[long.job], cancelled=True)
    assert not [each for each in play.look().after if isinstance(each, CancelJob)]
    report = play.report("Failed", long, reason="Interrupted", message="stopped while it read")
    play.jobs[long.job] = JobFacts(running=False, report=report, cancelled=True)
    play.happened.clear()
    play.look()

    assert reading(play).kind is OperationKind.OBSERVE
    assert [type(event) for event in play.happened] == [OperationWithdrawn, OperationStarted]
    assert long.id not in {each.id for each in play.status.operations}
    play.reports(reading(play), "Succeeded")
    play.look()
    play.look()
    again = reading(play)
    assert (again.kind, again.attempt, again.failures) == (OperationKind.MATERIALIZE, 1, 0)
    assert again.started_for == long.started_for, "it is the same work"


def test_patient_reading_job_is_not_interrupted(measuring: Play) -> None:
    play = measuring
    play.now = at("12:30") + timedelta(minutes=61)

    decision = play.look()

    assert not [each for each in decision.after if isinstance(each, CancelJob)]


def test_a_result_that_came_before_the_interruption_counts(measuring: Play) -> None:
    play, long = measuring, reading(measuring)
    play.now = at("12:43")
    play.look()
    report = play.report("Succeeded", long, views=(view_report("stats"),))
    play.jobs[long.job] = JobFacts(running=False, report=report, cancelled=True)
    play.happened.clear()
    play.look()

    ended = play.happened[0]
    assert isinstance(ended, OperationEnded)
    assert (ended.operation, ended.result) == (long.id, Result.SUCCEEDED)
