"""Scalars: accepted values, their use in computations, and the text that they print."""

import copy
import pickle
from datetime import UTC, datetime, timedelta
from typing import Annotated

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from feature_lineage.api.types import Duration, Timestamp, at_least, format_timestamp

UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
parts = st.lists(
    st.tuples(st.integers(0, 99999), st.sampled_from(sorted(UNITS))), min_size=1, max_size=3
)
timestamps = TypeAdapter(Timestamp)


@given(parts)
def test_duration_sums_its_parts_and_keeps_its_text(pairs):
    text = "".join(f"{number}{unit}" for number, unit in pairs)

    duration = Duration(text)

    assert duration == sum((number * UNITS[unit] for number, unit in pairs), timedelta())
    assert TypeAdapter(Duration).dump_python(duration, mode="json") == text
    for same in (copy.deepcopy(duration), pickle.loads(pickle.dumps(duration))):
        assert same == duration
        assert str(same) == text


@given(parts)
def test_no_duration_overflows_a_date(pairs):
    duration = Duration("".join(f"{number}{unit}" for number, unit in pairs))

    now = datetime(2026, 7, 1, tzinfo=UTC)

    assert now - duration <= now <= now + duration


def test_equal_lengths_are_equal_however_they_are_written():
    assert Duration("60m") == Duration("1h") == timedelta(hours=1)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "1 h", "-1h", "1.5h", "1w", "1H", "1h\n", "100000s", "1s" * 13]
)
def test_what_is_not_a_duration_says_how_to_write_one(text):
    with pytest.raises(ValueError, match="such as 90s, 1h30m or 1d"):
        Duration(text)


def test_a_minimum_is_inclusive():
    ten_seconds = TypeAdapter(Annotated[Duration, at_least("10s")])

    assert ten_seconds.validate_python("10s") == timedelta(seconds=10)
    with pytest.raises(ValidationError, match="must be at least 10s"):
        ten_seconds.validate_python("9999ms")


@given(st.datetimes(), st.timezones())
def test_timestamps_round_trip_as_utc_seconds(clock, zone):
    assume(2 <= clock.year <= 9998)
    moment = clock.replace(tzinfo=zone)
    shown = format_timestamp(moment)

    parsed = timestamps.validate_python(shown)

    assert parsed == moment.astimezone(UTC).replace(microsecond=0)
    assert parsed.tzinfo is UTC
    assert timestamps.dump_python(parsed, mode="json") == shown


@pytest.mark.parametrize(
    "value", ["2026-07-01", "2026-07-01T00:00:00", "2026-07-01 00:00:00Z", 1782864000, "yesterday"]
)
def test_a_time_without_zone_or_form_is_refused(value):
    with pytest.raises(ValidationError, match="RFC 3339"):
        timestamps.validate_python(value)


def test_a_time_that_utc_cannot_hold_is_refused():
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        timestamps.validate_python("0001-01-01T00:00:00+14:00")


def test_a_naive_datetime_is_refused():
    with pytest.raises(ValidationError, match="timezone"):
        timestamps.validate_python(datetime(2026, 7, 1))  # noqa: DTZ001 - that is the point
