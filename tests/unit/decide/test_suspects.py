"""Views that end the process of their job: last, then skipped, until something changes."""

from typing import Any

import pytest
from tests.unit.decide.build import ProjectScenario, at, backfill, hourly, view_report
from tests.unit.operations.build import registry, view

from feature_lineage.api.enums import OperationPhase, Result
from feature_lineage.api.project_status import FeatureViewStatus
from feature_lineage.decide.project.views import unhealthy_first
from feature_lineage.operations.job_report import ViewReport
from feature_lineage.operations.protocol import MaterializeRequest

ONE_TRY = {"retries": 0}
OOM = "the job's process ended while it materialized this view: OOMKilled"
OBJECTIVE = {"freshness": {"maxAge": "1d"}}


def _project(**spec: Any) -> ProjectScenario:
    """A project whose registry has the views stats and extra, at its first tick."""
    scenario = ProjectScenario(schedules=[hourly()], **spec).apply()
    scenario.later(minutes=30)
    scenario.reconcile()
    return scenario


def _planned(name: str, **more: Any) -> ViewReport:
    return ViewReport(name=name, kind="feature_view", end=at("12:30"), **more)


def _dies(scenario: ProjectScenario, *, killed: bool = True, **more: Any) -> None:
    """The job dies while it materializes stats; extra succeeded only if it came before."""
    asked = _asked(scenario)
    extra_first = "stats" in asked.last
    victim = _planned("stats", result="Failed", error=OOM, killed=killed, **more)
    extra = view_report("extra", end=at("12:30"), rows=1) if extra_first else _planned("extra")
    scenario.end("Failed", reason="JobFailed", message="OOMKilled", views=(extra, victim))


def _asked(scenario: ProjectScenario) -> MaterializeRequest:
    asked = scenario.request.materialize
    assert asked is not None
    return asked


def _tick(scenario: ProjectScenario) -> MaterializeRequest:
    scenario.later(hours=1)
    scenario.reconcile()
    return _asked(scenario)


def _twice() -> ProjectScenario:
    scenario = _project(runtime=ONE_TRY)
    _dies(scenario)
    _tick(scenario)
    _dies(scenario)
    return scenario


def test_the_next_attempt_tries_the_others_first() -> None:
    scenario = _project()

    _dies(scenario)
    assert scenario.operation.phase is OperationPhase.BACKING_OFF
    scenario.later(minutes=5)
    scenario.reconcile()

    asked = _asked(scenario)
    assert scenario.status.feature_views[0].name == "stats"
    assert {view.name for view in asked.views} == {"stats", "extra"}
    assert (asked.last, asked.skip) == (("stats",), {})


def test_a_view_that_ended_two_jobs_is_skipped_and_named() -> None:
    scenario = _project()
    _dies(scenario)
    scenario.later(minutes=5)
    scenario.reconcile()
    _dies(scenario)
    scenario.later(minutes=5)
    scenario.reconcile()

    asked = _asked(scenario)
    assert [view.name for view in asked.views] == ["stats"], "extra has succeeded"
    why = asked.skip["stats"]
    assert why.startswith("skipped: it ended the process of 2 jobs in a row. Change the view or ")
    assert why.endswith(OOM)
    scenario.end(
        "Failed", reason="ViewsFailing", views=(_planned("stats", result="Skipped", error=why),)
    )

    assert scenario.status.operation is None, "another attempt would skip it, too"
    shown = {view.name: view for view in scenario.status.feature_views}
    assert (shown["stats"].killed_jobs, shown["stats"].last_result) == (2, Result.FAILED)
    assert shown["extra"].last_result is Result.SUCCEEDED
    assert scenario.says("Materialized") == ("False", "ViewsFailing")
    assert _tick(scenario).skip == {"stats": why}, "and the next tick skips it with the same words"


def test_a_deadline_makes_no_view_a_suspect_for_good() -> None:
    scenario = _project(runtime=ONE_TRY)

    _dies(scenario, killed=False)

    assert _tick(scenario).skip == {}
    assert scenario.status.feature_views[0].killed_jobs is None


@pytest.mark.parametrize(
    ("change", "again"),
    [
        pytest.param("nothing", False, id="nothing"),
        pytest.param("definition", True, id="the definition of the view"),
        pytest.param("runtime", True, id="the resources of the runtime"),
        pytest.param("request", True, id="a person requests a reconcile"),
        pytest.param("once", False, id="local --once is run"),
        pytest.param("backfill", True, id="a person adds a backfill of it"),
        pytest.param("other backfill", False, id="a person adds a backfill of another view"),
    ],
)
def test_a_skipped_view_is_tried_again_after_a_change(change: str, again: bool) -> None:
    scenario = _twice()
    match change:
        case "definition":
            scenario.snapshot = registry({"stats": view({"conv_rate": "FLOAT"}, ttl="60s")})
        case "runtime":  # is also an input of the apply, which comes first
            scenario.spec["runtime"] = {**ONE_TRY, "resources": {"limits": {"memory": "8Gi"}}}
            scenario.apply()
        case "request":
            scenario.metadata["annotations"]["featurelineage.io/reconcile-requested-at"] = "now"
            scenario.reconcile()
        case "once":
            scenario.reconcile(requested=True)
        case "backfill" | "other backfill":
            name = "stats" if change == "backfill" else "extra"
            scenario.spec["backfills"] = [backfill(views=[name])]

    assert ("stats" not in _tick(scenario).skip) == again


def test_a_success_ends_the_count() -> None:
    scenario = _project(runtime=ONE_TRY)
    _dies(scenario)
    _tick(scenario)
    scenario.end("Succeeded", views=(view_report("stats"), view_report("extra")))
    _tick(scenario)
    _dies(scenario)

    assert (_tick(scenario).last, _asked(scenario).skip) == (("stats",), {})


def _states(scenario: ProjectScenario) -> tuple[str | None, bool | None]:
    shown = {view.name: view for view in scenario.status.feature_views}
    return shown["stats"].state_before, shown["stats"].not_served


def test_a_view_is_not_served_until_it_is_put_back() -> None:
    scenario = _project(runtime=ONE_TRY, **OBJECTIVE)
    _dies(scenario, left_in="AVAILABLE_ONLINE", materialized_until=at("12:00"))

    assert _states(scenario) == ("AVAILABLE_ONLINE", True)
    assert scenario.says("Fresh") == ("False", "NotServed")
    _tick(scenario)
    assert scenario.request.put_back == {"stats": "AVAILABLE_ONLINE"}
    failed = _planned("stats", result="Failed", error="no such column", state="GENERATED")
    scenario.end("Failed", reason="ViewsFailing", views=(failed,))
    assert _states(scenario) == ("AVAILABLE_ONLINE", True), "Feast says so itself"

    _tick(scenario)
    put_back = _planned("stats", result="Failed", error="no such column", state="AVAILABLE_ONLINE")
    scenario.end("Failed", reason="ViewsFailing", views=(put_back,))

    assert _states(scenario) == (None, None)
    assert scenario.says("Fresh") != ("False", "NotServed")
    _tick(scenario)
    assert scenario.request.put_back == {}


def test_feast_may_serve_a_view_meanwhile() -> None:
    scenario = _project(runtime=ONE_TRY)

    _dies(scenario, left_in="AVAILABLE_ONLINE", served=True)

    assert _states(scenario) == ("AVAILABLE_ONLINE", None)


def test_in_mode_observe_nothing_is_put_back() -> None:
    scenario = _project(runtime=ONE_TRY)
    scenario.spec["apply"] = {"mode": "Observe"}
    _dies(scenario, left_in="AVAILABLE_ONLINE")

    scenario.later(hours=1)
    scenario.reconcile()
    newest = scenario.requests[scenario.status.in_flight[0].job]

    assert newest.materialize is not None
    assert newest.put_back == {}
    assert _states(scenario) == ("AVAILABLE_ONLINE", True)
    assert scenario.condition("Fresh").message.endswith(
        "in mode Observe nothing is put back: its next successful materialization serves it"
    )


def test_a_report_of_any_state_is_not_put_back() -> None:
    scenario = _project(runtime=ONE_TRY)

    _dies(scenario, left_in="x" * 900)

    assert _states(scenario) == (None, None)


def test_what_succeeded_before_the_end_is_taken_over() -> None:
    scenario = _project(runtime=ONE_TRY, **OBJECTIVE)
    _dies(scenario)
    _tick(scenario)

    _dies(scenario)

    shown = {view.name: view for view in scenario.status.feature_views}
    assert (shown["extra"].materialized_until, shown["extra"].rows) == (at("12:30"), 1)
    assert shown["extra"].fresh
    (newest, *_) = scenario.status.operations
    assert {view.name: view.result for view in newest.views} == {
        "extra": Result.SUCCEEDED, "stats": Result.FAILED,
    }  # fmt: skip


def test_a_long_list_of_views_keeps_those_of_a_dead_job() -> None:
    views = {
        name: FeatureViewStatus(name=name, last_result=Result.FAILED)
        for name in (f"a{number:03}" for number in range(600))
    }
    views["z"] = FeatureViewStatus(name="z", state_before="CREATED")

    assert unhealthy_first(views)[0].name == "z"
