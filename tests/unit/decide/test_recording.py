"""Records in MLflow: every operation once; none leaves the list before it is recorded."""

import pytest
from tests.unit.decide.build import MLFLOW, OUTAGE, A, B, ProjectScenario

from feature_lineage.api.enums import Result
from feature_lineage.decide.decision import Record
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.observed import Failure
from feature_lineage.decide.project.history import ops_run_of, with_runs
from feature_lineage.operations.records import SNAPSHOT_ARTIFACT


def fail_often(scenario: ProjectScenario, times: int) -> None:
    """Many operations that end at once."""
    scenario.change(runtime={"retries": 0})
    for number in range(times):
        scenario.push(f"{number:040x}")
        scenario.reconcile()
        scenario.crash()


def test_operation_is_recorded_by_the_reconcile_that_adopts_it() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()

    decision = scenario.end("Succeeded")

    assert Record(scenario.status.operations[0].id) in decision.after
    assert scenario.status.operations[0].mlflow_run_id == "run-0"
    assert not [a for a in scenario.reconcile().after if isinstance(a, Record)]


def test_job_is_released_after_its_operation_is_recorded() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    job = scenario.job
    scenario.outage = OUTAGE
    scenario.end("Succeeded")
    assert scenario.forgotten == []

    scenario.outage = None
    scenario.reconcile()

    assert scenario.forgotten == [job]


def test_failed_operations_are_recorded_too() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()

    scenario.end("Failed", reason="InvalidRepo", message="no")

    assert scenario.status.operations[0].mlflow_run_id == "run-0"


def test_operations_wait_during_an_mlflow_outage() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.outage = OUTAGE

    scenario.end("Succeeded")

    assert scenario.status.operations[0].mlflow_run_id is None
    assert scenario.says("Recorded") == ("False", "MLflowUnavailable")
    assert scenario.condition("Recorded").message.startswith("1 operations wait for MLflow")
    assert scenario.says("Ready") == ("True", "Succeeded")


def test_a_credential_that_is_refused_is_called_that() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.outage = Failure("AuthFailed", "403")

    scenario.end("Succeeded")

    assert scenario.says("Recorded") == ("False", "AuthFailed")


def test_outage_without_operations_keeps_recorded_true() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.outage = OUTAGE

    scenario.reconcile()

    assert scenario.says("Recorded") == ("True", "Succeeded")


def test_operations_that_are_not_on_record_never_leave_the_list() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, apply={"protection": {"mode": "Warn"}}).apply()
    scenario.outage = OUTAGE
    fail_often(scenario, 14)
    assert len(scenario.status.operations) == 14

    scenario.outage = None
    decision = scenario.reconcile()

    recorded = [action.operation_id for action in decision.after if isinstance(action, Record)]
    assert recorded == [op.id for op in reversed(scenario.status.operations)]
    assert all(operation.mlflow_run_id for operation in scenario.status.operations)


def test_operation_list_shrinks_after_an_outage() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, apply={"protection": {"mode": "Warn"}}).apply()
    scenario.outage = OUTAGE
    fail_often(scenario, 14)
    scenario.outage = None

    scenario.rest()

    assert len(scenario.status.operations) == 10


def test_ten_operations_are_listed_where_nothing_is_recorded() -> None:
    scenario = ProjectScenario()

    fail_often(scenario, 14)

    assert len(scenario.status.operations) == 10
    assert scenario.status.operations[0].revision == f"{13:040x}"
    assert scenario.says("Recorded") == ("True", "Succeeded")


def test_log_operations_off_records_nothing() -> None:
    scenario = ProjectScenario(mlflow={**MLFLOW, "logOperations": False})
    scenario.reconcile()
    job = scenario.job

    decision = scenario.end("Succeeded")

    assert not decision.after
    assert scenario.says("Recorded") == ("True", "Succeeded")
    assert scenario.forgotten == [job]


def test_suspended_project_writes_nothing_to_mlflow() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.change(suspend=True)

    scenario.end("Succeeded")
    assert not scenario.runs

    scenario.change(suspend=False)
    scenario.reconcile()
    assert len(scenario.runs) == 1


def test_what_was_superseded_is_recorded_as_what_it_was() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.crash("DeadlineExceeded", "it took longer than 1h")
    scenario.push(B)

    scenario.reconcile()

    given_up = scenario.status.operations[0]
    assert (given_up.revision, given_up.reason) == (A, "DeadlineExceeded")
    assert given_up.mlflow_run_id is not None


@pytest.mark.parametrize(
    ("result", "held"),
    [(Result.SUCCEEDED, True), (Result.PLANNED, True), (Result.BLOCKED, False)],
)
def test_a_snapshot_is_on_record_once_a_run_holds_it(result: Result, *, held: bool) -> None:
    """MLflow's timeline uses successful runs only, so a failed run has no snapshot for it."""
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.push(B)
    scenario.reconcile()
    job = JobFacts(running=False, report=scenario.report("Succeeded"))
    before = scenario.status.operations[0].model_copy(update={"result": result})
    listed = before.model_copy(update={"id": "next", "mlflow_run_id": None})
    scenario.status = scenario.status.model_copy(update={"operations": (listed, before)})

    run = ops_run_of(scenario.project, listed, job)

    assert (SNAPSHOT_ARTIFACT in run.artifacts) is not held


def test_two_runs_of_one_reconcile_hold_a_snapshot_once() -> None:
    """The second is recorded with the run of the first in the status, before that is written."""
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.push(B)
    scenario.reconcile()
    job = JobFacts(running=False, report=scenario.report("Succeeded"))
    first = scenario.status.operations[0].model_copy(update={"mlflow_run_id": None})
    second = first.model_copy(update={"id": "next"})
    scenario.status = scenario.status.model_copy(update={"operations": (second, first)})

    assert SNAPSHOT_ARTIFACT in ops_run_of(scenario.project, first, job).artifacts
    scenario.status = with_runs(scenario.status, {first.id: "run-1"})
    run = ops_run_of(scenario.project, second, job)
    assert SNAPSHOT_ARTIFACT not in run.artifacts


def test_what_was_not_taken_over_is_not_in_mlflows_timeline() -> None:
    """A registry that was read before a write must not come back from the ops runs."""
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.push(B)
    scenario.reconcile()
    job = JobFacts(running=False, report=scenario.report("Succeeded"))
    listed = scenario.status.operations[0]

    run = ops_run_of(scenario.project, listed, job)
    assert "featurelineage.io/registry-digest" in run.tags

    overtaken = listed.model_copy(update={"registry_digest": None})
    run = ops_run_of(scenario.project, overtaken, job)
    assert "featurelineage.io/registry-digest" not in run.tags
    assert "registry_snapshot.json" not in run.artifacts
