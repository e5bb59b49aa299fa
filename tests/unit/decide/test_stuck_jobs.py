"""A job that cannot begin says so for as long as it waits, and makes way for one that may."""

import pytest
from tests.unit.decide.build import MLFLOW, A, B, Play, hourly

from feature_lineage.api.enums import Result
from feature_lineage.decide.facts import JobFacts, SourceFacts

NO_NODE = "0/1 nodes are available: 1 Insufficient cpu."


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ImagePullFailed", "image runner:1: ErrImagePull: not found"),
        ("Unschedulable", "0/1 nodes are available: 1 Insufficient memory."),
    ],
)
def test_what_a_job_waits_for_is_told_until_it_begins(reason: str, message: str) -> None:
    play = Play()
    play.look()
    play.jobs[play.job] = JobFacts(running=True, reason=reason, message=message)

    play.look()
    for condition in ("Applied", "Ready", "Reconciling"):
        status, why = play.says(condition)
        assert (status, why) == ("True" if condition == "Reconciling" else "False", reason)
    assert message in play.condition("Applied").message
    assert play.says("Stalled") == ("", "")

    play.jobs[play.job] = JobFacts(running=True)
    play.look()
    assert play.says("Applied") == ("False", "Progressing")


def waits(play: Play, *, outdated: bool = False, reason: str = "Unschedulable") -> None:
    """The job in flight does not begin, for that reason."""
    message = NO_NODE if reason else ""
    play.jobs[play.job] = JobFacts(
        running=True, reason=reason, message=message, begun=False, outdated=outdated
    )


def ends_before_it_began(play: Play) -> None:
    """The job that was taken back is over."""
    message = f"{NO_NODE}; taken back before it began"
    play.jobs[play.job] = JobFacts(
        running=False, reason="Unschedulable", message=message, begun=False
    )


def test_a_job_that_cannot_begin_makes_way_for_a_new_commit() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    first = play.job
    waits(play)
    play.look()
    assert play.taken_back == {}

    play.source = SourceFacts(B)
    play.look()
    assert play.taken_back == {first: f"Unschedulable: {NO_NODE}"}
    assert play.started == [first], "not before nothing of the first can run any more"

    ends_before_it_began(play)
    play.look()
    assert len(play.started) == 2
    assert play.request.revision == B
    (record,) = play.status.operations
    assert (record.result, record.reason, record.revision) == (Result.FAILED, "Unschedulable", A)
    assert record.message is not None
    assert NO_NODE in record.message
    assert "superseded" in record.message


def test_changed_runtime_replaces_an_unstartable_job() -> None:
    play = Play(schedules=[hourly()]).apply()
    play.later(minutes=30)
    play.look()
    first, operation = play.job, play.operation
    waits(play, outdated=True)
    play.look()
    assert play.taken_back == {first: f"Unschedulable: {NO_NODE}"}

    ends_before_it_began(play)
    play.look()
    play.later(seconds=2)
    play.look()
    assert play.operation.id == operation.id
    assert (play.operation.attempt, play.operation.failures) == (2, 0)
    assert play.started[-1] == play.job != first


def test_deleted_project_does_not_wait_for_an_unstartable_job() -> None:
    play = Play()
    play.look()
    waits(play)
    play.delete()
    play.look()
    assert list(play.taken_back) == play.started

    ends_before_it_began(play)
    assert play.look().finished


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_that_runs_or_merely_starts_is_left_to_end(begun: bool) -> None:
    play = Play()
    play.look()
    play.jobs[play.job] = JobFacts(running=True, begun=begun)
    play.source = SourceFacts(B)
    play.look()
    assert play.taken_back == {}


@pytest.mark.parametrize(
    ("begun", "reason", "seconds"),
    [(True, "", 60), (False, "", 5), (False, "Unschedulable", 30)],
)
def test_why_a_job_does_not_begin_is_looked_for(begun: bool, reason: str, seconds: int) -> None:
    play = Play()
    play.look()
    if begun:
        play.jobs[play.job] = JobFacts(running=True)
    else:
        waits(play, reason=reason)

    looked = play.look().requeue_at
    assert looked is not None
    assert round((looked - play.now).total_seconds()) == seconds
