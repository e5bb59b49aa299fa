"""A status has at most 256 KiB, whatever a report, MLflow, an annotation or the spec contain."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from itertools import count
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AwareDatetime
from tests.unit.decide.build import (
    MLFLOW,
    OUTAGE,
    STATS,
    ProjectScenario,
    through_json,
    view_report,
)
from tests.unit.operations.build import registry, view

from feature_lineage.api.base import StatusModel
from feature_lineage.api.conditions import ModelCondition, ProjectCondition
from feature_lineage.api.meta import Condition
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.api.operation_status import (
    OperationRecord,
    OperationStatus,
    OperationView,
    OperationViewResult,
)
from feature_lineage.api.project_status import (
    BackfillStatus,
    FeatureStoreProjectStatus,
    FeatureViewStatus,
    PlanChange,
    PlanImpact,
    PlanStatus,
    ProblemStatus,
    ScheduleStatus,
)
from feature_lineage.api.types import Duration
from feature_lineage.decide import budget
from feature_lineage.decide.budget import MAX_STATUS, fit, short_name, size
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.decide.model.bounded import bounded as bounded_model
from feature_lineage.decide.project.bounded import bounded
from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.models.problems import Problem, ProblemKind
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.protection import Impact

AT: Final = datetime(2026, 7, 1, tzinfo=UTC)
NUMBERS: Final = count()
ITEMS: Final = {
    "schedules": 100,
    "backfills": 100 + budget.KEPT_BACKFILLS,
    "feature_views": 500,
    "impacts": budget.MAX_IMPACTS,
    "changes": budget.MAX_CHANGES,
    "details": budget.MAX_DETAILS,
    "problems": budget.MAX_PROBLEMS,
    "features": budget.MAX_FEATURES,
    "history": budget.MAX_HISTORY,
    "operations": 40,
}
"""Items that the spec or `budget` allow, and more operations; any other list gets 110."""
TOTALS: Final = (
    "details_total",
    "aliases_total",
    "problems_total",
    "views_total",
    "online_tables_dropped_total",
)


def text(char: str) -> str:
    return f"{next(NUMBERS)}{char * 1000}"


def filled(kind: Any, name: str, char: str) -> Any:
    """A value of a field of a status that is as large as its type allows."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return filled(args[0], name, char)
    if origin in (Union, UnionType):
        return filled(next(arg for arg in args if arg is not type(None)), name, char)
    if origin is Literal:
        return args[-1]
    if origin is tuple:
        return tuple(filled(args[0], name, char) for _ in range(ITEMS.get(name, 110)))
    if issubclass(kind, StatusModel):
        return full(kind, char)
    if issubclass(kind, Enum):
        return max(kind, key=lambda member: len(str(member)))
    if kind is AwareDatetime:
        return AT
    if issubclass(kind, Duration):
        return Duration("99999d99999h99999m99999s")
    values = {str: text(char), bool: False, int: 10**15, float: 1e300}
    return values[kind]


def full(kind: type[StatusModel], char: str, conditions: Any = ()) -> Any:
    fields: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        known = name == "conditions" or name in TOTALS
        fields[name] = None if known else filled(field.annotation, name, char)
    if kind in (ScheduleStatus, BackfillStatus):
        fields["name"] = f"{next(NUMBERS):063}"
    if kind is BackfillStatus:
        fields["digest"] = "d" * 64
    if "conditions" in fields:
        fields["conditions"] = tuple(
            Condition(
                type=str(type_),
                status="Unknown",
                reason="R" * 64,
                message=char * 5000,
                last_transition_time=AT,
                observed_generation=10**6,
            )
            for type_ in conditions
        )
    return kind.model_construct(**fields)


def stored(status: StatusModel) -> int:
    """Bytes in etcd: the API server writes <, > and & as escapes."""
    text = json.dumps(status.as_dict(), ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, "\\u0000")
    return len(text.encode())


@pytest.mark.parametrize("char", ["x", "<", "漢"])
def test_full_project_status(char: str) -> None:
    status = full(FeatureStoreProjectStatus, char, ProjectCondition)
    assert (len(status.feature_views), len(status.operations)) == (500, 40)

    small = bounded(status, FeatureStoreProjectStatus(), recorded=True)

    assert stored(small) <= MAX_STATUS
    assert FeatureStoreProjectStatus.model_validate(small.as_dict()) == small
    assert bounded(small, FeatureStoreProjectStatus(), recorded=True) == small, "it is stable"


@pytest.mark.parametrize("char", ["x", "<", "漢"])
def test_full_model_status(char: str) -> None:
    small = bounded_model(full(TrainedModelStatus, char, ModelCondition), TrainedModelStatus())

    assert stored(small) <= MAX_STATUS
    assert len(small.resolved.aliases) < small.resolved.aliases_total == 110
    assert size(small.resolved.aliases) <= budget.ALIASES
    assert bounded_model(small, TrainedModelStatus()) == small, "it is stable"


HOSTILE: Final = "<" * 990


def name(number: int) -> str:
    return f"{HOSTILE}{number}"


def hostile_plan() -> Plan:
    problem = Problem(name(0), ProblemKind.TYPE_CHANGED, HOSTILE, HOSTILE)
    aliases = tuple(name(number) for number in range(200))
    return Plan(
        "d" * 64,
        PlanVerdict.BLOCKED,
        changes=tuple(
            Change("feature_view", name(i), ChangeClass.TYPE_CHANGED, name(j), HOSTILE, HOSTILE)
            for i in range(60)
            for j in range(30)
        ),
        impacts=tuple(
            Impact(name(number), name(number), aliases, (problem,) * 60) for number in range(60)
        ),
        online_tables_dropped=aliases,
        reason="Blocked",
    )


def hostile_report(count: int) -> dict[str, Any]:
    views = {name(number): {**view({"rate": "FLOAT"}), "online": True} for number in range(count)}
    return {
        "snapshot": registry(views),
        "registry_id": HOSTILE,
        "feast_version": HOSTILE,
        "message": HOSTILE * 100,
        "warnings": (HOSTILE,) * 100,
        "plan": hostile_plan(),
        "views": tuple(
            view_report(each, "Failed").model_copy(update={"error": HOSTILE, "kind": HOSTILE})
            for each in views
        ),
    }


def test_hostile_reports_during_an_outage_of_mlflow() -> None:
    schedules = [
        {"name": f"{number:063}", "cron": "* * * * *", "incremental": {}} for number in range(100)
    ]
    scenario = ProjectScenario(mlflow=MLFLOW, schedules=schedules)
    scenario.annotate("reconcile-requested-at", HOSTILE * 10)
    scenario.apply()
    scenario.outage = OUTAGE
    large, small = hostile_report(600), hostile_report(3)
    for minute in range(60):
        scenario.later(minutes=1, seconds=1)
        scenario.reconcile()
        scenario.end("Failed", reason="InvalidRepo", **(small if minute else large))
        assert stored(scenario.status) <= MAX_STATUS
    kept = len(scenario.status.operations)
    assert 10 < kept < 60
    assert scenario.status.counts is not None
    assert (scenario.status.counts.unrecorded_operations or 0) + kept >= 60


def test_blocked_plan_counts_what_is_left_out() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.end("Blocked", **hostile_report(600))

    plan = scenario.status.plan
    assert plan is not None
    assert stored(scenario.status) <= MAX_STATUS
    assert 0 < len(plan.changes) < plan.changes_total == 60
    assert 0 < len(plan.impacts) < plan.impacts_total == 60
    assert 0 < len(plan.online_tables_dropped) < (plan.online_tables_dropped_total or 0) == 200
    assert size(plan.changes) <= budget.CHANGES
    assert size(plan.impacts) <= budget.IMPACTS
    assert size(plan.online_tables_dropped) <= budget.TABLES_DROPPED
    for impact in plan.impacts:
        assert 0 < len(impact.aliases) < (impact.aliases_total or 0) == 200
        assert len(impact.problems) < (impact.problems_total or 0) == 60
    assert all(len(change.details) < change.details_total == 30 for change in plan.changes)
    names = [change.name for change in plan.changes]
    assert len(set(names)) == len(names), "two names never become one"


def test_a_request_with_a_long_token_is_handled_once() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.annotate("reconcile-requested-at", HOSTILE)
    scenario.apply()

    assert scenario.status.last_handled_reconcile_at == short_name(HOSTILE)


def test_the_usual_500_views_are_all_listed() -> None:
    views = tuple(
        FeatureViewStatus(
            name=f"customer_transactions_{number:08}",
            materialized_until=AT,
            newest_event_time=AT,
            rows=1_000_000,
            by="Operator",
            last_result="Succeeded",
            attempted_at=AT,
            last_duration_seconds=12.345,
            max_age=Duration("1d"),
            fresh=True,
        )
        for number in range(500)
    )
    status = FeatureStoreProjectStatus(feature_views=views)

    assert bounded(status, FeatureStoreProjectStatus(), recorded=True).feature_views == views


def test_changes_and_impacts_keep_their_places_before_their_parts() -> None:
    changes = tuple(
        PlanChange(kind="feature_view", name=f"v{n}", action="Update", details=("x" * 90,) * 20)
        for n in range(50)
    )
    problems = (ProblemStatus(feature="stats:trips", kind="TypeChanged"),) * 50
    impacts = tuple(
        PlanImpact(model=f"m{n}", version="1", verdict="Broken", problems=problems)
        for n in range(50)
    )
    status = FeatureStoreProjectStatus(plan=PlanStatus(changes=changes, impacts=impacts))

    plan = bounded(status, FeatureStoreProjectStatus(), recorded=True).plan

    assert plan is not None
    assert [each.name for each in plan.changes] == [each.name for each in changes]
    assert [each.model for each in plan.impacts] == [each.model for each in impacts]
    assert all(0 < len(each.details) < each.details_total == 20 for each in plan.changes)
    assert all(0 < len(each.problems) < each.problems_total == 50 for each in plan.impacts)


def test_views_keep_their_places_before_their_errors() -> None:
    views = tuple(
        FeatureViewStatus(name=f"view_{number:03}", last_result="Failed", last_error="<" * 400)
        for number in range(500)
    )
    status = FeatureStoreProjectStatus(feature_views=views)

    kept = bounded(status, FeatureStoreProjectStatus(), recorded=True).feature_views

    assert [each.name for each in kept] == [each.name for each in views]
    assert all(len(each.last_error or "") < 100 for each in kept)


def in_flight(**fields: Any) -> FeatureStoreProjectStatus:
    operation = OperationStatus(
        id="materialize-1", kind="Materialize", phase="Running", sequence=1, **fields
    )
    return FeatureStoreProjectStatus(operation=operation)


def test_texts_of_the_operation_in_flight_are_short() -> None:
    status = in_flight(revision="x" * 1000, message="y" * 5000)

    small = bounded(status, FeatureStoreProjectStatus(), recorded=True).operation

    assert small is not None
    assert size(small.revision) <= budget.NAME
    assert size(small.message) <= budget.MESSAGE


def test_views_in_flight_that_have_work_come_first() -> None:
    views = tuple(
        OperationView(name=f"{number:03}{'v' * 200}", result="Succeeded" if number < 300 else None)
        for number in range(400)
    )

    small = bounded(in_flight(views=views), FeatureStoreProjectStatus(), recorded=True).operation

    assert small is not None
    assert small.views_total == 400
    assert 100 < len(small.views) < 400
    assert set(views[300:]) <= set(small.views)


def test_operations_have_fewer_views_before_they_are_left_out() -> None:
    views = tuple(
        OperationViewResult(name=f"view_{number:03}", result="Failed") for number in range(100)
    )
    status = FeatureStoreProjectStatus(operations=records(20, views=views))

    small = bounded(status, FeatureStoreProjectStatus(), recorded=True)

    assert len(small.operations) == 20
    for operation in small.operations:
        assert 0 < len(operation.views) < (operation.views_total or 0) == 100


def test_texts_of_an_operation_are_short() -> None:
    (record,) = records(1, revision="x" * 1000)
    long = record.model_copy(update={"message": "x" * 5000})
    status = FeatureStoreProjectStatus(operations=(long,))

    (small,) = bounded(status, FeatureStoreProjectStatus(), recorded=True).operations

    assert size(small.revision) <= budget.NAME
    assert size(small.message) <= budget.MESSAGE


def test_a_message_of_a_condition_is_short() -> None:
    conditions = ConditionSet((), AT, 1)
    conditions.true(ProjectCondition.READY, "Succeeded", "<" * 5000)

    (condition,) = conditions.values
    assert 300 < size(condition.message) <= budget.MESSAGE


def test_the_last_views_are_left_out_where_all_do_not_fit() -> None:
    views = tuple(
        FeatureViewStatus(
            name=f"{number:03}{'x' * 250}",
            materialized_until=AT,
            newest_event_time=AT,
            attempted_at=AT,
            rows=1_000_000,
            last_result="Succeeded",
            last_duration_seconds=12.345,
            max_age=Duration("1d"),
        )
        for number in range(500)
    )
    status = FeatureStoreProjectStatus(feature_views=views, operations=records(200))

    small = bounded(status, FeatureStoreProjectStatus(), recorded=True)

    assert stored(small) <= MAX_STATUS
    assert 0 < len(small.feature_views) < 500
    assert small.feature_views == views[: len(small.feature_views)]


def test_a_view_with_a_long_name_is_left_out() -> None:
    status = FeatureStoreProjectStatus(
        feature_views=(FeatureViewStatus(name="a" * 300), FeatureViewStatus(name="stats"))
    )

    (kept,) = bounded(status, FeatureStoreProjectStatus(), recorded=True).feature_views

    assert kept.name == "stats"


def records(number: int, **fields: Any) -> tuple[OperationRecord, ...]:
    return tuple(
        OperationRecord(
            id=f"materialize-{each}", kind="Materialize", job="j", message="x" * 1900, **fields
        )
        for each in range(number)
    )


@pytest.mark.parametrize("recorded", [True, False])
def test_operations_that_leave_the_list_unrecorded_are_counted(recorded: bool) -> None:
    status = FeatureStoreProjectStatus(operations=records(200))

    small = bounded(status, FeatureStoreProjectStatus(), recorded=recorded)

    assert 10 < len(small.operations) < 200
    lost = 200 - len(small.operations)
    assert (small.counts and small.counts.unrecorded_operations) == (lost if recorded else None)
    again = small.model_copy(update={"operations": (*records(50), *small.operations)})
    counts = bounded(again, small, recorded=recorded).counts
    assert (counts and counts.unrecorded_operations) == (lost + 50 if recorded else None)


def test_a_schedule_with_long_names_runs_all_its_views_also_after_a_failure() -> None:
    names = [f"{number:03}{'漢' * 250}" for number in range(500)]
    schedule = {"name": "nightly", "cron": "0 13 * * *", "incremental": {}, "views": names}
    scenario = ProjectScenario(mlflow=MLFLOW, schedules=[schedule]).apply()
    scenario.later(hours=1, minutes=1)
    scenario.reconcile()

    assert requested(scenario) == set(names)
    assert scenario.operation.views_total == 500
    assert len(scenario.operation.views) < 500
    assert stored(scenario.status) <= MAX_STATUS
    done = scenario.operation.views[0].name
    scenario.end("Failed", reason="JobFailed", snapshot=STATS, views=(view_report(done),))
    scenario.wait_for_retry()
    scenario.reconcile()

    assert requested(scenario) == set(names) - {done}
    assert stored(scenario.status) <= MAX_STATUS


def requested(scenario: ProjectScenario) -> set[str]:
    assert scenario.request.materialize is not None
    return {each.name for each in scenario.request.materialize.views}


@given(st.lists(st.text(max_size=400), unique=True), st.integers(30, 300))
@example(["x" * 400 + "a", "x" * 400 + "b"], 100)
def test_short_names_are_different_and_short(names: list[str], limit: int) -> None:
    short = [short_name(each, limit) for each in names]

    assert len(set(short)) == len(names)
    assert all(size(each) <= limit for each in short)
    assert [short_name(each, limit) for each in short] == short


@given(st.text(max_size=100) | st.text(st.sampled_from('<>&"\\\x01\u2028é漢\U0001f600')))
def test_size_is_that_of_the_api_server(text: str) -> None:
    empty = stored(FeatureViewStatus(name=""))
    assert size(text) == stored(FeatureViewStatus(name=text)) - empty + 2


@given(st.text(max_size=400), st.integers(5, 300))
def test_fitted_text_is_short_and_a_beginning(text: str, limit: int) -> None:
    short = fit(text, limit)

    assert size(short) <= limit
    assert short == text or text.startswith(short.removesuffix("…"))
    assert fit(short, limit) == short


def test_status_without_a_change_is_not_touched() -> None:
    status = full(FeatureStoreProjectStatus, "x", ProjectCondition)

    assert bounded(status, status, recorded=True) is status
    assert through_json(FeatureStoreProjectStatus()) == FeatureStoreProjectStatus()


def test_budgets_leave_room_for_the_views() -> None:
    values: Mapping[str, Any] = vars(budget)
    fixed = ("CHANGES", "IMPACTS", "TABLES_DROPPED", "IN_FLIGHT_VIEWS", "FEATURE_VIEWS")
    assert sum(values[each] for each in fixed) < MAX_STATUS * 3 // 5
