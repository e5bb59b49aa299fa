"""Suspended, planning only, or watching what somebody else applies."""

from datetime import timedelta

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    STATS,
    A,
    B,
    Play,
    at,
    backfill,
    hourly,
    plan,
    view_report,
)

from feature_lineage.api.enums import MaterializedBy, OperationKind, PlanVerdict, Result
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.project.job_request import apply_request
from feature_lineage.decide.values import Failure


def watching(**more: object) -> Play:
    """A project that somebody else applies, read once an hour."""
    return Play(apply={"mode": "Observe"}, **more)


def test_a_suspended_project_starts_nothing_and_says_so() -> None:
    play = Play(suspend=True, backfills=[backfill()], schedules=[hourly()])

    play.rest()

    assert not play.started
    assert play.says("Applied") == play.says("Ready") == ("False", "Suspended")
    assert play.says("Materialized") == ("Unknown", "Suspended")
    assert play.says("Reconciling") == ("", "")


def test_a_suspended_project_that_is_applied_stays_ready() -> None:
    play = Play().apply()

    play.change(suspend=True)
    play.rest()

    assert play.says("Ready") == ("True", "Succeeded")


def test_a_suspended_project_goes_on_where_it_stopped() -> None:
    play = Play(suspend=True)
    play.rest()

    play.change(suspend=False)
    play.look()

    assert len(play.started) == 1


def test_running_job_of_a_suspended_project_is_followed() -> None:
    play = Play()
    play.look()

    play.change(suspend=True)
    play.end("Succeeded")

    assert play.status.applied is not None


def test_no_attempt_follows_while_the_project_is_suspended() -> None:
    play = Play()
    play.look()
    play.crash()

    play.change(suspend=True)
    play.wait_for_retry()
    play.rest()
    play.look(requested=True)
    assert len(play.started) == 1

    play.change(suspend=False)
    play.look()
    assert len(play.started) == 2


def test_an_intent_is_held_while_the_project_is_suspended() -> None:
    """Written down, and suspended before its job was started."""
    play = Play()
    play.look()
    play.jobs.clear()

    play.change(suspend=True)
    play.rest()
    assert len(play.started) == 1

    play.change(suspend=False)
    play.look()
    assert play.started == [play.job, play.job]


def test_plan_only_says_what_an_apply_would_do() -> None:
    play = Play(apply={"mode": "PlanOnly"})
    play.look()
    assert play.operation.kind is OperationKind.PLAN
    assert play.request.kind is OperationKind.PLAN

    play.end("Planned", plan=plan(), message="one view would be created", registry_id="registry-1")

    assert play.says("Applied") == ("False", "Planned")
    assert play.says("Ready") == ("True", "Planned")
    assert play.says("Reconciling") == play.says("Stalled") == ("", "")
    assert play.status.applied is None
    assert play.status.plan is not None
    play.later(hours=1)
    play.rest()
    assert len(play.started) == 1


def test_a_plan_that_would_be_blocked_stalls_in_plan_only_too() -> None:
    play = Play(apply={"mode": "PlanOnly"})
    play.look()

    play.end("Blocked", reason="Blocked", plan=plan(PlanVerdict.BLOCKED, reason="Blocked"))

    assert play.says("Ready") == ("False", "Blocked")
    assert play.says("Stalled") == ("True", "Blocked")


def test_auto_after_plan_only_applies() -> None:
    play = Play(apply={"mode": "PlanOnly"})
    play.look()
    play.end("Planned", plan=plan())

    play.change(apply={"mode": "Auto"})
    play.look()

    assert play.operation.kind is OperationKind.APPLY


def test_first_observation_is_immediate() -> None:
    play = watching()

    play.look()

    assert play.operation.kind is OperationKind.OBSERVE
    assert play.says("Ready") == ("False", "Progressing")
    play.end("Succeeded", views=(view_report("stats", "", materialized_until=at("11:00")),))
    assert play.says("Applied") == play.says("Ready") == ("True", "Observed")
    assert play.status.registry is not None
    assert play.status.registry.digest == STATS.digest
    assert play.status.applied is None
    assert play.status.feature_views[0].by is MaterializedBy.EXTERNAL


def test_it_is_read_again_once_an_interval_and_not_before() -> None:
    play = watching(registry={"pollInterval": "20m"})
    play.look()
    play.end("Succeeded")

    play.later(minutes=19)
    decision = play.look()
    assert len(play.started) == 1
    assert play.status.registry is not None
    assert decision.requeue_at == play.status.registry.observed_at + timedelta(minutes=20)

    play.later(minutes=2)
    play.look()
    assert len(play.started) == 2


def test_who_asks_to_look_gets_the_registry_read() -> None:
    play = watching()
    play.look()
    play.end("Succeeded")

    play.look(requested=True)

    assert len(play.started) == 2


def test_failed_observation_waits_for_its_interval() -> None:
    play = watching(registry={"pollInterval": "20m"}, runtime={"retries": 0})
    play.look()

    play.end("Failed", reason="JobFailed", message="no route to the registry")

    assert play.says("Applied") == ("False", "JobFailed")
    assert play.condition("Applied").message == "no route to the registry"
    play.later(minutes=19)
    play.rest()
    assert len(play.started) == 1
    play.later(minutes=2)
    play.look()
    assert len(play.started) == 2


@pytest.mark.parametrize("suspend", [False, True])
def test_unreadable_registry_is_not_polled_every_second(suspend: bool) -> None:
    play = watching(registry={"pollInterval": "20m"}, runtime={"retries": 0})
    play.look()
    play.end("Succeeded")
    play.later(minutes=21)
    play.look()
    play.end("Failed", reason="JobFailed", message="no route to the registry")
    play.change(suspend=suspend)
    if suspend:
        play.later(hours=1)

    decision = play.look()

    assert decision.requeue_at is not None
    assert decision.requeue_at - play.now > timedelta(minutes=1)


def test_new_commit_in_observe_mode_starts_no_job() -> None:
    play = watching()
    play.look()
    play.end("Succeeded")

    play.push(B)
    play.rest()

    assert len(play.started) == 1
    assert play.status.source is not None
    assert play.status.source.revision == B


def test_registry_is_read_without_a_source() -> None:
    play = Play(
        apply={"mode": "Observe"},
        source=None,
        featureStoreYaml={"secretKeyRef": {"name": "feast", "key": "yaml"}},
    )
    play.source = SourceFacts("", "project: driver_ranking")

    play.look()

    assert play.request.feature_store_yaml == "project: driver_ranking"
    play.end("Succeeded")
    assert play.says("Ready") == ("True", "Observed")


def test_a_secret_that_is_missing_is_looked_for_again() -> None:
    """Nothing else would wake such a project."""
    play = Play(
        apply={"mode": "Observe"},
        source=None,
        featureStoreYaml={"secretKeyRef": {"name": "feast", "key": "yaml"}},
    )
    play.source = Failure("SecretNotFound", "secret feast is not there")

    decision = play.look()

    assert not play.started
    assert play.says("Ready") == ("False", "SecretNotFound")
    assert decision.requeue_at is not None


def test_foreign_writes_to_an_applied_registry_are_seen() -> None:
    play = Play(registry={"pollInterval": "1h"}).apply()
    play.later(minutes=61)

    play.look()

    assert play.operation.kind is OperationKind.OBSERVE
    assert play.says("Ready") == ("True", "Succeeded")
    play.end("Succeeded")
    assert play.status.applied is not None
    assert play.status.applied.revision == A


def test_own_registry_without_interval_is_not_polled() -> None:
    play = Play().apply()
    play.later(days=3)

    play.rest()

    assert len(play.started) == 1


def test_taking_over_from_others_applies() -> None:
    play = watching(mlflow=MLFLOW)
    play.look()
    play.end("Succeeded")

    play.change(apply={"mode": "Auto"})
    play.look()

    assert play.operation.kind is OperationKind.APPLY
    assert play.request.apply is not None
    assert play.request.apply.adopted == ""


@pytest.mark.parametrize("mode", ["PlanOnly", "Observe"])
def test_a_plan_of_what_others_apply_adopts_nothing(mode: str) -> None:
    play = Play(apply={"mode": mode})

    assert apply_request(play.observed(), play.status, play.snapshot).adopted is None


def test_an_apply_that_waits_is_given_up_when_others_take_over() -> None:
    play = Play()
    play.look()
    play.crash()

    play.change(apply={"mode": "Observe"})
    play.look()

    assert play.operation.kind is OperationKind.OBSERVE
    assert play.status.operations[0].result is Result.FAILED


def test_materialization_replaces_a_failed_observation() -> None:
    """Else a schedule, which puts off the next look, would leave the project unready for good."""
    play = watching(runtime={"retries": 0})
    play.look()
    play.end("Succeeded")
    play.later(minutes=61)
    play.look()
    play.end("Failed", reason="InvalidRepo", message="features.py, line 3: no such field")
    assert play.says("Ready") == ("False", "InvalidRepo")

    play.change(backfills=[backfill(days=1)])
    play.look()
    play.end("Succeeded")

    assert play.says("Ready") == ("True", "Observed")
    assert play.says("Stalled") == ("", "")
