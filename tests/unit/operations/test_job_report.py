"""A report has only values that a status and MLflow can have."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.operations.test_report_memory import HEAD

from feature_lineage.errors import InvalidReport
from feature_lineage.operations.job_report import JobReport, decode_report

VIEW = {"name": "v", "kind": "feature_view"}
TIMES = ("2026-11-20T12:00:00", 1e300, "yesterday")
NUMBERS = (-1, 2**63, 10**400, 1.5)


def read(**fields: Any) -> JobReport:
    return decode_report(json.dumps({**json.loads(HEAD + b"}"), **fields}).encode())


@pytest.mark.parametrize("time", TIMES)
def test_a_time_without_its_zone_is_refused(time: object) -> None:
    for name in ("started_at", "finished_at"):
        with pytest.raises(InvalidReport, match=name):
            read(**{name: time})
    for name in ("start", "end", "materialized_until", "newest_event_time"):
        with pytest.raises(InvalidReport, match=name):
            read(views=[{**VIEW, name: time}])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_count_that_no_status_can_have_is_refused(number: object) -> None:
    for fields in ({"views": [{**VIEW, "rows": number}]}, {"counts": {"created": number}}):
        with pytest.raises(InvalidReport, match=r"rows|counts"):
            read(**fields)


@pytest.mark.parametrize(
    ("time", "year"), [("0001-01-01T00:00:00+23:59", 1600), ("9999-12-31T23:59:59-23:59", 8000)]
)
def test_a_time_far_away_is_near_enough_for_sums(time: str, year: int) -> None:
    """Feast accepts an interval until the year 9999; a sum with a duration would overflow."""
    assert read(views=[{**VIEW, "materialized_until": time}]).views[0].materialized_until == (
        datetime(year, 1, 1, tzinfo=UTC)
    )


def test_times_are_read_in_utc() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)

    assert read(started_at="2026-11-20T14:00:00+02:00").started_at == noon
    assert read(started_at="2026-11-20T14:00:00+02:00").started_at.tzinfo is UTC
