"""Deletion: what is deleted with the resource, what prevents a deletion, and what it waits for."""

from dataclasses import replace

import pytest
from tests.unit.decide.build import MLFLOW, OUTAGE, ProjectScenario, backfill, guard, hourly

from feature_lineage.api.enums import OperationKind, OverrideKind
from feature_lineage.api.project_spec import ServiceFilter


def going(**spec: object) -> ProjectScenario:
    """A project in effect with deletionPolicy Delete."""
    return ProjectScenario(mlflow=MLFLOW, deletionPolicy="Delete", **spec).apply()


def test_a_retained_project_goes_at_once_and_leaves_its_objects() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()

    scenario.delete()
    decision = scenario.reconcile()

    assert decision.finished
    assert len(scenario.started) == 1


def test_a_project_that_stays_is_not_finished() -> None:
    assert not ProjectScenario().apply().reconcile().finished


def test_a_project_that_was_never_applied_goes_at_once() -> None:
    scenario = ProjectScenario(deletionPolicy="Delete")

    scenario.delete()

    assert scenario.reconcile().finished


def test_delete_removes_the_objects_first() -> None:
    scenario = going()
    scenario.delete()

    decision = scenario.reconcile()
    assert not decision.finished
    assert (scenario.operation.kind, scenario.request.kind) == (
        OperationKind.DELETE,
        OperationKind.DELETE,
    )
    assert scenario.request.delete is not None
    assert scenario.request.delete.guard == scenario.guard
    assert scenario.says("Ready") == ("False", "Deleting")

    scenario.end("Succeeded")
    assert scenario.reconcile().finished


def test_a_deletion_is_on_record_before_the_resource_goes() -> None:
    scenario = going()
    scenario.delete()
    scenario.reconcile()
    scenario.outage = OUTAGE

    scenario.end("Succeeded")
    assert not scenario.reconcile().finished

    scenario.outage = None
    scenario.reconcile()
    assert scenario.reconcile().finished
    assert len(scenario.started) == 2


def test_a_suspended_project_can_be_deleted() -> None:
    scenario = going()
    scenario.change(suspend=True)
    scenario.delete()
    scenario.reconcile()

    scenario.end("Succeeded")

    assert scenario.reconcile().finished


def test_deletion_that_breaks_a_model_is_blocked() -> None:
    scenario = going()
    scenario.guard = guard("driver_model")
    scenario.delete()
    scenario.reconcile()

    scenario.end("Blocked", reason="Blocked", message="driver_model uses it; annotate allow-delete")

    assert not scenario.reconcile().finished
    assert scenario.says("Ready") == ("False", "DeletionBlocked")
    assert scenario.condition("Ready").message == "driver_model uses it; annotate allow-delete"
    assert scenario.says("Stalled") == ("True", "DeletionBlocked")
    assert scenario.says("Reconciling") == ("", "")
    scenario.later(hours=1)
    scenario.rest()
    assert len(scenario.started) == 2


def test_deletion_blocked_by_unknown_features_is_not_repeated() -> None:
    scenario = going()
    scenario.guard = replace(guard(), unknown=("driver_model/1",))
    scenario.delete()
    scenario.reconcile()

    scenario.end("Blocked", reason="Blocked", message="driver_model/1 uses it")
    scenario.later(hours=1)
    scenario.rest()
    assert len(scenario.started) == 2

    scenario.guard = guard()
    scenario.reconcile()
    assert len(scenario.started) == 3


def test_deletion_blocked_by_a_protected_service_is_not_repeated() -> None:
    scenario = going(apply={"protection": {"services": {"include": ["ranking"]}}})
    scenario.delete()
    scenario.reconcile()
    assert scenario.request.delete is not None
    assert scenario.request.delete.services == ServiceFilter(include=("ranking",))
    assert scenario.request.protocol == 2

    scenario.end("Blocked", reason="DeletionBlocked", message="service ranking is protected")
    assert scenario.says("Ready") == ("False", "DeletionBlocked")
    scenario.later(hours=1)
    scenario.rest()
    assert len(scenario.started) == 2

    scenario.annotate("allow-delete", "the team is gone")
    scenario.reconcile()
    assert len(scenario.started) == 3


def test_deletion_request_has_owner_and_guard_age() -> None:
    scenario = going(apply={"protection": {"maxGuardAge": "2m"}})
    owner = scenario.request.owner
    scenario.delete()
    scenario.reconcile()

    assert scenario.request.delete is not None
    assert scenario.request.owner == owner != ""
    assert scenario.request.delete.max_guard_age_seconds == 120


def test_allow_delete_permits_and_is_recorded() -> None:
    scenario = going()
    scenario.guard = guard("driver_model")
    scenario.delete()
    scenario.reconcile()
    scenario.end("Blocked", reason="Blocked", message="driver_model uses it")

    scenario.annotate("allow-delete", "the team is gone")
    scenario.reconcile()

    assert scenario.request.delete is not None
    assert scenario.request.delete.allow == "the team is gone"
    scenario.end("Succeeded")
    override = scenario.status.operations[0].override
    assert override is not None
    assert (override.kind, override.why) == (OverrideKind.ALLOW_DELETE, "the team is gone")


def test_blocked_deletion_resumes_without_protected_models() -> None:
    scenario = going()
    scenario.guard = guard("driver_model")
    scenario.delete()
    scenario.reconcile()
    scenario.end("Blocked", reason="Blocked", message="driver_model uses it")

    scenario.guard = guard()
    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.DELETE
    assert len(scenario.started) == 3


def test_a_deletion_that_fails_is_tried_again() -> None:
    scenario = going()
    scenario.delete()
    scenario.reconcile()

    scenario.crash()
    scenario.wait_for_retry()
    scenario.reconcile()
    scenario.end("Succeeded")

    assert scenario.reconcile().finished


def test_retain_ends_a_deletion_that_backs_off() -> None:
    scenario = going()
    scenario.delete()
    scenario.reconcile()
    scenario.crash()

    scenario.change(deletionPolicy="Retain")
    assert not scenario.reconcile().finished

    assert len(scenario.runs) == 2, "what was given up is on record first"
    assert scenario.reconcile().finished
    assert len(scenario.started) == 2


def test_a_deletion_that_fails_after_retain_is_not_tried_again() -> None:
    scenario = going()
    scenario.delete()
    scenario.reconcile()

    scenario.change(deletionPolicy="Retain")
    scenario.reconcile()
    assert scenario.operation.kind is OperationKind.DELETE, "a job at work has its end first"
    scenario.crash()
    scenario.reconcile()

    assert scenario.reconcile().finished
    assert len(scenario.started) == 2


def test_failing_deletion_stalls_until_requested() -> None:
    scenario = going(runtime={"retries": 0})
    scenario.delete()
    scenario.reconcile()

    scenario.crash(message="no route to the registry")

    assert scenario.says("Ready") == ("False", "DeletionBlocked")
    assert scenario.condition("Ready").message == "no route to the registry"
    assert scenario.says("Stalled") == ("True", "DeletionBlocked")
    scenario.later(hours=1)
    scenario.rest()
    assert len(scenario.started) == 2
    scenario.reconcile(requested=True)
    assert len(scenario.started) == 3


def test_nothing_is_deleted_without_facts_about_models() -> None:
    scenario = going()
    scenario.outage = OUTAGE
    scenario.delete()

    scenario.rest()

    assert len(scenario.started) == 1
    assert not scenario.reconcile().finished


def test_a_deleted_project_starts_nothing_else() -> None:
    scenario = ProjectScenario(schedules=[hourly()]).apply()
    scenario.later(minutes=31)
    scenario.change(backfills=[backfill()])

    scenario.delete()
    scenario.reconcile()

    assert len(scenario.started) == 1


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_what_waits_for_another_attempt_is_given_up(policy: str) -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, deletionPolicy=policy)
    scenario.reconcile()
    scenario.crash()

    scenario.delete()
    assert not scenario.reconcile().finished

    assert len(scenario.runs) == 1, "what was given up is on record first"
    assert scenario.reconcile().finished
    assert len(scenario.started) == 1


def test_a_job_that_runs_has_its_end_first() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.delete()
    assert not scenario.reconcile().finished
    scenario.crash()

    assert scenario.reconcile().finished


def test_lost_materialization_of_a_deleted_project_ends() -> None:
    scenario = ProjectScenario(backfills=[backfill()]).apply()
    scenario.reconcile()
    scenario.jobs.clear()

    scenario.delete()
    decision = scenario.reconcile()

    assert len(scenario.started) == 2
    assert decision.finished


def test_a_deletion_takes_the_place_of_what_waits() -> None:
    scenario = going(backfills=[backfill()])
    scenario.reconcile()
    scenario.crash()

    scenario.delete()
    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.DELETE
