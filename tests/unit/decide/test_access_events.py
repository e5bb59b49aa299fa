"""Events for a source or an MLflow server that a person has to repair."""

from dataclasses import replace

import pytest
from tests.unit.decide.build import MLFLOW, OUTAGE, ProjectScenario

from feature_lineage.api.enums import OperationKind
from feature_lineage.decide.observed import Failure

FORBIDDEN = Failure("SecretForbidden", "run feature-lineage grant features-git")
REFUSED = Failure("AuthFailed", "MLflow refuses the credential (401)")


@pytest.mark.parametrize("reason", ["SecretForbidden", "SecretNotFound", "AuthFailed"])
def test_a_source_has_one_event_on_the_first_day(reason: str) -> None:
    scenario = ProjectScenario()
    scenario.source = replace(FORBIDDEN, reason=reason)

    scenario.rest()

    assert scenario.events == [reason]


def test_another_cause_is_another_event() -> None:
    scenario = ProjectScenario()
    scenario.source = FORBIDDEN
    scenario.rest()

    scenario.source = REFUSED
    scenario.rest()

    assert scenario.events == ["SecretForbidden", "AuthFailed"]


def test_mlflow_has_one_event_on_the_first_day() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.outage, scenario.read_at = REFUSED, None

    scenario.rest()

    assert scenario.events == ["AuthFailed"]


def test_an_outage_has_no_event() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.rest()
    scenario.events.clear()
    scenario.outage = OUTAGE

    scenario.rest()

    assert not scenario.events


def test_a_lost_snapshot_is_read_again() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.rest()
    scenario.snapshot = None
    scenario.later(minutes=9)
    scenario.rest()
    assert scenario.status.reading_operation is None

    scenario.later(minutes=2)
    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.OBSERVE
    scenario.end("Succeeded")
    scenario.later(minutes=11)
    scenario.reconcile()
    assert not scenario.status.in_flight, "it is known again"
