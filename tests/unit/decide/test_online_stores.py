"""Where the rows of views are: freshness, requests, and states that a dead job left."""

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.decide.build import (
    NOW,
    STATS,
    B,
    ProjectScenario,
    at,
    hourly,
    view_report,
)

from feature_lineage.api.enums import OperationKind
from feature_lineage.features.freshness import place_of
from feature_lineage.operations.protocol import MaterializeRequest

FRESH = ("True", "Succeeded")
NOT_THERE = ("False", "NotInOnlineStore")
OBJECTIVE = {"freshness": {"maxAge": "1d"}}


def _place(store: str) -> str:
    return place_of(STATS, "stats", store)


def _project(**spec: Any) -> ProjectScenario:
    """A project whose views are materialized into the online store `one`."""
    scenario = ProjectScenario(schedules=[hourly()], **{**OBJECTIVE, **spec})
    scenario.reconcile()
    scenario.end("Succeeded", online_store_id="one", views=_seen())
    _tick(scenario)
    return scenario


def _tick(scenario: ProjectScenario) -> MaterializeRequest:
    scenario.later(hours=1)
    scenario.reconcile()
    asked = scenario.request.materialize
    assert asked is not None
    return asked


def _seen(result: str = "", **more: Any) -> tuple[Any, ...]:
    return tuple(view_report(name, result, **more) for name in ("stats", "extra"))


def _done(scenario: ProjectScenario, store: str, **more: Any) -> None:
    place = {"written_to": _place(store)} if store else {}
    seen = _seen("Succeeded", materialized_until=scenario.now, **place, **more)
    scenario.end("Succeeded", online_store_id=store, views=seen)


def _moved() -> ProjectScenario:
    scenario = _project()
    _done(scenario, "one")
    assert scenario.says("Fresh") == FRESH
    scenario.push(B)
    scenario.reconcile()
    seen = _seen(materialized_until=scenario.now)
    scenario.end("Succeeded", online_store_id="two", views=seen)
    return scenario


def test_a_view_is_not_fresh_in_a_store_without_its_rows() -> None:
    scenario = _moved()
    assert scenario.says("Fresh") == NOT_THERE
    assert "stats" in scenario.condition("Fresh").message

    asked = _tick(scenario)
    assert asked.written_to == {name: _place("one") for name in ("stats", "extra")}
    assert asked.fill
    _done(scenario, "two")

    assert scenario.says("Fresh") == FRESH
    assert _tick(scenario).written_to["stats"] == _place("two")


def test_a_plan_knows_the_store_in_effect() -> None:
    scenario = _project()
    _done(scenario, "one")
    scenario.push(B)
    scenario.reconcile()

    assert scenario.request.apply is not None
    assert scenario.request.apply.online_store == "one"


def test_the_store_of_a_blocked_revision_is_not_in_effect() -> None:
    scenario = _project()
    _done(scenario, "one")
    scenario.push(B)
    scenario.reconcile()
    scenario.end("Blocked", online_store_id="two", registry_id="registry-1", reason="Blocked")

    assert scenario.says("Fresh") == FRESH
    assert scenario.status.registry is not None
    assert scenario.status.registry.online_store == "one"


def test_rows_in_the_store_of_a_blocked_spec_are_not_fresh() -> None:
    """A materialization uses the newest text of `spec.featureStoreYaml`."""
    scenario = _project()
    _done(scenario, "one")
    scenario.push(B)
    scenario.reconcile()
    scenario.end("Blocked", online_store_id="two", registry_id="registry-1", reason="Blocked")

    _tick(scenario)
    _done(scenario, "two")

    assert scenario.status.registry is not None
    assert scenario.status.registry.online_store == "one"
    assert scenario.says("Fresh") == NOT_THERE


def test_a_result_of_an_earlier_version_counts_as_before() -> None:
    scenario = _project()
    _done(scenario, "")
    scenario.push(B)
    scenario.reconcile()
    scenario.end("Succeeded", online_store_id="two", views=_seen(materialized_until=scenario.now))

    assert scenario.says("Fresh") == FRESH
    assert _tick(scenario).written_to == {}


def test_what_another_tool_wrote_is_in_the_store_that_was_known() -> None:
    scenario = ProjectScenario(apply={"mode": "Observe"}, **OBJECTIVE)
    scenario.reconcile()
    first = _seen(materialized_until=NOW)
    observed = scenario.status.reading_operation
    assert observed is not None
    scenario.reports(observed, "Succeeded", online_store_id="one", views=first)
    scenario.reconcile()
    assert scenario.says("Fresh") == FRESH

    for until, expected in ((1, NOT_THERE), (2, FRESH)):
        scenario.later(hours=1)
        scenario.reconcile()
        observed = scenario.status.reading_operation
        assert observed is not None
        seen = _seen(materialized_until=NOW + timedelta(minutes=until))
        scenario.reports(observed, "Succeeded", online_store_id="two", views=seen)
        scenario.reconcile()
        assert scenario.says("Fresh") == expected, "it may have been written before the move"


def test_another_tool_fills_a_store_that_moved_after_Auto() -> None:  # noqa: N802
    scenario = _project()
    _done(scenario, "one")
    scenario.change(apply={"mode": "Observe"}, materialization=None)

    for until, expected in ((1, NOT_THERE), (1, NOT_THERE), (2, FRESH), (2, FRESH)):
        scenario.later(hours=1)
        scenario.reconcile()
        observed = scenario.status.reading_operation
        assert observed is not None
        seen = _seen(materialized_until=NOW + timedelta(hours=3, minutes=until))
        scenario.reports(observed, "Succeeded", online_store_id="two", views=seen)
        scenario.reconcile()
        assert scenario.says("Fresh") == expected


def test_a_window_that_was_in_the_future_proves_nothing_later() -> None:
    scenario = _project()
    tick = scenario.now.replace(microsecond=0)
    ahead = tick + timedelta(hours=2)
    seen = _seen("Succeeded", materialized_until=tick, future_until=ahead)
    scenario.end("Succeeded", online_store_id="one", views=seen)
    scenario.later(hours=2)
    asked = _tick(scenario)
    assert asked.untrusted == {"stats": ahead, "extra": ahead}

    scenario.end("Failed", reason="ViewsFailing", views=_seen("Failed", materialized_until=ahead))
    shown = scenario.status.feature_views[0]
    assert (shown.materialized_until, shown.future_until) == (tick, ahead)

    scenario.wait_for_retry()
    scenario.reconcile()
    _done(scenario, "one", end=scenario.now)
    shown = scenario.status.feature_views[0]
    until = scenario.now.replace(microsecond=0)
    assert (shown.materialized_until, shown.future_until) == (until, None)


LEFT = {"result": "Failed", "killed": True, "left_in": "AVAILABLE_ONLINE"}


def _dead(**spec: Any) -> ProjectScenario:
    scenario = _project(runtime={"retries": 0}, **spec)
    dead = (view_report("stats", end=at("12:30"), **LEFT), view_report("extra", ""))
    scenario.end("Failed", reason="JobFailed", message="OOMKilled", views=dead)
    return scenario


def test_a_dead_jobs_state_is_put_back_without_a_tick() -> None:
    scenario = _dead()

    assert (scenario.operation.kind, scenario.operation.schedule) == (
        OperationKind.MATERIALIZE, None,
    )  # fmt: skip
    assert scenario.request.put_back == {"stats": "AVAILABLE_ONLINE"}
    asked = scenario.request.materialize
    assert asked is not None
    assert (asked.views, asked.all_views_end) == ((), None)

    scenario.end("Succeeded", views=_seen(state="AVAILABLE_ONLINE"))
    assert scenario.status.operation is None
    assert scenario.status.feature_views[0].state_before is None


def test_a_state_that_cannot_be_put_back_is_tried_once() -> None:
    scenario = _dead()
    scenario.end("Succeeded", views=_seen(state="MATERIALIZING"))

    for _ in range(12):  # more than the operations that the status keeps
        scenario.reconcile()
        assert scenario.status.operation is None, "until the next job"
        _tick(scenario)
        scenario.end("Failed", reason="ViewsFailing", views=_seen("Failed", state="MATERIALIZING"))
    assert scenario.status.operation is None


def test_each_death_is_put_back() -> None:
    scenario = _dead()
    scenario.end("Succeeded", views=_seen(state="AVAILABLE_ONLINE"))

    _tick(scenario)
    dead = (view_report("stats", end=at("12:30"), **LEFT), view_report("extra", ""))
    scenario.end("Failed", reason="JobFailed", message="OOMKilled", views=dead)

    assert scenario.operation.schedule is None
    assert scenario.request.put_back == {"stats": "AVAILABLE_ONLINE"}


@pytest.mark.parametrize("spec", [{"suspend": True}, {"apply": {"mode": "Observe"}}])
def test_who_may_not_write_puts_nothing_back(spec: dict[str, Any]) -> None:
    scenario = _project(runtime={"retries": 0})
    scenario.change(**spec)
    dead = (view_report("stats", end=at("12:30"), **LEFT), view_report("extra", ""))

    scenario.end("Failed", reason="JobFailed", message="OOMKilled", views=dead)

    assert scenario.status.operation is None
