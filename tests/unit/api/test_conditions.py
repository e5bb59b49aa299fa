"""Conditions: when their transition time changes, and their reasons."""

from datetime import UTC, datetime, timedelta

import pytest

from feature_lineage.api import Condition
from feature_lineage.api.conditions import (
    ModelCondition,
    ProjectCondition,
    find_condition,
    reason_in,
    remove_condition,
    set_condition,
)
from feature_lineage.reasons import Reason

THEN = datetime(2026, 7, 1, tzinfo=UTC)
NOW = THEN + timedelta(hours=1)


def condition(status="True", reason="Succeeded", message="", type_="Ready", at=NOW):
    return Condition(
        type=type_, status=status, reason=reason, message=message, last_transition_time=at
    )


def test_a_new_condition_starts_now():
    (ready,) = set_condition((), condition(at=THEN), NOW)

    assert ready.last_transition_time == NOW


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_flipped_status_moves_the_time(status):
    (ready,) = set_condition((condition(at=THEN),), condition(status, "Blocked"), NOW)

    assert ready.status == status
    assert ready.last_transition_time == NOW


def test_another_reason_or_message_does_not_move_the_time():
    before = (condition("False", "Blocked", "breaks driver_model", at=THEN),)

    (ready,) = set_condition(before, condition("False", "JobFailed", "exit code 1"), NOW)

    assert (ready.reason, ready.message) == ("JobFailed", "exit code 1")
    assert ready.last_transition_time == THEN


def test_the_same_condition_changes_nothing():
    before = (condition(at=THEN), condition("False", "Stale", type_="Fresh", at=THEN))

    after = set_condition(before, condition("False", "Stale", type_="Fresh"), NOW)

    assert after == before


def test_the_order_stays():
    before = (condition(at=THEN), condition(type_="Fresh", at=THEN))

    after = set_condition(before, condition("False", "Blocked"), NOW)

    assert [c.type for c in after] == ["Ready", "Fresh"]


def test_removed_condition_returns_with_a_new_transition_time():
    before = (condition(type_=ProjectCondition.STALLED, at=THEN),)

    removed = remove_condition(before, ProjectCondition.STALLED)
    again = set_condition(removed, condition(type_=ProjectCondition.STALLED), NOW)

    assert removed == ()
    found = find_condition(again, "Stalled")
    assert found is not None
    assert found.last_transition_time == NOW


@pytest.mark.parametrize(
    ("type_", "reason", "shown"),
    [
        (ProjectCondition.RECORDED, "AuthFailed", "AuthFailed"),
        (ProjectCondition.RECORDED, "TagTooLong", "MLflowUnavailable"),
        (ModelCondition.TAGGED, "TagTooLong", "TagTooLong"),
        (ModelCondition.TAGGED, "MyOwnReason", "MLflowUnavailable"),
    ],
)
def test_a_condition_shows_only_reasons_of_its_table(type_, reason, shown):
    assert reason_in(type_, reason, Reason.MLFLOW_UNAVAILABLE) == shown


def test_every_reason_is_one_that_kubernetes_accepts():
    for reason in Reason:
        assert condition("False", str(reason)).reason == reason
