"""A job that cannot start reports the cause while it waits, and is replaced by a newer one."""

import pytest
from tests.unit.decide.build import MLFLOW, A, B, ProjectScenario, hourly

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
def test_the_cause_of_waiting_is_reported_until_the_job_begins(reason: str, message: str) -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    scenario.jobs[scenario.job] = JobFacts(running=True, reason=reason, message=message)

    scenario.reconcile()
    for condition in ("Applied", "Ready", "Reconciling"):
        status, why = scenario.says(condition)
        assert (status, why) == ("True" if condition == "Reconciling" else "False", reason)
    assert message in scenario.condition("Applied").message
    assert scenario.says("Stalled") == ("", "")

    scenario.jobs[scenario.job] = JobFacts(running=True)
    scenario.reconcile()
    assert scenario.says("Applied") == ("False", "Progressing")


def waits(
    scenario: ProjectScenario, *, outdated: bool = False, reason: str = "Unschedulable"
) -> None:
    """The job in flight does not start, for this reason."""
    message = NO_NODE if reason else ""
    scenario.jobs[scenario.job] = JobFacts(
        running=True, reason=reason, message=message, begun=False, outdated=outdated
    )


def ends_before_it_began(scenario: ProjectScenario) -> None:
    """The cancelled job has ended."""
    message = f"{NO_NODE}; taken back before it began"
    scenario.jobs[scenario.job] = JobFacts(
        running=False, reason="Unschedulable", message=message, begun=False
    )


def test_a_job_that_cannot_begin_makes_way_for_a_new_commit() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    first = scenario.job
    waits(scenario)
    scenario.reconcile()
    assert scenario.taken_back == {}

    scenario.source = SourceFacts(B)
    scenario.reconcile()
    assert scenario.taken_back == {first: f"Unschedulable: {NO_NODE}"}
    assert scenario.started == [first], "not before nothing of the first can run any more"

    ends_before_it_began(scenario)
    scenario.reconcile()
    assert len(scenario.started) == 2
    assert scenario.request.revision == B
    (record,) = scenario.status.operations
    assert (record.result, record.reason, record.revision) == (Result.FAILED, "Unschedulable", A)
    assert record.message is not None
    assert NO_NODE in record.message
    assert "superseded" in record.message


def test_changed_runtime_replaces_an_unstartable_job() -> None:
    scenario = ProjectScenario(schedules=[hourly()]).apply()
    scenario.later(minutes=30)
    scenario.reconcile()
    first, operation = scenario.job, scenario.operation
    waits(scenario, outdated=True)
    scenario.reconcile()
    assert scenario.taken_back == {first: f"Unschedulable: {NO_NODE}"}

    ends_before_it_began(scenario)
    scenario.reconcile()
    scenario.later(seconds=2)
    scenario.reconcile()
    assert scenario.operation.id == operation.id
    assert (scenario.operation.attempt, scenario.operation.failures) == (2, 0)
    assert scenario.started[-1] == scenario.job != first


def test_deleted_project_does_not_wait_for_an_unstartable_job() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    waits(scenario)
    scenario.delete()
    scenario.reconcile()
    assert list(scenario.taken_back) == scenario.started

    ends_before_it_began(scenario)
    assert scenario.reconcile().finished


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_that_runs_or_merely_starts_is_left_to_end(begun: bool) -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    scenario.jobs[scenario.job] = JobFacts(running=True, begun=begun)
    scenario.source = SourceFacts(B)
    scenario.reconcile()
    assert scenario.taken_back == {}


@pytest.mark.parametrize(
    ("begun", "reason", "seconds"),
    [(True, "", 60), (False, "", 5), (False, "Unschedulable", 30)],
)
def test_why_a_job_does_not_begin_is_looked_for(begun: bool, reason: str, seconds: int) -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    if begun:
        scenario.jobs[scenario.job] = JobFacts(running=True)
    else:
        waits(scenario, reason=reason)

    looked = scenario.reconcile().requeue_at
    assert looked is not None
    assert round((looked - scenario.now).total_seconds()) == seconds
