"""An operation that waited for something says so until its job runs, and not afterwards."""

from tests.unit.decide.build import MLFLOW, Play

from feature_lineage.api.enums import OperationPhase
from feature_lineage.decide.facts import JobFacts


def started(**operation: object) -> Play:
    """A play whose first apply is decided on, with something left from before its job ran."""
    play = Play(mlflow=MLFLOW)
    play.look()
    status = play.status
    assert status.operation is not None
    waited = status.operation.model_copy(
        update={"reason": "JobFailed", "message": "Server disconnected", **operation}
    )
    play.status = status.model_copy(update={"operation": waited})
    return play


def test_what_a_start_waited_for_is_over_once_its_job_runs() -> None:
    play = started()
    play.jobs[play.job] = JobFacts(running=True)
    play.look()

    operation = play.status.operation
    assert operation is not None
    assert operation.phase is OperationPhase.RUNNING
    assert (operation.reason, operation.message) == (None, None)


def test_last_error_is_shown_during_the_next_attempt() -> None:
    play = started(failures=1, attempt=2)
    play.jobs[play.job] = JobFacts(running=True)
    play.look()

    operation = play.status.operation
    assert operation is not None
    assert operation.message == "Server disconnected"
