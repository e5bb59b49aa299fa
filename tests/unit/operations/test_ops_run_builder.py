"""The ops run of an operation: Feast's keys for what happened, and ours for who and the result."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operations.build import NOW, registry, view

from feature_lineage.api.enums import OperationKind
from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.ops_run_builder import MAX_TAG, MAX_VIEW_METRICS, ops_run
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.records import Operation, OpsRun
from feature_lineage.operations.sampled_keys import SampledKey, SampledKeys

SNAPSHOT = registry({"stats": view({"conv_rate": "FLOAT"})})
LATER = NOW + timedelta(seconds=20)
CHANGES = (
    Change("data_source", "stats", ChangeClass.CREATED),
    Change("entity", "__dummy", ChangeClass.CREATED),
    Change("entity", "driver", ChangeClass.CREATED),
    Change("feature_service", "activity", ChangeClass.DELETED, "stats:conv_rate"),
    Change("feature_service", "old", ChangeClass.DELETED),
    Change("feature_view", "gone", ChangeClass.DELETED),
    Change("feature_view", "stats", ChangeClass.CREATED),
    Change("feature_view", "typed", ChangeClass.CREATED, "new_feature"),
    Change("feature_view", "typed", ChangeClass.TYPE_CHANGED, "conv_rate", "FLOAT", "STRING"),
    Change("on_demand_feature_view", "odfv", ChangeClass.CREATED),
    Change("stream_feature_view", "stream", ChangeClass.UPDATED),
)
PLAN = Plan("d" * 64, PlanVerdict.ALLOWED, changes=CHANGES)


def operation(kind: OperationKind = OperationKind.APPLY, **fields: Any) -> Operation:
    values: dict[str, Any] = {
        "id": f"{KINDS[kind].command}-7-abc",
        "kind": kind,
        "project": "driver_ranking",
        "resource": "ml/drivers",
        "started_at": NOW - timedelta(seconds=5),
        "ended_at": LATER + timedelta(seconds=5),
        "revision": "c0ffee",
        **fields,
    }
    return Operation(**values)


def report(
    kind: OperationKind = OperationKind.APPLY, outcome: Outcome = Outcome.SUCCEEDED, **fields: Any
) -> JobReport:
    return JobReport(
        operation_id=f"{KINDS[kind].command}-7-abc",
        kind=kind,
        project="driver_ranking",
        outcome=outcome,
        started_at=NOW,
        finished_at=LATER,
        **fields,
    )


def recorded(done: Operation, job_report: JobReport | None) -> OpsRun:
    return ops_run(done, job_report, experiment_suffix="-feast-ops")


def feasts(run: OpsRun) -> dict[str, str]:
    return {key: value for key, value in run.tags.items() if key.startswith("feast.")}


def ours(run: OpsRun) -> dict[str, str]:
    prefix = "featurelineage.io/"
    return {k.removeprefix(prefix): v for k, v in run.tags.items() if k.startswith(prefix)}


def test_an_apply() -> None:
    run = recorded(
        operation(attempt=2, override="allow-breaking: retrained tonight"),
        report(plan=PLAN, snapshot=SNAPSHOT),
    )

    assert (run.experiment, run.name, run.status) == (
        "driver_ranking-feast-ops",
        "apply_driver_ranking",
        "FINISHED",
    )
    assert (run.started_at, run.ended_at) == (NOW, LATER)
    assert feasts(run) == {
        "feast.operation": "apply",
        "feast.project": "driver_ranking",
        "feast.feature_views_changed": "gone,stats,stream,typed",
        "feast.feature_views_created": "stats",
        "feast.feature_views_updated": "stream,typed",
        "feast.feature_views_deleted": "gone",
        "feast.feature_services_changed": "activity,old",
        "feast.feature_services_updated": "activity",
        "feast.feature_services_deleted": "old",
        "feast.entities_changed": "driver",
        "feast.entities_created": "driver",
    }
    assert run.metrics == {
        "feast.apply.feature_views_count": 4.0,
        "feast.apply.feature_services_count": 2.0,
        "feast.apply.entities_count": 1.0,
    }
    assert run.params == {}
    assert ours(run) == {
        "operation": "apply",
        "operation-id": "apply-7-abc",
        "resource": "ml/drivers",
        "revision": "c0ffee",
        "result": "Succeeded",
        "attempt": "2",
        "registry-digest": SNAPSHOT.digest,
        "plan-digest": "d" * 64,
        "override": "allow-breaking: retrained tonight",
    }
    assert set(run.artifacts) == {"registry_snapshot.json", "plan.json"}
    assert run.artifacts["registry_snapshot.json"] == SNAPSHOT.to_json()
    assert json.loads(run.artifacts["plan.json"])["changes"][0] == {
        "kind": "data_source",
        "name": "stats",
        "change": "Created",
        "feature": "",
        "was": "",
        "now": "",
        "code": "",
    }


def test_an_apply_that_found_nothing_to_do_counts_zero() -> None:
    run = recorded(operation(), report(plan=Plan("d" * 64, PlanVerdict.CLEAN)))

    assert feasts(run) == {"feast.operation": "apply", "feast.project": "driver_ranking"}
    assert set(run.metrics.values()) == {0.0}


def test_a_snapshot_that_is_on_record_is_not_sent_again() -> None:
    run = recorded(operation(snapshot_on_record=True), report(plan=PLAN, snapshot=SNAPSHOT))

    assert "registry_snapshot.json" not in run.artifacts
    assert ours(run)["registry-digest"] == SNAPSHOT.digest


def test_a_blocked_apply_changed_nothing_and_says_why() -> None:
    run = recorded(
        operation(),
        report(
            outcome=Outcome.BLOCKED,
            reason="Blocked",
            message="commit c0ffee is not applied",
            plan=PLAN,
            snapshot=SNAPSHOT,
        ),
    )

    assert run.status == "FAILED"
    assert feasts(run) == {"feast.operation": "apply", "feast.project": "driver_ranking"}
    assert run.metrics == {}
    assert ours(run)["result"] == "Blocked"
    assert ours(run)["reason"] == "Blocked"
    assert ours(run)["error"] == "commit c0ffee is not applied"
    assert ours(run)["plan-digest"] == "d" * 64
    assert "plan.json" in run.artifacts


def test_a_crash_without_a_report_is_on_record_too() -> None:
    run = recorded(
        operation(reason="JobFailed", message="the pod was evicted", output_tail="Traceback …"),
        None,
    )

    assert run.status == "FAILED"
    assert (run.started_at, run.ended_at) == (
        NOW - timedelta(seconds=5),
        LATER + timedelta(seconds=5),
    )
    assert ours(run)["result"] == "Failed"
    assert ours(run)["reason"] == "JobFailed"
    assert ours(run)["error"] == "the pod was evicted"
    assert run.artifacts == {"error.txt": "the pod was evicted\n\nTraceback …\n"}


def test_a_failure_that_says_nothing_says_so() -> None:
    assert ours(recorded(operation(), None))["error"] == "the job ended without a report"


def stats(name: str = "stats", result: str = "Succeeded", **fields: Any) -> ViewReport:
    return ViewReport(name=name, kind="feature_view", result=result, **fields)


def hours(number: int) -> datetime:
    return NOW + timedelta(hours=number)


def test_a_materialization() -> None:
    run = recorded(
        operation(OperationKind.MATERIALIZE),
        report(
            OperationKind.MATERIALIZE,
            views=(
                stats("stats", start=hours(-2), end=hours(0), rows=5, seconds=1.23456),
                stats("orders", start=hours(-1), end=hours(1), seconds=2.0),
                stats("untouched", ""),
            ),
        ),
    )

    assert run.name == "materialize_driver_ranking"
    assert feasts(run) == {
        "feast.operation": "materialize",
        "feast.project": "driver_ranking",
        "feast.materialize.feature_views": "stats,orders",
    }
    assert run.params == {
        "feast.materialize.start_date": "2026-11-20T10:00:00+00:00",
        "feast.materialize.end_date": "2026-11-20T13:00:00+00:00",
    }
    assert run.metrics == {
        "feast.materialize.duration_sec": 3.2346,
        "featurelineage.io/rows/stats": 5.0,
        "featurelineage.io/seconds/stats": 1.2346,
        "featurelineage.io/seconds/orders": 2.0,
    }
    assert [found["name"] for found in json.loads(run.artifacts["views.json"])] == [
        "stats",
        "orders",
    ]


def test_an_incremental_materialization_has_no_start() -> None:
    run = recorded(
        operation(OperationKind.MATERIALIZE, incremental=True),
        report(OperationKind.MATERIALIZE, views=(stats(start=hours(-2), end=hours(0)),)),
    )

    assert run.name == "materialize_incremental_driver_ranking"
    assert run.tags["feast.operation"] == "materialize_incremental"
    assert run.params == {"feast.materialize.end_date": "2026-11-20T12:00:00+00:00"}


def test_without_view_seconds_the_job_duration_counts() -> None:
    run = recorded(
        operation(OperationKind.MATERIALIZE), report(OperationKind.MATERIALIZE, views=(stats(),))
    )

    assert run.metrics == {"feast.materialize.duration_sec": 20.0}


def test_a_partial_materialization_failed_and_names_the_views() -> None:
    run = recorded(
        operation(OperationKind.MATERIALIZE),
        report(
            OperationKind.MATERIALIZE,
            Outcome.PARTIAL,
            reason="ViewsFailing",
            message="1 of 2 views failed",
            output_tail="KeyError: 'x'",
            views=(stats("good"), stats("bad", "Failed", error="source is missing")),
        ),
    )

    assert run.status == "FAILED"
    assert feasts(run)["feast.materialize.feature_views"] == "good"
    assert ours(run)["failed-views"] == "bad"
    assert ours(run)["result"] == "Partial"
    assert run.artifacts["error.txt"] == "1 of 2 views failed\n\nKeyError: 'x'\n"
    assert json.loads(run.artifacts["views.json"])[1]["error"] == "source is missing"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (OperationKind.PLAN, Outcome.PLANNED),
        (OperationKind.OBSERVE, Outcome.SUCCEEDED),
        (OperationKind.DELETE, Outcome.SUCCEEDED),
    ],
)
def test_what_feast_has_no_word_for_is_no_feast_operation(
    kind: OperationKind, outcome: Outcome
) -> None:
    run = recorded(operation(kind), report(kind, outcome, plan=PLAN))

    assert run.status == "FINISHED"
    assert feasts(run) == {"feast.project": "driver_ranking"}
    assert ours(run)["operation"] == KINDS[kind].command
    assert run.metrics == {}


def test_long_lists_are_cut_as_feast_cuts_them() -> None:
    names = [f"view_{number:04}" for number in range(1000)]
    changes = tuple(Change("feature_view", name, ChangeClass.CREATED) for name in names)

    run = recorded(operation(), report(plan=Plan("d", PlanVerdict.CLEAN, changes=changes)))

    assert run.tags["feast.feature_views_changed"] == ",".join(names)[:4987] + "..."
    assert run.metrics["feast.apply.feature_views_count"] == 1000.0


def test_no_key_of_an_entity_is_recorded() -> None:
    key = SampledKey(values=("jane@example.com",), at=NOW)
    view = stats("stats", keys=SampledKeys(columns=("email",), keys=(key,)))
    kind = OperationKind.MATERIALIZE

    run = recorded(operation(kind), report(kind, views=(view,)))

    assert "jane" not in repr(run)


def test_view_metrics_are_capped_and_the_artifact_is_whole() -> None:
    views = [stats(f"good_{number:03}", rows=1) for number in range(300)]

    views.append(stats("zz", "Failed", rows=0))

    run = recorded(
        operation(OperationKind.MATERIALIZE),
        report(OperationKind.MATERIALIZE, Outcome.PARTIAL, views=tuple(views)),
    )

    rows = [key for key in run.metrics if key.startswith("featurelineage.io/rows/")]
    assert len(rows) == MAX_VIEW_METRICS
    assert "featurelineage.io/rows/zz" in rows
    assert len(json.loads(run.artifacts["views.json"])) == 301


def test_names_that_look_alike_once_made_safe_are_kept_apart() -> None:
    run = recorded(
        operation(OperationKind.MATERIALIZE),
        report(OperationKind.MATERIALIZE, views=(stats("a/b", rows=1), stats("a_b", rows=2))),
    )

    assert sorted(v for k, v in run.metrics.items() if "rows" in k) == [1.0, 2.0]


def test_numbers_that_are_none_stay_out() -> None:
    run = recorded(
        operation(OperationKind.MATERIALIZE),
        report(
            OperationKind.MATERIALIZE,
            views=(stats("a", seconds=float("nan")), stats("b", seconds=float("inf"))),
        ),
    )

    assert run.metrics == {}


@given(st.text(), st.text(), st.lists(st.text(min_size=1), max_size=5))
def test_tags_are_short_printable_lines(reason: str, message: str, names: list[str]) -> None:
    run = recorded(
        operation(),
        report(
            OperationKind.MATERIALIZE,
            Outcome.FAILED,
            reason=reason,
            message=message * 1000,
            views=tuple(stats(name, "Failed") for name in names),
        ),
    )

    for value in ours(run).values():
        assert 0 < len(value) <= MAX_TAG
        assert value.isprintable()
