"""Materializing: schedules, backfills, and views that fail one by one."""

from datetime import timedelta

import pytest
from tests.unit.decide.build import MLFLOW, STATS, A, B, Play, at, backfill, hourly, view_report

from feature_lineage.api.enums import (
    BackfillState,
    MaterializedBy,
    OperationKind,
    OperationPhase,
    Result,
)
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.values import Failure
from feature_lineage.errors import HostNotAllowed
from feature_lineage.features.snapshot import RegistrySnapshot

FIRST, SECOND, THIRD = (f"2026-11-0{day}T00:00:00Z" for day in (1, 2, 3))


def applied(**spec: object) -> Play:
    """A project that is in effect, at noon."""
    return Play(**spec).apply()


def windows(play: Play) -> list[tuple[str, str | None, str]]:
    request = play.request.materialize
    assert request is not None
    return [
        (view.name, f"{view.start:%H:%M}" if view.start else None, f"{view.end:%H:%M}")
        for view in request.views
    ]


def test_nothing_is_materialized_before_something_is_in_effect() -> None:
    play = Play(schedules=[hourly()], backfills=[backfill()])
    play.look()
    play.end("Failed", reason="InvalidRepo")
    play.later(minutes=31)

    play.rest()

    assert len(play.started) == 1


def test_a_schedule_waits_for_its_tick_and_says_when_it_comes() -> None:
    play = applied(schedules=[hourly()])

    decision = play.look()

    assert play.status.operation is None
    assert play.status.schedules[0].next == at("12:30")
    assert decision.requeue_at == play.now + timedelta(minutes=5)  # the source comes first
    play.later(minutes=29)
    assert play.look().requeue_at == at("12:30")


def test_tick_materializes_from_the_last_interval() -> None:
    play = applied(schedules=[hourly()])
    play.later(minutes=30)

    play.look()

    assert (play.operation.kind, play.operation.schedule) == (OperationKind.MATERIALIZE, "hourly")
    assert play.operation.started_for == at("12:30")
    request = play.request.materialize
    assert request is not None
    assert (request.views, request.all_views_start) == ((), None)
    assert request.all_views_end == at("12:30")
    assert play.says("Ready") == ("True", "Succeeded")
    assert play.says("Reconciling") == ("", "")


def test_a_tick_is_handled_once() -> None:
    play = applied(schedules=[hourly()])
    play.later(minutes=30)
    play.look()

    play.end("Succeeded", views=(view_report("stats", materialized_until=play.now, rows=5),))

    assert play.status.schedules[0].last == at("12:30")
    assert play.status.schedules[0].next == at("13:30")
    shown = {view.name: view for view in play.status.feature_views}
    assert shown["stats"].materialized_until == at("12:30")
    assert (shown["stats"].by, shown["stats"].rows) == (MaterializedBy.OPERATOR, 5)
    assert play.says("Materialized") == ("True", "Succeeded")
    play.later(minutes=10)
    play.rest()
    assert len(play.started) == 2


def test_a_fixed_window_of_named_views_ends_before_the_tick() -> None:
    window = {"duration": "2h", "delay": "15m"}
    play = applied(schedules=[hourly(views=["stats"], incremental=None, window=window)])
    play.later(minutes=31)

    play.look()

    assert windows(play) == [("stats", "10:15", "12:15")]


def test_after_an_outage_the_newest_tick_catches_up_for_all() -> None:
    play = applied(schedules=[hourly()])
    play.later(hours=5, minutes=35)

    play.look()

    assert play.operation.started_for == at("17:30")


def test_a_tick_that_is_too_late_to_start_is_passed_over() -> None:
    play = applied(schedules=[hourly(startingDeadline="10m")])
    play.later(minutes=45)

    play.rest()

    assert len(play.started) == 1
    assert play.status.schedules[0].last == at("12:30")
    assert play.status.schedules[0].next == at("13:30")


def test_a_suspended_schedule_pauses() -> None:
    play = applied(schedules=[hourly(suspend=True)])
    play.later(minutes=31)

    play.rest()

    assert len(play.started) == 1
    assert play.status.schedules[0].next is None


def test_most_overdue_schedule_runs_first() -> None:
    play = applied(schedules=[hourly("a-late"), hourly("b-early", cron="20 * * * *")])
    play.later(minutes=31)
    play.look()
    assert play.operation.schedule == "b-early"
    play.look()
    assert len(play.started) == 2

    play.end("Succeeded")

    assert play.operation.schedule == "a-late"


def test_materializations_use_the_revision_in_effect() -> None:
    play = applied(schedules=[hourly()], mlflow=MLFLOW)
    play.push(B)
    play.look()
    play.end("Blocked", reason="Blocked", message="it would hurt driver_model")
    play.later(minutes=31)

    play.look()

    assert play.operation.kind is OperationKind.MATERIALIZE
    assert play.request.revision == A


def test_blocked_project_stays_stalled_while_materializing() -> None:
    play = applied(schedules=[hourly()], mlflow=MLFLOW)
    play.push(B)
    play.look()
    play.end("Blocked", reason="Blocked", message="it would hurt driver_model")
    since = play.condition("Stalled").last_transition_time
    play.later(minutes=31)

    play.look()

    assert play.says("Stalled") == ("True", "Blocked")
    assert play.condition("Stalled").last_transition_time == since
    assert play.says("Reconciling") == ("", "")


def test_materializations_go_on_while_mlflow_is_down() -> None:
    play = applied(schedules=[hourly()], mlflow=MLFLOW)
    play.outage = Failure("MLflowUnavailable", "it does not answer", outage=True)
    play.later(minutes=31)

    play.look()

    assert play.operation.kind is OperationKind.MATERIALIZE


def test_materializations_wait_for_feature_store_yaml() -> None:
    play = applied(
        schedules=[hourly()], featureStoreYaml={"secretKeyRef": {"name": "feast", "key": "yaml"}}
    )
    play.source = Failure("SecretNotFound", "secret feast is not there")
    play.later(minutes=31)

    play.rest()

    assert len(play.started) == 1


def test_no_job_starts_for_a_forbidden_host() -> None:
    play = applied(schedules=[hourly()])
    play.source = Failure.of(HostNotAllowed("git.evil is on no host of allowedGitHosts"))
    play.later(minutes=31)

    play.rest()

    assert len(play.started) == 1


def test_a_new_commit_goes_before_a_tick() -> None:
    play = applied(schedules=[hourly()])
    play.later(minutes=31)
    play.push(B)

    play.look()
    assert play.operation.kind is OperationKind.APPLY
    play.end("Succeeded")

    assert play.operation.kind is OperationKind.MATERIALIZE
    assert play.request.revision == B


def test_only_failed_views_are_retried() -> None:
    play = applied(schedules=[hourly(views=["extra", "stats"])], mlflow=MLFLOW)
    play.later(minutes=31)
    play.look()

    play.end(
        "Partial",
        reason="ViewsFailing",
        message="1 of 2 views failed",
        views=(view_report("extra", rows=7), view_report("stats", "Failed")),
    )
    assert play.operation.phase is OperationPhase.BACKING_OFF
    assert play.says("Materialized") == ("False", "ViewsFailing")
    assert "stats: the source file stats.parquet is not there" in (
        play.condition("Materialized").message
    )
    play.wait_for_retry()
    play.look()

    assert windows(play) == [("stats", None, "12:30")]
    until = at("12:30")
    play.end(
        "Succeeded",
        views=(view_report("extra", ""), view_report("stats", rows=3, materialized_until=until)),
    )
    results = {v.name: (v.result, v.rows, v.error) for v in play.status.operations[0].views}
    assert results == {"extra": (Result.SUCCEEDED, 7, None), "stats": (Result.SUCCEEDED, 3, None)}
    assert play.says("Materialized") == ("True", "Succeeded")


def test_waiting_materialization_sets_its_condition() -> None:
    play = applied(schedules=[hourly()])
    play.later(minutes=31)
    play.look()
    said = "0/1 nodes are available: 1 Insufficient memory."

    play.jobs[play.job] = JobFacts(running=True, reason="Unschedulable", message=said)
    play.look()

    assert play.says("Materialized") == ("False", "Unschedulable")
    assert play.condition("Materialized").message == f"{play.operation.id} waits: {said}"
    assert play.says("Ready") == ("True", "Succeeded")

    play.jobs[play.job] = JobFacts(running=True, begun=True)
    play.look()

    assert play.says("Materialized") == ("Unknown", "NeverRun")


def test_materialization_without_views_reports_its_cause() -> None:
    play = applied(schedules=[hourly()], runtime={"retries": 0})
    play.later(minutes=31)
    play.look()

    play.crash("JobFailed", "killed")

    operation = play.status.operations[0]
    assert play.says("Materialized") == ("False", "JobFailed")
    assert play.condition("Materialized").message == f"{operation.id}: {operation.message}"

    play.later(minutes=60)
    play.look()
    play.end("Succeeded", views=(view_report("stats", rows=3, materialized_until=at("13:30")),))

    assert play.says("Materialized") == ("True", "Succeeded")


def test_full_run_retries_only_failed_views() -> None:
    play = applied(schedules=[hourly()])
    play.later(minutes=31)
    play.look()

    play.end("Partial", views=(view_report("extra"), view_report("stats", "Failed")))
    play.wait_for_retry()
    play.look()

    assert windows(play) == [("stats", None, "12:30")]


def test_failing_views_are_counted_and_keep_ready() -> None:
    play = applied(schedules=[hourly()], runtime={"retries": 1})
    play.later(minutes=31)
    play.look()
    for _ in range(2):
        play.end("Partial", views=(view_report("extra"), view_report("stats", "Failed")))
        if play.status.operation:
            play.wait_for_retry()
            play.look()

    assert play.status.operation is None
    failing = play.status.feature_views[0]
    assert (failing.name, failing.consecutive_failures) == ("stats", 2)
    assert failing.last_result is Result.FAILED
    assert play.status.operations[0].result is Result.FAILED
    assert play.status.schedules[0].last == at("12:30")
    assert play.says("Ready") == ("True", "Succeeded")
    assert play.says("Stalled") == ("", "")


def test_a_tick_that_is_superseded_by_a_commit_runs_after_it() -> None:
    play = applied(schedules=[hourly()])
    play.later(minutes=31)
    play.look()
    play.crash()
    play.push(B)

    play.look()
    assert play.operation.kind is OperationKind.APPLY
    play.end("Succeeded")

    assert (play.operation.kind, play.operation.started_for) == (
        OperationKind.MATERIALIZE,
        at("12:30"),
    )


def test_a_run_of_a_schedule_that_is_gone_is_not_tried_again() -> None:
    play = applied(schedules=[hourly()])
    play.later(minutes=31)
    play.look()
    play.crash()

    play.change(schedules=[])
    play.wait_for_retry()
    play.rest()

    assert play.status.operation is None
    assert len(play.started) == 2


def test_a_view_that_left_the_registry_leaves_the_list() -> None:
    play = applied()
    left = RegistrySnapshot(
        "driver_ranking", {"feature_view": {"stats": STATS.objects["feature_view"]["stats"]}}
    )
    play.push(B)
    play.look()

    play.end("Succeeded", snapshot=left, views=(view_report("stats", ""), view_report("extra", "")))

    assert [view.name for view in play.status.feature_views] == ["stats"]


def test_a_backfill_runs_chunk_after_chunk() -> None:
    play = applied(backfills=[backfill()])
    play.look()
    assert play.operation.kind is OperationKind.BACKFILL
    request = play.request.materialize
    assert request is not None
    assert (request.all_views_start, request.all_views_end) == (
        play.operation.window_start,
        play.operation.window_end,
    )
    assert f"{play.operation.window_start:%Y-%m-%dT%H:%M:%SZ}" == FIRST
    assert f"{play.operation.window_end:%Y-%m-%dT%H:%M:%SZ}" == SECOND

    play.end("Succeeded")

    assert play.status.backfills[0].state is BackfillState.RUNNING
    assert f"{play.operation.window_start:%Y-%m-%dT%H:%M:%SZ}" == SECOND
    play.end("Succeeded")
    done = play.status.backfills[0]
    assert done.state is BackfillState.SUCCEEDED
    assert f"{done.completed_through:%Y-%m-%dT%H:%M:%SZ}" == THIRD
    assert done.finished_at == play.now.replace(microsecond=0)
    play.later(hours=1)
    play.rest()
    assert len(play.started) == 3


def test_a_chunk_that_reaches_into_the_future_waits() -> None:
    play = applied(backfills=[backfill(start="2026-11-20T00:00:00Z", end="2026-11-21T00:00:00Z")])

    play.rest()
    assert len(play.started) == 1

    play.later(hours=12)
    play.look()
    assert play.operation.kind is OperationKind.BACKFILL


def test_failed_backfill_resumes_at_its_chunk_on_request() -> None:
    play = applied(backfills=[backfill()], runtime={"retries": 0})
    play.look()
    play.end("Succeeded")
    play.crash()
    assert play.status.backfills[0].state is BackfillState.FAILED
    play.later(hours=1)
    play.rest()
    assert len(play.started) == 3

    play.look(requested=True)

    assert f"{play.operation.window_start:%Y-%m-%dT%H:%M:%SZ}" == SECOND
    assert play.status.backfills[0].finished_at is None


def test_removed_backfill_does_not_run_twice() -> None:
    play = applied(backfills=[backfill(days=1)])
    play.look()
    play.end("Succeeded")

    play.change(backfills=[])
    play.rest()
    play.change(backfills=[backfill(days=1)])
    play.rest()

    assert len(play.started) == 2


def test_a_backfill_that_was_not_done_leaves_with_its_entry() -> None:
    play = applied(backfills=[backfill()], runtime={"retries": 0})
    play.look()
    play.crash()

    play.change(backfills=[])
    play.rest()

    assert not play.status.backfills


def test_a_backfill_with_other_content_is_another_one() -> None:
    play = applied(backfills=[backfill(days=1)])
    play.look()
    play.end("Succeeded")

    play.change(backfills=[backfill(days=2)])
    play.look()

    assert f"{play.operation.window_start:%Y-%m-%dT%H:%M:%SZ}" == FIRST


def test_a_chunk_of_the_old_content_is_no_progress_of_the_new() -> None:
    play = applied(backfills=[backfill(days=2)])
    play.look()
    play.change(backfills=[backfill(days=2, start="2026-10-01T00:00:00Z")])

    play.end("Succeeded")

    assert f"{play.operation.window_start:%Y-%m-%d}" == "2026-10-01"


def test_a_chunk_of_content_that_is_gone_is_not_tried_again() -> None:
    play = applied(backfills=[backfill(days=2)])
    play.look()
    play.crash()

    play.change(backfills=[backfill(days=2, start="2026-10-01T00:00:00Z")])
    play.look()

    assert f"{play.operation.window_start:%Y-%m-%d}" == "2026-10-01"
    assert play.status.backfills[0].state is BackfillState.PENDING


def test_apply_before_a_backfill_does_not_fail_it() -> None:
    play = applied(backfills=[backfill()])
    play.look()
    play.crash()
    play.push(B)

    play.look()
    assert play.operation.kind is OperationKind.APPLY
    assert play.status.backfills[0].state is BackfillState.PENDING
    play.end("Succeeded")

    assert play.operation.kind is OperationKind.BACKFILL


def test_a_tick_goes_before_the_next_chunk() -> None:
    play = applied(backfills=[backfill(days=9)], schedules=[hourly()])
    play.look()
    play.later(minutes=31)

    play.end("Succeeded")
    assert play.operation.kind is OperationKind.MATERIALIZE

    play.end("Succeeded")
    assert play.operation.kind is OperationKind.BACKFILL


@pytest.mark.parametrize("timeout", ["10m", None])
def test_a_run_has_the_time_its_schedule_gives_it(timeout: str | None) -> None:
    play = applied(schedules=[hourly(timeout=timeout)])
    play.later(minutes=31)

    play.look()

    expected = timedelta(minutes=10) if timeout else timedelta(hours=1)
    assert play.request.deadline_seconds == expected.total_seconds()


def test_a_window_that_was_materialized_by_others_says_so() -> None:
    play = applied(registry={"pollInterval": "1h"})
    play.later(minutes=61)
    play.look()

    play.end("Succeeded", views=(view_report("stats", "", materialized_until=at("12:50")),))

    shown = {view.name: view for view in play.status.feature_views}
    assert (shown["stats"].by, shown["stats"].materialized_until) == (
        MaterializedBy.EXTERNAL,
        at("12:50"),
    )
