"""Events for a source or an MLflow server that a person has to repair."""

from dataclasses import replace

import pytest
from tests.unit.decide.build import MLFLOW, NOW, OUTAGE, ProjectScenario, model

from feature_lineage.api import Condition
from feature_lineage.api.enums import OperationKind
from feature_lineage.api.project_status import RegistryStatus
from feature_lineage.decide.events import AccessLost
from feature_lineage.decide.facts import Key
from feature_lineage.decide.observed import Failure
from feature_lineage.decide.project.access_events import write_refused
from feature_lineage.decide.project.action_results import ActionResults, conclude_model

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


def test_a_registry_that_nobody_read_is_read_at_once() -> None:
    """A status that a person or an older version wrote names a digest without a time."""
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.rest()
    unread = RegistryStatus(id="r", digest="f" * 64)
    scenario.status = scenario.status.model_copy(update={"registry": unread})
    scenario.snapshot = None

    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.OBSERVE
    scenario.end("Succeeded")
    registry = scenario.status.registry
    assert registry is not None
    assert registry.observed_at is not None
    scenario.rest()
    assert not scenario.status.in_flight


def test_a_registry_that_cannot_be_read_is_read_in_ten_minutes() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.rest()
    unread = RegistryStatus(id="r", digest="f" * 64)
    scenario.status = scenario.status.model_copy(update={"registry": unread})
    scenario.snapshot = None
    scenario.reconcile()
    scenario.end("Failed", reason="InvalidRepo", message="no")

    scenario.later(minutes=9)
    scenario.rest()
    assert not scenario.status.in_flight

    scenario.later(minutes=2)
    scenario.reconcile()
    assert scenario.operation.kind is OperationKind.OBSERVE


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


def test_mlflow_that_refuses_after_an_outage_has_an_event() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.rest()
    scenario.outage = OUTAGE
    scenario.rest()
    scenario.events.clear()

    scenario.outage = REFUSED
    scenario.rest()
    scenario.later(minutes=5)
    scenario.rest()
    scenario.outage = replace(REFUSED, message="MLflow refuses the token (401)")
    scenario.rest()

    assert scenario.events == ["AuthFailed"]
    assert ": AuthFailed: " in scenario.condition("FactsCurrent").message

    scenario.outage = Failure("HostNotAllowed", "no entry")
    scenario.rest()
    assert scenario.events == ["AuthFailed", "HostNotAllowed"]


@pytest.mark.parametrize("reason", ["AccessNotGranted", "AuthFailed"])
def test_a_record_that_is_refused_has_one_event(reason: str) -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.rest()
    scenario.events.clear()
    scenario.unrecorded = Failure(reason, "server prod: no entry with OpsRuns")
    scenario.push("b" * 40)
    scenario.reconcile()
    scenario.end("Failed", reason="InvalidRepo", message="no")

    for _ in range(3):
        scenario.later(minutes=1)
        scenario.reconcile()

    assert scenario.events.count(reason) == 1
    assert scenario.says("Recorded") == ("False", reason)


def test_an_outage_of_a_record_has_no_event() -> None:
    before = (
        Condition(type="Recorded", status="True", reason="Succeeded", last_transition_time=NOW),
    )
    key = Key("FeatureStoreProject", "ml", "ranking")

    assert not list(write_refused(key, OUTAGE, before[0], None))


def test_tags_that_are_refused_have_one_event_for_each_reason() -> None:
    resource = model()
    events: list[str] = []
    for reason in ("AccessNotGranted", "AccessNotGranted", "AuthFailed", "MLflowUnavailable"):
        failure = Failure(reason, "no")
        status, told = conclude_model(
            resource, resource.status, ActionResults(not_recorded=failure), NOW
        )
        resource = resource.model_copy(update={"status": status})
        events += [each.reason for each in told if isinstance(each, AccessLost)]

    assert events == ["AccessNotGranted", "AuthFailed"]
