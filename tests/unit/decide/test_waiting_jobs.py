"""An operation that waited reports the cause until its job runs, and not afterwards."""

from tests.unit.decide.build import MLFLOW, ProjectScenario

from feature_lineage.api.enums import OperationPhase
from feature_lineage.decide.facts import JobFacts


def started(**operation: object) -> ProjectScenario:
    """A scenario whose first apply is decided, with a cause from before its job ran."""
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    status = scenario.status
    assert status.operation is not None
    waited = status.operation.model_copy(
        update={"reason": "JobFailed", "message": "Server disconnected", **operation}
    )
    scenario.status = status.model_copy(update={"operation": waited})
    return scenario


def test_what_a_start_waited_for_is_over_once_its_job_runs() -> None:
    scenario = started()
    scenario.jobs[scenario.job] = JobFacts(running=True)
    scenario.reconcile()

    operation = scenario.status.operation
    assert operation is not None
    assert operation.phase is OperationPhase.RUNNING
    assert (operation.reason, operation.message) == (None, None)


def test_last_error_is_shown_during_the_next_attempt() -> None:
    scenario = started(failures=1, attempt=2)
    scenario.jobs[scenario.job] = JobFacts(running=True)
    scenario.reconcile()

    operation = scenario.status.operation
    assert operation is not None
    assert operation.message == "Server disconnected"
