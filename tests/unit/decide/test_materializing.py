"""Materializations: schedules, backfills, and views that fail one by one."""

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
    view_report,
)

from feature_lineage.api.enums import (
    BackfillState,
    MaterializedBy,
    OperationKind,
    OperationPhase,
    Result,
)
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.observed import Failure
from feature_lineage.errors import HostNotAllowed
from feature_lineage.features.snapshot import RegistrySnapshot

FIRST, SECOND, THIRD = (f"2026-11-0{day}T00:00:00Z" for day in (1, 2, 3))


def applied(**spec: object) -> ProjectScenario:
    """A project in effect, at noon."""
    return ProjectScenario(**spec).apply()


def windows(scenario: ProjectScenario) -> list[tuple[str, str | None, str]]:
    request = scenario.request.materialize
    assert request is not None
    return [
        (view.name, f"{view.start:%H:%M}" if view.start else None, f"{view.end:%H:%M}")
        for view in request.views
    ]


def test_nothing_is_materialized_before_something_is_in_effect() -> None:
    scenario = ProjectScenario(schedules=[hourly()], backfills=[backfill()])
    scenario.reconcile()
    scenario.end("Failed", reason="InvalidRepo")
    scenario.later(minutes=31)

    scenario.rest()

    assert len(scenario.started) == 1


def test_a_schedule_waits_for_its_tick_and_says_when_it_comes() -> None:
    scenario = applied(schedules=[hourly()])

    decision = scenario.reconcile()

    assert scenario.status.operation is None
    assert scenario.status.schedules[0].next == at("12:30")
    assert decision.requeue_at == scenario.now + timedelta(minutes=5)  # the source comes first
    scenario.later(minutes=29)
    assert scenario.reconcile().requeue_at == at("12:30")


def test_tick_materializes_from_the_last_interval() -> None:
    scenario = applied(schedules=[hourly()])
    scenario.later(minutes=30)

    scenario.reconcile()

    assert (scenario.operation.kind, scenario.operation.schedule) == (
        OperationKind.MATERIALIZE,
        "hourly",
    )
    assert scenario.operation.started_for == at("12:30")
    request = scenario.request.materialize
    assert request is not None
    assert (request.views, request.all_views_start) == ((), None)
    assert request.all_views_end == at("12:30")
    assert scenario.says("Ready") == ("True", "Succeeded")
    assert scenario.says("Reconciling") == ("", "")


def test_a_tick_is_handled_once() -> None:
    scenario = applied(schedules=[hourly()])
    scenario.later(minutes=30)
    scenario.reconcile()

    scenario.end(
        "Succeeded", views=(view_report("stats", materialized_until=scenario.now, rows=5),)
    )

    assert scenario.status.schedules[0].last == at("12:30")
    assert scenario.status.schedules[0].next == at("13:30")
    shown = {view.name: view for view in scenario.status.feature_views}
    assert shown["stats"].materialized_until == at("12:30")
    assert (shown["stats"].by, shown["stats"].rows) == (MaterializedBy.OPERATOR, 5)
    assert scenario.says("Materialized") == ("True", "Succeeded")
    scenario.later(minutes=10)
    scenario.rest()
    assert len(scenario.started) == 2


def test_a_fixed_window_of_named_views_ends_before_the_tick() -> None:
    window = {"duration": "2h", "delay": "15m"}
    scenario = applied(schedules=[hourly(views=["stats"], incremental=None, window=window)])
    scenario.later(minutes=31)

    scenario.reconcile()

    assert windows(scenario) == [("stats", "10:15", "12:15")]


def test_after_an_outage_the_newest_tick_catches_up_for_all() -> None:
    scenario = applied(schedules=[hourly()])
    scenario.later(hours=5, minutes=35)

    scenario.reconcile()

    assert scenario.operation.started_for == at("17:30")


def test_a_tick_that_is_too_late_to_start_is_passed_over() -> None:
    scenario = applied(schedules=[hourly(startingDeadline="10m")])
    scenario.later(minutes=45)

    scenario.rest()

    assert len(scenario.started) == 1
    assert scenario.status.schedules[0].last == at("12:30")
    assert scenario.status.schedules[0].next == at("13:30")


def test_a_suspended_schedule_pauses() -> None:
    scenario = applied(schedules=[hourly(suspend=True)])
    scenario.later(minutes=31)

    scenario.rest()

    assert len(scenario.started) == 1
    assert scenario.status.schedules[0].next is None


def test_most_overdue_schedule_runs_first() -> None:
    scenario = applied(schedules=[hourly("a-late"), hourly("b-early", cron="20 * * * *")])
    scenario.later(minutes=31)
    scenario.reconcile()
    assert scenario.operation.schedule == "b-early"
    scenario.reconcile()
    assert len(scenario.started) == 2

    scenario.end("Succeeded")

    assert scenario.operation.schedule == "a-late"


def test_materializations_use_the_revision_in_effect() -> None:
    scenario = applied(schedules=[hourly()], mlflow=MLFLOW)
    scenario.push(B)
    scenario.reconcile()
    scenario.end("Blocked", reason="Blocked", message="it would affect driver_model")
    scenario.later(minutes=31)

    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.MATERIALIZE
    assert scenario.request.revision == A


def test_blocked_project_stays_stalled_while_materializing() -> None:
    scenario = applied(schedules=[hourly()], mlflow=MLFLOW)
    scenario.push(B)
    scenario.reconcile()
    scenario.end("Blocked", reason="Blocked", message="it would affect driver_model")
    since = scenario.condition("Stalled").last_transition_time
    scenario.later(minutes=31)

    scenario.reconcile()

    assert scenario.says("Stalled") == ("True", "Blocked")
    assert scenario.condition("Stalled").last_transition_time == since
    assert scenario.says("Reconciling") == ("", "")


def test_materializations_go_on_while_mlflow_is_down() -> None:
    scenario = applied(schedules=[hourly()], mlflow=MLFLOW)
    scenario.outage = Failure("MLflowUnavailable", "it does not answer", outage=True)
    scenario.later(minutes=31)

    scenario.reconcile()

    assert scenario.operation.kind is OperationKind.MATERIALIZE


def test_materializations_wait_for_feature_store_yaml() -> None:
    scenario = applied(
        schedules=[hourly()], featureStoreYaml={"secretKeyRef": {"name": "feast", "key": "yaml"}}
    )
    scenario.source = Failure("SecretNotFound", "secret feast is not there")
    scenario.later(minutes=31)

    scenario.rest()

    assert len(scenario.started) == 1


def test_no_job_starts_for_a_forbidden_host() -> None:
    scenario = applied(schedules=[hourly()])
    scenario.source = Failure.of(HostNotAllowed("git.evil is not on a host in allowedGitHosts"))
    scenario.later(minutes=31)

    scenario.rest()

    assert len(scenario.started) == 1


def test_a_new_commit_goes_before_a_tick() -> None:
    scenario = applied(schedules=[hourly()])
    scenario.later(minutes=31)
    scenario.push(B)

    scenario.reconcile()
    assert scenario.operation.kind is OperationKind.APPLY
    scenario.end("Succeeded")

    assert scenario.operation.kind is OperationKind.MATERIALIZE
    assert scenario.request.revision == B


def test_only_failed_views_are_retried() -> None:
    scenario = applied(schedules=[hourly(views=["extra", "stats"])], mlflow=MLFLOW)
    scenario.later(minutes=31)
    scenario.reconcile()

    scenario.end(
        "Partial",
        reason="ViewsFailing",
        message="1 of 2 views failed",
        views=(view_report("extra", rows=7), view_report("stats", "Failed")),
    )
    assert scenario.operation.phase is OperationPhase.BACKING_OFF
    assert scenario.says("Materialized") == ("False", "ViewsFailing")
    assert "stats: the source file stats.parquet does not exist" in (
        scenario.condition("Materialized").message
    )
    scenario.wait_for_retry()
    scenario.reconcile()

    assert windows(scenario) == [("stats", None, "12:30")]
    until = at("12:30")
    scenario.end(
        "Succeeded",
        views=(view_report("extra", ""), view_report("stats", rows=3, materialized_until=until)),
    )
    results = {v.name: (v.result, v.rows, v.error) for v in scenario.status.operations[0].views}
    assert results == {"extra": (Result.SUCCEEDED, 7, None), "stats": (Result.SUCCEEDED, 3, None)}
    assert scenario.says("Materialized") == ("True", "Succeeded")


def test_waiting_materialization_sets_its_condition() -> None:
    scenario = applied(schedules=[hourly()])
    scenario.later(minutes=31)
    scenario.reconcile()
    said = "0/1 nodes are available: 1 Insufficient memory."

    scenario.jobs[scenario.job] = JobFacts(running=True, reason="Unschedulable", message=said)
    scenario.reconcile()

    assert scenario.says("Materialized") == ("False", "Unschedulable")
    assert scenario.condition("Materialized").message == f"{scenario.operation.id} waits: {said}"
    assert scenario.says("Ready") == ("True", "Succeeded")

    scenario.jobs[scenario.job] = JobFacts(running=True, begun=True)
    scenario.reconcile()

    assert scenario.says("Materialized") == ("Unknown", "NeverRun")


def test_what_was_never_materialized_says_what_it_waits_for() -> None:
    message = "nothing was materialized yet; "
    bare, planned = applied(), applied(schedules=[hourly()])
    assert bare.condition("Materialized").message == (
        f"{message}add spec.schedules or spec.backfills"
    )
    next_tick = planned.status.schedules[0].next
    assert next_tick is not None
    assert planned.condition("Materialized").message == (
        f"{message}the next tick of schedule {planned.status.schedules[0].name} is at "
        f"{next_tick:%Y-%m-%dT%H:%M:%SZ}"
    )

    future = backfill("ahead", start="2026-11-19T00:00:00Z", end="2026-12-24T00:00:00Z", chunk="9d")
    assert applied(backfills=[future]).condition("Materialized").message == (
        f"{message}the next chunk of backfill ahead ends, and starts, at 2026-11-28T00:00:00Z"
    )

    planned.later(minutes=31)
    planned.reconcile()
    planned.jobs[planned.job] = JobFacts(running=True, begun=True)
    planned.reconcile()
    assert planned.condition("Materialized").message == (
        f"{message}{planned.operation.id} is running"
    )


def test_a_materialization_that_found_no_view_says_so() -> None:
    scenario = applied(schedules=[hourly()], backfills=[backfill(chunk="9d")])
    scenario.change(schedules=[])

    scenario.end("Succeeded", views=(view_report("stats", ""),))

    done = scenario.status.operations[0].id
    assert scenario.says("Materialized") == ("Unknown", "NeverRun")
    assert scenario.condition("Materialized").message == (
        f"nothing was materialized yet; {done} found no view that can be materialized"
    )


def test_materialization_without_views_reports_its_cause() -> None:
    scenario = applied(schedules=[hourly()], runtime={"retries": 0})
    scenario.later(minutes=31)
    scenario.reconcile()

    scenario.crash("JobFailed", "killed")

    operation = scenario.status.operations[0]
    assert scenario.says("Materialized") == ("False", "JobFailed")
    assert scenario.condition("Materialized").message == f"{operation.id}: {operation.message}"

    scenario.later(minutes=60)
    scenario.reconcile()
    scenario.end("Succeeded", views=(view_report("stats", rows=3, materialized_until=at("13:30")),))

    assert scenario.says("Materialized") == ("True", "Succeeded")


def test_full_run_retries_only_failed_views() -> None:
    scenario = applied(schedules=[hourly()])
    scenario.later(minutes=31)
    scenario.reconcile()

    scenario.end("Partial", views=(view_report("extra"), view_report("stats", "Failed")))
    scenario.wait_for_retry()
    scenario.reconcile()

    assert windows(scenario) == [("stats", None, "12:30")]


def test_failing_views_are_counted_and_keep_ready() -> None:
    scenario = applied(schedules=[hourly()], runtime={"retries": 1})
    scenario.later(minutes=31)
    scenario.reconcile()
    for _ in range(2):
        scenario.end("Partial", views=(view_report("extra"), view_report("stats", "Failed")))
        if scenario.status.operation:
            scenario.wait_for_retry()
            scenario.reconcile()

    assert scenario.status.operation is None
    failing = scenario.status.feature_views[0]
    assert (failing.name, failing.consecutive_failures) == ("stats", 2)
    assert failing.last_result is Result.FAILED
    assert scenario.status.operations[0].result is Result.FAILED
    assert scenario.status.schedules[0].last == at("12:30")
    assert scenario.says("Ready") == ("True", "Succeeded")
    assert scenario.says("Stalled") == ("", "")


def test_a_tick_that_is_superseded_by_a_commit_runs_after_it() -> None:
    scenario = applied(schedules=[hourly()])
    scenario.later(minutes=31)
    scenario.reconcile()
    scenario.crash()
    scenario.push(B)

    scenario.reconcile()
    assert scenario.operation.kind is OperationKind.APPLY
    scenario.end("Succeeded")

    assert (scenario.operation.kind, scenario.operation.started_for) == (
        OperationKind.MATERIALIZE,
        at("12:30"),
    )


def test_a_run_of_a_schedule_that_is_gone_is_not_tried_again() -> None:
    scenario = applied(schedules=[hourly()])
    scenario.later(minutes=31)
    scenario.reconcile()
    scenario.crash()

    scenario.change(schedules=[])
    scenario.wait_for_retry()
    scenario.rest()

    assert scenario.status.operation is None
    assert len(scenario.started) == 2


def test_a_view_that_left_the_registry_leaves_the_list() -> None:
    scenario = applied()
    left = RegistrySnapshot(
        "driver_ranking", {"feature_view": {"stats": STATS.objects["feature_view"]["stats"]}}
    )
    scenario.push(B)
    scenario.reconcile()

    scenario.end(
        "Succeeded", snapshot=left, views=(view_report("stats", ""), view_report("extra", ""))
    )

    assert [view.name for view in scenario.status.feature_views] == ["stats"]


def test_a_backfill_runs_chunk_after_chunk() -> None:
    scenario = applied(backfills=[backfill()])
    scenario.reconcile()
    assert scenario.operation.kind is OperationKind.BACKFILL
    request = scenario.request.materialize
    assert request is not None
    assert (request.all_views_start, request.all_views_end) == (
        scenario.operation.window_start,
        scenario.operation.window_end,
    )
    assert f"{scenario.operation.window_start:%Y-%m-%dT%H:%M:%SZ}" == FIRST
    assert f"{scenario.operation.window_end:%Y-%m-%dT%H:%M:%SZ}" == SECOND

    scenario.end("Succeeded")

    assert scenario.status.backfills[0].state is BackfillState.RUNNING
    assert f"{scenario.operation.window_start:%Y-%m-%dT%H:%M:%SZ}" == SECOND
    scenario.end("Succeeded")
    done = scenario.status.backfills[0]
    assert done.state is BackfillState.SUCCEEDED
    assert f"{done.completed_through:%Y-%m-%dT%H:%M:%SZ}" == THIRD
    assert done.finished_at == scenario.now.replace(microsecond=0)
    scenario.later(hours=1)
    scenario.rest()
    assert len(scenario.started) == 3


def test_a_chunk_that_reaches_into_the_future_waits() -> None:
    scenario = applied(
        backfills=[backfill(start="2026-11-20T00:00:00Z", end="2026-11-21T00:00:00Z")]
    )

    scenario.rest()
    assert len(scenario.started) == 1

    scenario.later(hours=12)
    scenario.reconcile()
    assert scenario.operation.kind is OperationKind.BACKFILL


def test_failed_backfill_resumes_at_its_chunk_on_request() -> None:
    scenario = applied(backfills=[backfill()], runtime={"retries": 0})
    scenario.reconcile()
    scenario.end("Succeeded")
    scenario.crash()
    assert scenario.status.backfills[0].state is BackfillState.FAILED
    scenario.later(hours=1)
    scenario.rest()
    assert len(scenario.started) == 3

    scenario.reconcile(requested=True)

    assert f"{scenario.operation.window_start:%Y-%m-%dT%H:%M:%SZ}" == SECOND
    assert scenario.status.backfills[0].finished_at is None


def test_removed_backfill_does_not_run_twice() -> None:
    scenario = applied(backfills=[backfill(days=1)])
    scenario.reconcile()
    scenario.end("Succeeded")

    scenario.change(backfills=[])
    scenario.rest()
    scenario.change(backfills=[backfill(days=1)])
    scenario.rest()

    assert len(scenario.started) == 2


def test_a_backfill_that_was_not_done_leaves_with_its_entry() -> None:
    scenario = applied(backfills=[backfill()], runtime={"retries": 0})
    scenario.reconcile()
    scenario.crash()

    scenario.change(backfills=[])
    scenario.rest()

    assert not scenario.status.backfills


def test_a_backfill_with_other_content_is_another_one() -> None:
    scenario = applied(backfills=[backfill(days=1)])
    scenario.reconcile()
    scenario.end("Succeeded")

    scenario.change(backfills=[backfill(days=2)])
    scenario.reconcile()

    assert f"{scenario.operation.window_start:%Y-%m-%dT%H:%M:%SZ}" == FIRST


def test_a_chunk_of_the_old_content_is_no_progress_of_the_new() -> None:
    scenario = applied(backfills=[backfill(days=2)])
    scenario.reconcile()
    scenario.change(backfills=[backfill(days=2, start="2026-10-01T00:00:00Z")])

    scenario.end("Succeeded")

    assert f"{scenario.operation.window_start:%Y-%m-%d}" == "2026-10-01"


def test_a_chunk_of_content_that_is_gone_is_not_tried_again() -> None:
    scenario = applied(backfills=[backfill(days=2)])
    scenario.reconcile()
    scenario.crash()

    scenario.change(backfills=[backfill(days=2, start="2026-10-01T00:00:00Z")])
    scenario.reconcile()

    assert f"{scenario.operation.window_start:%Y-%m-%d}" == "2026-10-01"
    assert scenario.status.backfills[0].state is BackfillState.PENDING


def test_apply_before_a_backfill_does_not_fail_it() -> None:
    scenario = applied(backfills=[backfill()])
    scenario.reconcile()
    scenario.crash()
    scenario.push(B)

    scenario.reconcile()
    assert scenario.operation.kind is OperationKind.APPLY
    assert scenario.status.backfills[0].state is BackfillState.PENDING
    scenario.end("Succeeded")

    assert scenario.operation.kind is OperationKind.BACKFILL


def test_a_tick_goes_before_the_next_chunk() -> None:
    scenario = applied(backfills=[backfill(days=9)], schedules=[hourly()])
    scenario.reconcile()
    scenario.later(minutes=31)

    scenario.end("Succeeded")
    assert scenario.operation.kind is OperationKind.MATERIALIZE

    scenario.end("Succeeded")
    assert scenario.operation.kind is OperationKind.BACKFILL


@pytest.mark.parametrize("timeout", ["10m", None])
def test_a_run_has_the_time_its_schedule_gives_it(timeout: str | None) -> None:
    scenario = applied(schedules=[hourly(timeout=timeout)])
    scenario.later(minutes=31)

    scenario.reconcile()

    expected = timedelta(minutes=10) if timeout else timedelta(hours=1)
    assert scenario.request.deadline_seconds == expected.total_seconds()


def test_a_window_that_was_materialized_by_others_says_so() -> None:
    scenario = applied(registry={"pollInterval": "1h"})
    scenario.later(minutes=61)
    scenario.reconcile()

    scenario.end("Succeeded", views=(view_report("stats", "", materialized_until=at("12:50")),))

    shown = {view.name: view for view in scenario.status.feature_views}
    assert (shown["stats"].by, shown["stats"].materialized_until) == (
        MaterializedBy.EXTERNAL,
        at("12:50"),
    )
