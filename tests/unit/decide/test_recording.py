"""Recording in MLflow: every operation once, and none leaves the list before."""

import pytest
from tests.unit.decide.build import MLFLOW, OUTAGE, A, B, Play

from feature_lineage.api.enums import Result
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.project.history import ops_run_of
from feature_lineage.decide.values import Failure, Record
from feature_lineage.operations.records import SNAPSHOT_ARTIFACT


def fail_often(play: Play, times: int) -> None:
    """As many operations that end at once."""
    play.change(runtime={"retries": 0})
    for number in range(times):
        play.push(f"{number:040x}")
        play.look()
        play.crash()


def test_operation_is_recorded_by_the_reconcile_that_adopts_it() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()

    decision = play.end("Succeeded")

    assert Record(play.status.operations[0].id) in decision.after
    assert play.status.operations[0].mlflow_run_id == "run-0"
    assert not [a for a in play.look().after if isinstance(a, Record)]


def test_job_is_released_after_its_operation_is_recorded() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    job = play.job
    play.outage = OUTAGE
    play.end("Succeeded")
    assert play.forgotten == []

    play.outage = None
    play.look()

    assert play.forgotten == [job]


def test_failed_operations_are_recorded_too() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()

    play.end("Failed", reason="InvalidRepo", message="no")

    assert play.status.operations[0].mlflow_run_id == "run-0"


def test_operations_wait_during_an_mlflow_outage() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    play.outage = OUTAGE

    play.end("Succeeded")

    assert play.status.operations[0].mlflow_run_id is None
    assert play.says("Recorded") == ("False", "MLflowUnavailable")
    assert play.condition("Recorded").message.startswith("1 operations wait for MLflow")
    assert play.says("Ready") == ("True", "Succeeded")


def test_a_credential_that_is_refused_is_called_that() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    play.outage = Failure("AuthFailed", "403")

    play.end("Succeeded")

    assert play.says("Recorded") == ("False", "AuthFailed")


def test_outage_without_operations_keeps_recorded_true() -> None:
    play = Play(mlflow=MLFLOW).apply()
    play.outage = OUTAGE

    play.look()

    assert play.says("Recorded") == ("True", "Succeeded")


def test_operations_that_are_not_on_record_never_leave_the_list() -> None:
    play = Play(mlflow=MLFLOW, apply={"protection": {"mode": "Warn"}}).apply()
    play.outage = OUTAGE
    fail_often(play, 14)
    assert len(play.status.operations) == 14

    play.outage = None
    decision = play.look()

    recorded = [action.operation_id for action in decision.after if isinstance(action, Record)]
    assert recorded == [op.id for op in reversed(play.status.operations)]
    assert all(operation.mlflow_run_id for operation in play.status.operations)


def test_operation_list_shrinks_after_an_outage() -> None:
    play = Play(mlflow=MLFLOW, apply={"protection": {"mode": "Warn"}}).apply()
    play.outage = OUTAGE
    fail_often(play, 14)
    play.outage = None

    play.rest()

    assert len(play.status.operations) == 10


def test_ten_operations_are_listed_where_nothing_is_recorded() -> None:
    play = Play()

    fail_often(play, 14)

    assert len(play.status.operations) == 10
    assert play.status.operations[0].revision == f"{13:040x}"
    assert play.says("Recorded") == ("True", "Succeeded")


def test_log_operations_off_records_nothing() -> None:
    play = Play(mlflow={**MLFLOW, "logOperations": False})
    play.look()
    job = play.job

    decision = play.end("Succeeded")

    assert not decision.after
    assert play.says("Recorded") == ("True", "Succeeded")
    assert play.forgotten == [job]


def test_suspended_project_writes_nothing_to_mlflow() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    play.change(suspend=True)

    play.end("Succeeded")
    assert not play.runs

    play.change(suspend=False)
    play.look()
    assert len(play.runs) == 1


def test_what_was_superseded_is_recorded_as_what_it_was() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    play.crash("DeadlineExceeded", "it took longer than 1h")
    play.push(B)

    play.look()

    given_up = play.status.operations[0]
    assert (given_up.revision, given_up.reason) == (A, "DeadlineExceeded")
    assert given_up.mlflow_run_id is not None


@pytest.mark.parametrize(
    ("result", "held"),
    [(Result.SUCCEEDED, True), (Result.PLANNED, True), (Result.BLOCKED, False)],
)
def test_a_snapshot_is_on_record_once_a_run_holds_it(result: Result, *, held: bool) -> None:
    """MLflow's timeline counts runs that succeeded: one that did not holds no snapshot for it."""
    play = Play(mlflow=MLFLOW).apply()
    play.push(B)
    play.look()
    job = JobFacts(running=False, report=play.report("Succeeded"))
    before = play.status.operations[0].model_copy(update={"result": result})
    listed = before.model_copy(update={"id": "next", "mlflow_run_id": None})
    play.status = play.status.model_copy(update={"operations": (listed, before)})

    run = ops_run_of(play.project, listed, job)

    assert (SNAPSHOT_ARTIFACT in run.artifacts) is not held


def test_what_was_not_taken_over_is_not_in_mlflows_timeline() -> None:
    """A registry that was read before a write must not come back from the ops runs."""
    play = Play(mlflow=MLFLOW).apply()
    play.push(B)
    play.look()
    job = JobFacts(running=False, report=play.report("Succeeded"))
    listed = play.status.operations[0]

    run = ops_run_of(play.project, listed, job)
    assert "featurelineage.io/registry-digest" in run.tags

    overtaken = listed.model_copy(update={"registry_digest": None})
    run = ops_run_of(play.project, overtaken, job)
    assert "featurelineage.io/registry-digest" not in run.tags
    assert "registry_snapshot.json" not in run.artifacts
