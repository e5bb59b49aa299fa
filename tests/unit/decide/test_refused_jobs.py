"""A job that cannot be started until the spec changes."""

import pytest
from tests.unit.decide.build import MLFLOW, B, ProjectScenario, at, backfill, hourly

from feature_lineage.api.enums import BackfillState, OperationKind, Result
from feature_lineage.decide.observed import Failure

REFUSAL = Failure(
    "InvalidManifest", "Job ranking: requests.memory must not exceed limits.memory", terminal=True
)


def refused(scenario: ProjectScenario) -> ProjectScenario:
    scenario.rest()
    scenario.refusal = REFUSAL
    return scenario


def test_a_refused_tick_is_over() -> None:
    scenario = refused(ProjectScenario(mlflow=MLFLOW, schedules=[hourly()]).apply())
    scenario.now = at("12:31")
    scenario.reconcile()
    assert scenario.status.operation is None
    refusals = scenario.status.sequence

    for _ in range(5):
        scenario.reconcile()

    assert scenario.status.sequence == refusals, "no second operation for the same tick"
    assert scenario.status.schedules[0].last == at("12:30")
    scenario.now = at("13:31")
    scenario.reconcile()
    assert scenario.status.sequence == refusals + 1, "the next tick is another"


def test_a_refused_backfill_has_failed() -> None:
    scenario = refused(ProjectScenario(mlflow=MLFLOW).apply())
    scenario.change(backfills=[backfill()])
    for _ in range(5):
        scenario.reconcile()

    assert scenario.status.backfills[0].state is BackfillState.FAILED
    assert [op.kind for op in scenario.status.operations] == [
        OperationKind.BACKFILL,
        OperationKind.APPLY,
    ]


@pytest.mark.parametrize("mode", ["Auto", "Observe"])
def test_a_refused_apply_or_observe_is_not_repeated_at_once(mode: str) -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, apply={"mode": mode})
    scenario.refusal = REFUSAL
    for _ in range(5):
        scenario.reconcile()

    assert scenario.status.sequence == 1
    assert scenario.status.operations[0].result is Result.FAILED
    scenario.push(B)
    scenario.reconcile()
    assert scenario.status.sequence == (2 if mode == "Auto" else 1)


def test_a_refusal_is_an_event() -> None:
    scenario = refused(ProjectScenario(mlflow=MLFLOW, schedules=[hourly()]).apply())
    scenario.events.clear()
    scenario.now = at("12:31")
    for _ in range(5):
        scenario.reconcile()

    assert scenario.events == ["InvalidManifest"]
