"""Suspended projects, PlanOnly, and Observe."""

from datetime import timedelta

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    STATS,
    A,
    B,
    ProjectScenario,
    at,
    backfill,
    hourly,
    plan,
    view_report,
)

from feature_lineage.api.enums import MaterializedBy, OperationKind, PlanVerdict, Result
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.observed import Failure
from feature_lineage.decide.project.job_request import apply_request


def watching(**more: object) -> ProjectScenario:
    """A project that another tool applies, read once an hour."""
    return ProjectScenario(apply={"mode": "Observe"}, **more)


def test_a_suspended_project_starts_nothing_and_says_so() -> None:
    scenario = ProjectScenario(suspend=True, backfills=[backfill()], schedules=[hourly()])

    scenario.rest()

    assert not scenario.started
    assert scenario.says("Applied") == scenario.says("Ready") == ("False", "Suspended")
    assert scenario.says("Materialized") == ("Unknown", "Suspended")
    assert scenario.says("Reconciling") == ("", "")


def test_a_suspended_project_that_is_applied_stays_ready() -> None:
    scenario = ProjectScenario().apply()

    scenario.change(suspend=True)
    scenario.rest()

    assert scenario.says("Ready") == ("True", "Succeeded")


def test_a_suspended_project_goes_on_where_it_stopped() -> None:
    scenario = ProjectScenario(suspend=True)
    scenario.rest()

    scenario.change(suspend=False)
    scenario.reconcile()

    assert len(scenario.started) == 1


def test_running_job_of_a_suspended_project_is_followed() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.change(suspend=True)
    scenario.end("Succeeded")

    assert scenario.status.applied is not None


def test_no_attempt_follows_while_the_project_is_suspended() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    scenario.crash()

    scenario.change(suspend=True)
    scenario.wait_for_retry()
    scenario.rest()
    scenario.reconcile(requested=True)
    assert len(scenario.started) == 1

    scenario.change(suspend=False)
    scenario.reconcile()
    assert len(scenario.started) == 2


def test_an_intent_is_held_while_the_project_is_suspended() -> None:
    """Written to the status, and suspended before its job was started."""
    scenario = ProjectScenario()
    scenario.reconcile()
    scenario.jobs.clear()

    scenario.change(suspend=True)
    scenario.rest()
    assert len(scenario.started) == 1

    scenario.change(suspend=False)
    scenario.reconcile()
    assert scenario.started == [scenario.job, scenario.job]


def test_plan_only_says_what_an_apply_would_do() -> None:
    scenario = ProjectScenario(apply={"mode": "PlanOnly"})
    scenario.reconcile()
    assert scenario.operation.kind is OperationKind.PLAN
    assert scenario.request.kind is OperationKind.PLAN

    scenario.end(
        "Planned", plan=plan(), message="one view would be created", registry_id="registry-1"
    )

    assert scenario.says("Applied") == ("False", "Planned")
    assert scenario.says("Ready") == ("True", "Planned")
    assert scenario.says("Reconciling") == scenario.says("Stalled") == ("", "")
    assert scenario.status.applied is None
    assert scenario.status.plan is not None
    scenario.later(hours=1)
    scenario.rest()
    assert len(scenario.started) == 1


def test_a_plan_that_would_be_blocked_stalls_in_plan_only_too() -> None:
    scenario = ProjectScenario(apply={"mode": "PlanOnly"})
    scenario.reconcile()

    scenario.end("Blocked", reason="Blocked", plan=plan(PlanVerdict.BLOCKED, reason="Blocked"))

    assert scenario.says("Ready") == ("False", "Blocked")
    assert scenario.says("Stalled") == ("True", "Blocked")


@pytest.mark.parametrize(("mode", "checked"), [("Auto", True), ("Observe", False)])
def test_only_in_observe_mode_others_own_what_is_materialized(mode: str, checked: bool) -> None:
    scenario = ProjectScenario().apply()
    scenario.change(apply={"mode": mode}, backfills=[backfill()])
    scenario.rest()
    while scenario.operation.kind is not OperationKind.BACKFILL:
        scenario.end("Succeeded")
        scenario.rest()

    assert bool(scenario.requests[scenario.status.in_flight[0].job].owner) is checked


def test_auto_after_plan_only_applies() -> None:
    scenario = ProjectScenario(apply={"mode": "PlanOnly"})
    scenario.reconcile()
    scenario.end("Planned", plan=plan())

    scenario.change(apply={"mode": "Auto"})
    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.APPLY


def test_first_observation_is_immediate() -> None:
    scenario = watching()

    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.OBSERVE
    assert scenario.says("Ready") == ("False", "Progressing")
    scenario.end("Succeeded", views=(view_report("stats", "", materialized_until=at("11:00")),))
    assert scenario.says("Applied") == scenario.says("Ready") == ("True", "Observed")
    assert scenario.status.registry is not None
    assert scenario.status.registry.digest == STATS.digest
    assert scenario.status.applied is None
    assert scenario.status.feature_views[0].by is MaterializedBy.EXTERNAL


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        pytest.param({"state": "MATERIALIZING"}, "NotServed", id="materializing"),
        pytest.param({"state": "GENERATED"}, "NotServed", id="failed after a dead job"),
        pytest.param({"state": "GENERATED", "served": True}, "NotServed", id="never served"),
        pytest.param({"state": "MATERIALIZING", "served": True}, "NoObjective", id="served"),
        pytest.param({"state": "AVAILABLE_ONLINE"}, "NoObjective", id="available"),
        pytest.param({"state": "STATE_UNSPECIFIED"}, "NoObjective", id="no state"),
    ],
)
def test_a_view_that_another_tool_materializes(seen: dict[str, object], says: str) -> None:
    scenario = watching()
    scenario.reconcile()

    scenario.end("Succeeded", views=(view_report("stats", "", **seen),))

    assert scenario.says("Fresh")[1] == says
    scenario.reconcile(requested=True)
    scenario.end("Succeeded", views=(view_report("stats", "", state="AVAILABLE_ONLINE"),))
    assert scenario.says("Fresh")[1] == "NoObjective"
    assert scenario.status.feature_views[0].not_served is None


def test_the_state_of_a_view_that_a_job_of_ours_materializes_is_no_news() -> None:
    scenario = ProjectScenario(schedules=[hourly()], registry={"pollInterval": "20m"}).apply()
    scenario.later(minutes=30)
    scenario.reconcile()
    assert scenario.operation.kind is OperationKind.MATERIALIZE
    scenario.reconcile(requested=True)
    reading = scenario.status.reading_operation
    assert reading is not None

    scenario.reports(reading, "Succeeded", views=(view_report("stats", "", state="MATERIALIZING"),))
    scenario.reconcile()

    assert scenario.status.reading_operation is None
    assert scenario.status.feature_views[0].not_served is None


def test_it_is_read_again_once_an_interval_and_not_before() -> None:
    scenario = watching(registry={"pollInterval": "20m"})
    scenario.reconcile()
    scenario.end("Succeeded")

    scenario.later(minutes=19)
    decision = scenario.reconcile()
    assert len(scenario.started) == 1
    assert scenario.status.registry is not None
    assert decision.requeue_at == scenario.status.registry.observed_at + timedelta(minutes=20)

    scenario.later(minutes=2)
    scenario.reconcile()
    assert len(scenario.started) == 2


def test_who_asks_to_look_gets_the_registry_read() -> None:
    scenario = watching()
    scenario.reconcile()
    scenario.end("Succeeded")

    scenario.reconcile(requested=True)

    assert len(scenario.started) == 2


def test_failed_observation_waits_for_its_interval() -> None:
    scenario = watching(registry={"pollInterval": "20m"}, runtime={"retries": 0})
    scenario.reconcile()

    scenario.end("Failed", reason="JobFailed", message="no route to the registry")

    assert scenario.says("Applied") == ("False", "JobFailed")
    assert scenario.condition("Applied").message == "no route to the registry"
    scenario.later(minutes=19)
    scenario.rest()
    assert len(scenario.started) == 1
    scenario.later(minutes=2)
    scenario.reconcile()
    assert len(scenario.started) == 2


@pytest.mark.parametrize("suspend", [False, True])
def test_unreadable_registry_is_not_polled_every_second(suspend: bool) -> None:
    scenario = watching(registry={"pollInterval": "20m"}, runtime={"retries": 0})
    scenario.reconcile()
    scenario.end("Succeeded")
    scenario.later(minutes=21)
    scenario.reconcile()
    scenario.end("Failed", reason="JobFailed", message="no route to the registry")
    scenario.change(suspend=suspend)
    if suspend:
        scenario.later(hours=1)

    decision = scenario.reconcile()

    assert decision.requeue_at is not None
    assert decision.requeue_at - scenario.now > timedelta(minutes=1)


def test_new_commit_in_observe_mode_starts_no_job() -> None:
    scenario = watching()
    scenario.reconcile()
    scenario.end("Succeeded")

    scenario.push(B)
    scenario.rest()

    assert len(scenario.started) == 1
    assert scenario.status.source is not None
    assert scenario.status.source.revision == B


def test_registry_is_read_without_a_source() -> None:
    scenario = ProjectScenario(
        apply={"mode": "Observe"},
        source=None,
        featureStoreYaml={"secretKeyRef": {"name": "feast", "key": "yaml"}},
    )
    scenario.source = SourceFacts("", "project: driver_ranking")

    scenario.reconcile()

    assert scenario.request.feature_store_yaml == "project: driver_ranking"
    scenario.end("Succeeded")
    assert scenario.says("Ready") == ("True", "Observed")


def test_a_secret_that_is_missing_is_looked_for_again() -> None:
    """No other event would enqueue such a project."""
    scenario = ProjectScenario(
        apply={"mode": "Observe"},
        source=None,
        featureStoreYaml={"secretKeyRef": {"name": "feast", "key": "yaml"}},
    )
    scenario.source = Failure("SecretNotFound", "secret feast is not there")

    decision = scenario.reconcile()

    assert not scenario.started
    assert scenario.says("Ready") == ("False", "SecretNotFound")
    assert decision.requeue_at is not None


def test_foreign_writes_to_an_applied_registry_are_seen() -> None:
    scenario = ProjectScenario(registry={"pollInterval": "1h"}).apply()
    scenario.later(minutes=61)

    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.OBSERVE
    assert scenario.says("Ready") == ("True", "Succeeded")
    scenario.end("Succeeded")
    assert scenario.status.applied is not None
    assert scenario.status.applied.revision == A


def test_own_registry_without_interval_is_not_polled() -> None:
    scenario = ProjectScenario().apply()
    scenario.later(days=3)

    scenario.rest()

    assert len(scenario.started) == 1


def test_taking_over_from_others_applies() -> None:
    scenario = watching(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.end("Succeeded")

    scenario.change(apply={"mode": "Auto"})
    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.APPLY
    assert scenario.request.apply is not None
    assert scenario.request.apply.adopted == ""


@pytest.mark.parametrize("mode", ["PlanOnly", "Observe"])
def test_a_plan_of_what_others_apply_adopts_nothing(mode: str) -> None:
    scenario = ProjectScenario(apply={"mode": mode})

    assert apply_request(scenario.observed(), scenario.status, scenario.snapshot).adopted is None


def test_an_apply_that_waits_is_given_up_when_others_take_over() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    scenario.crash()

    scenario.change(apply={"mode": "Observe"})
    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.OBSERVE
    assert scenario.status.operations[0].result is Result.FAILED


def test_materialization_replaces_a_failed_observation() -> None:
    """Otherwise a schedule, which delays the next reconcile, would leave the project not Ready."""
    scenario = watching(runtime={"retries": 0})
    scenario.reconcile()
    scenario.end("Succeeded")
    scenario.later(minutes=61)
    scenario.reconcile()
    scenario.end("Failed", reason="InvalidRepo", message="features.py, line 3: no such field")
    assert scenario.says("Ready") == ("False", "InvalidRepo")

    scenario.change(backfills=[backfill(days=1)])
    scenario.reconcile()
    scenario.end("Succeeded")

    assert scenario.says("Ready") == ("True", "Observed")
    assert scenario.says("Stalled") == ("", "")
