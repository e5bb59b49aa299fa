"""Deletion: what goes with the resource, what stands in its way, what it waits for."""

from dataclasses import replace

import pytest
from tests.unit.decide.build import MLFLOW, OUTAGE, Play, backfill, guard, hourly

from feature_lineage.api.enums import OperationKind, OverrideKind
from feature_lineage.decide.facts import Key
from feature_lineage.decide.values import OlderOwner


def going(**spec: object) -> Play:
    """A project in effect whose objects go with it."""
    return Play(mlflow=MLFLOW, deletionPolicy="Delete", **spec).apply()


def test_a_retained_project_goes_at_once_and_leaves_its_objects() -> None:
    play = Play(mlflow=MLFLOW).apply()

    play.delete()
    decision = play.look()

    assert decision.finished
    assert len(play.started) == 1


def test_a_project_that_stays_is_not_finished() -> None:
    assert not Play().apply().look().finished


def test_a_project_that_was_never_applied_goes_at_once() -> None:
    play = Play(deletionPolicy="Delete")

    play.delete()

    assert play.look().finished


def test_delete_removes_the_objects_first() -> None:
    play = going()
    play.delete()

    decision = play.look()
    assert not decision.finished
    assert (play.operation.kind, play.request.kind) == (OperationKind.DELETE, OperationKind.DELETE)
    assert play.request.delete is not None
    assert play.request.delete.guard == play.guard
    assert play.says("Ready") == ("False", "Deleting")

    play.end("Succeeded")
    assert play.look().finished


def test_a_deletion_is_on_record_before_the_resource_goes() -> None:
    play = going()
    play.delete()
    play.look()
    play.outage = OUTAGE

    play.end("Succeeded")
    assert not play.look().finished

    play.outage = None
    play.look()
    assert play.look().finished
    assert len(play.started) == 2


def test_a_suspended_project_can_be_deleted() -> None:
    play = going()
    play.change(suspend=True)
    play.delete()
    play.look()

    play.end("Succeeded")

    assert play.look().finished


def test_deletion_that_breaks_a_model_is_blocked() -> None:
    play = going()
    play.guard = guard("driver_model")
    play.delete()
    play.look()

    play.end("Blocked", reason="Blocked", message="driver_model uses it; annotate allow-delete")

    assert not play.look().finished
    assert play.says("Ready") == ("False", "DeletionBlocked")
    assert play.condition("Ready").message == "driver_model uses it; annotate allow-delete"
    assert play.says("Stalled") == ("True", "DeletionBlocked")
    assert play.says("Reconciling") == ("", "")
    play.later(hours=1)
    play.rest()
    assert len(play.started) == 2


def test_deletion_blocked_by_unknown_features_is_not_repeated() -> None:
    play = going()
    play.guard = replace(guard(), unknown=("driver_model/1",))
    play.delete()
    play.look()

    play.end("Blocked", reason="Blocked", message="driver_model/1 uses it")
    play.later(hours=1)
    play.rest()
    assert len(play.started) == 2

    play.guard = guard()
    play.look()
    assert len(play.started) == 3


def test_deletion_request_has_owners_and_guard_age() -> None:
    play = going(apply={"protection": {"maxGuardAge": "2m"}})
    play.older_owners = (
        OlderOwner(Key("FeatureStoreProject", "ml", "elder"), "registry-9", tried=True),
    )
    play.delete()
    play.look()

    assert play.request.delete is not None
    assert play.request.delete.owned_elsewhere == ("registry-9",)
    assert play.request.delete.max_guard_age_seconds == 120


def test_allow_delete_permits_and_is_recorded() -> None:
    play = going()
    play.guard = guard("driver_model")
    play.delete()
    play.look()
    play.end("Blocked", reason="Blocked", message="driver_model uses it")

    play.annotate("allow-delete", "the team is gone")
    play.look()

    assert play.request.delete is not None
    assert play.request.delete.allow == "the team is gone"
    play.end("Succeeded")
    override = play.status.operations[0].override
    assert override is not None
    assert (override.kind, override.why) == (OverrideKind.ALLOW_DELETE, "the team is gone")


def test_blocked_deletion_resumes_without_protected_models() -> None:
    play = going()
    play.guard = guard("driver_model")
    play.delete()
    play.look()
    play.end("Blocked", reason="Blocked", message="driver_model uses it")

    play.guard = guard()
    play.look()

    assert play.operation.kind is OperationKind.DELETE
    assert len(play.started) == 3


def test_a_deletion_that_fails_is_tried_again() -> None:
    play = going()
    play.delete()
    play.look()

    play.crash()
    play.wait_for_retry()
    play.look()
    play.end("Succeeded")

    assert play.look().finished


def test_retain_ends_a_deletion_that_backs_off() -> None:
    play = going()
    play.delete()
    play.look()
    play.crash()

    play.change(deletionPolicy="Retain")
    assert not play.look().finished

    assert len(play.runs) == 2, "what was given up is on record first"
    assert play.look().finished
    assert len(play.started) == 2


def test_a_deletion_that_fails_after_retain_is_not_tried_again() -> None:
    play = going()
    play.delete()
    play.look()

    play.change(deletionPolicy="Retain")
    play.look()
    assert play.operation.kind is OperationKind.DELETE, "a job at work has its end first"
    play.crash()
    play.look()

    assert play.look().finished
    assert len(play.started) == 2


def test_failing_deletion_stalls_until_requested() -> None:
    play = going(runtime={"retries": 0})
    play.delete()
    play.look()

    play.crash(message="no route to the registry")

    assert play.says("Ready") == ("False", "DeletionBlocked")
    assert play.condition("Ready").message == "no route to the registry"
    assert play.says("Stalled") == ("True", "DeletionBlocked")
    play.later(hours=1)
    play.rest()
    assert len(play.started) == 2
    play.look(requested=True)
    assert len(play.started) == 3


def test_nothing_is_deleted_on_models_that_nobody_could_read() -> None:
    play = going()
    play.outage = OUTAGE
    play.delete()

    play.rest()

    assert len(play.started) == 1
    assert not play.look().finished


def test_a_deleted_project_starts_nothing_else() -> None:
    play = Play(schedules=[hourly()]).apply()
    play.later(minutes=31)
    play.change(backfills=[backfill()])

    play.delete()
    play.look()

    assert len(play.started) == 1


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_what_waits_for_another_attempt_is_given_up(policy: str) -> None:
    play = Play(mlflow=MLFLOW, deletionPolicy=policy)
    play.look()
    play.crash()

    play.delete()
    assert not play.look().finished

    assert len(play.runs) == 1, "what was given up is on record first"
    assert play.look().finished
    assert len(play.started) == 1


def test_a_job_that_runs_has_its_end_first() -> None:
    play = Play()
    play.look()

    play.delete()
    assert not play.look().finished
    play.crash()

    assert play.look().finished


def test_lost_materialization_of_a_deleted_project_ends() -> None:
    play = Play(backfills=[backfill()]).apply()
    play.look()
    play.jobs.clear()

    play.delete()
    decision = play.look()

    assert len(play.started) == 2
    assert decision.finished


def test_a_deletion_takes_the_place_of_what_waits() -> None:
    play = going(backfills=[backfill()])
    play.look()
    play.crash()

    play.delete()
    play.look()

    assert play.operation.kind is OperationKind.DELETE
