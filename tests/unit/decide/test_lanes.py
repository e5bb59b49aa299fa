"""The two lanes: reading operations run beside writing ones, and a long one yields to others."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    STATS,
    B,
    ProjectScenario,
    at,
    backfill,
    hourly,
    view_report,
)
from tests.unit.operations.build import registry, view

from feature_lineage.api.enums import OperationKind, OperationPhase, Result
from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.decide.decision import CancelJob
from feature_lineage.decide.events import OperationEnded, OperationStarted, OperationWithdrawn
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.project.due import last_observed
from feature_lineage.operations.kinds import KINDS, Lane

OLD = registry({"stats": view({"conv_rate": "FLOAT"})})


def reading(scenario: ProjectScenario) -> OperationStatus:
    assert scenario.status.reading_operation is not None
    return scenario.status.reading_operation


def writing(scenario: ProjectScenario) -> OperationStatus:
    assert scenario.status.operation is not None
    return scenario.status.operation


def both(**spec: Any) -> ProjectScenario:
    """A materialization runs, and an operation reads the registry at the same time."""
    scenario = ProjectScenario(
        mlflow=MLFLOW, registry={"pollInterval": "10m"}, schedules=[hourly()], **spec
    )
    scenario.apply().rest()
    scenario.now = at("12:31")
    scenario.reconcile()
    scenario.reconcile()
    return scenario


def test_an_observe_runs_beside_a_materialization() -> None:
    scenario = both()

    assert (writing(scenario).kind, reading(scenario).kind) == (
        OperationKind.MATERIALIZE,
        OperationKind.OBSERVE,
    )
    assert [scenario.jobs[job].running for job in scenario.started[-2:]] == [True, True]
    scenario.reports(reading(scenario), "Succeeded")
    scenario.reconcile()
    assert scenario.status.reading_operation is None
    assert writing(scenario).phase is OperationPhase.RUNNING
    scenario.rest()
    scenario.later(minutes=11)
    scenario.reconcile()
    assert reading(scenario).kind is OperationKind.OBSERVE, "the next one does not wait either"


def test_an_apply_does_not_wait_for_an_observe() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, registry={"pollInterval": "10m"}).apply()
    scenario.rest()
    scenario.later(minutes=11)
    scenario.reconcile()
    assert reading(scenario).kind is OperationKind.OBSERVE

    scenario.push(B)
    scenario.reconcile()

    assert writing(scenario).kind is OperationKind.APPLY


@pytest.mark.parametrize("together", [False, True], ids=["later", "in the same reconcile"])
def test_what_was_read_before_a_write_is_not_taken_over(together: bool) -> None:
    scenario = both()
    observe = reading(scenario)
    views = (view_report("stats"), view_report("extra"))
    scenario.reports(writing(scenario), "Succeeded", views=views)
    if not together:
        scenario.reconcile()
        assert reading(scenario).overtaken_by is not None
    scenario.reports(observe, "Succeeded", snapshot=OLD, views=(view_report("stats", ""),))

    decision = scenario.reconcile()

    assert scenario.status.registry is not None
    assert scenario.status.registry.digest == STATS.digest, "the write is newer"
    assert OLD.digest not in [keep.snapshot.digest for keep in decision.before]
    assert {view.name for view in scenario.status.feature_views} == {"stats", "extra"}
    ended = next(each for each in scenario.status.operations if each.id == observe.id)
    assert (ended.result, ended.registry_digest) == (Result.SUCCEEDED, None)
    assert "wrote the registry in the meantime" in (ended.message or "")


def test_a_block_writes_nothing_so_what_was_read_counts() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, registry={"pollInterval": "10m"}).apply()
    scenario.rest()
    scenario.later(minutes=11)
    scenario.push(B)
    scenario.reconcile()
    scenario.reports(writing(scenario), "Blocked", reason="Blocked", snapshot=STATS)
    scenario.reconcile()
    scenario.reports(reading(scenario), "Succeeded", snapshot=OLD)
    scenario.reconcile()

    assert scenario.status.registry is not None
    assert scenario.status.registry.digest == OLD.digest


def test_the_next_attempt_of_an_overtaken_observe_counts() -> None:
    scenario = both()
    scenario.reports(writing(scenario), "Succeeded", views=(view_report("stats"),))
    scenario.reconcile()
    scenario.jobs[reading(scenario).job] = JobFacts(
        running=False, reason="JobFailed", message="killed"
    )
    scenario.reconcile()
    assert (reading(scenario).phase, reading(scenario).overtaken_by) == (
        OperationPhase.BACKING_OFF,
        None,
    )


def test_a_deletion_waits_for_both_lanes() -> None:
    scenario = both()
    scenario.delete()
    scenario.reports(writing(scenario), "Succeeded")

    assert not scenario.reconcile().finished
    scenario.reports(reading(scenario), "Succeeded")
    for _ in range(3):
        decision = scenario.reconcile()
    assert decision.finished


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> ProjectScenario:
    """A materialization acts as a long reading operation; the test puts it into the other lane."""
    table = cast("dict[OperationKind, Any]", KINDS)
    long = replace(KINDS[OperationKind.MATERIALIZE], lane=Lane.READING, priority=2, yields=True)
    monkeypatch.setitem(table, OperationKind.MATERIALIZE, long)
    scenario = ProjectScenario(
        mlflow=MLFLOW, registry={"pollInterval": "10m"}, schedules=[hourly()]
    )
    scenario.apply().rest()
    scenario.now = at("12:31")
    scenario.reconcile()
    if reading(scenario).kind is OperationKind.OBSERVE:  # it starts first
        scenario.reports(reading(scenario), "Succeeded")
        scenario.reconcile()
        scenario.reconcile()
    assert reading(scenario).kind is OperationKind.MATERIALIZE
    scenario.rest()
    return scenario


def test_a_long_reading_job_gives_way_and_starts_again(measuring: ProjectScenario) -> None:
    scenario, long = measuring, reading(measuring)
    scenario.now = at("12:43")
    decision = scenario.reconcile()
    assert [each.job for each in decision.after if isinstance(each, CancelJob)] == [long.job]
    assert reading(scenario).id == long.id, "its job has to be over first"

    scenario.jobs[long.job] = replace(scenario.jobs[long.job], cancelled=True)
    assert not [each for each in scenario.reconcile().after if isinstance(each, CancelJob)]
    report = scenario.report("Failed", long, reason="Interrupted", message="stopped while it read")
    scenario.jobs[long.job] = JobFacts(running=False, report=report, cancelled=True)
    scenario.happened.clear()
    scenario.reconcile()

    assert reading(scenario).kind is OperationKind.OBSERVE
    assert [type(event) for event in scenario.happened] == [OperationWithdrawn, OperationStarted]
    assert long.id not in {each.id for each in scenario.status.operations}
    scenario.reports(reading(scenario), "Succeeded")
    scenario.reconcile()
    scenario.reconcile()
    again = reading(scenario)
    assert (again.kind, again.attempt, again.failures) == (OperationKind.MATERIALIZE, 1, 0)
    assert again.started_for == long.started_for, "it is the same work"


def test_patient_reading_job_is_not_interrupted(measuring: ProjectScenario) -> None:
    scenario = measuring
    scenario.now = at("12:30") + timedelta(minutes=61)

    decision = scenario.reconcile()

    assert not [each for each in decision.after if isinstance(each, CancelJob)]


def test_a_result_that_came_before_the_interruption_counts(measuring: ProjectScenario) -> None:
    scenario, long = measuring, reading(measuring)
    scenario.now = at("12:43")
    scenario.reconcile()
    report = scenario.report("Succeeded", long, views=(view_report("stats"),))
    scenario.jobs[long.job] = JobFacts(running=False, report=report, cancelled=True)
    scenario.happened.clear()
    scenario.reconcile()

    ended = scenario.happened[0]
    assert isinstance(ended, OperationEnded)
    assert (ended.operation, ended.result) == (long.id, Result.SUCCEEDED)


def test_a_failed_reading_job_of_another_kind_is_no_failed_observe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It did not read the registry: Applied and the time of the next Observe stay the same."""
    table = cast("dict[OperationKind, Any]", KINDS)
    other = replace(KINDS[OperationKind.BACKFILL], lane=Lane.READING)
    monkeypatch.setitem(table, OperationKind.BACKFILL, other)
    scenario = ProjectScenario(
        mlflow=MLFLOW,
        apply={"mode": "Observe"},
        runtime={"retries": 0},
        registry={"pollInterval": "20m"},
        backfills=[backfill(days=1)],
    )
    scenario.reconcile()
    scenario.reports(reading(scenario), "Succeeded")
    scenario.reconcile()
    observed = scenario.now
    scenario.later(minutes=15)
    failed = reading(scenario)
    assert failed.kind is OperationKind.BACKFILL
    scenario.reports(failed, "Failed", reason="JobFailed", message="no such table")
    scenario.reconcile()

    assert scenario.status.operations[0].result is Result.FAILED
    assert scenario.says("Applied") == ("True", "Observed")
    last = last_observed(scenario.status)
    assert last is not None
    assert last <= observed
