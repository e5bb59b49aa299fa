"""Materializations of views: recurring schedules and one-off backfills."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, StrictBool
from pydantic_core import PydanticCustomError

from feature_lineage.api.base import ApiModel, exactly_one_of, rule
from feature_lineage.api.checks import SET, Pattern
from feature_lineage.api.pods import ResourceRequirements
from feature_lineage.api.types import DnsLabel, Duration, Text, Timestamp, at_least


def _cron_field(value: str) -> str:
    part = rf"(\*|({value})(-({value}))?)(/[1-9][0-9]?)?"
    return f"{part}(,{part})*"


# minute, hour, day of month, month, day of week
CRON_PATTERN = "^{}$".format(
    " +".join(
        _cron_field(value)
        for value in (
            "[0-5]?[0-9]",
            "[01]?[0-9]|2[0-3]",
            "0?[1-9]|[12][0-9]|3[01]",
            "0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC",
            "[0-7]|SUN|MON|TUE|WED|THU|FRI|SAT",
        )
    )
)


def _matches_a_time(cron: str) -> str:
    """Checks that a pattern cannot do: reversed ranges, and days such as the 30th of February."""
    try:
        CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        what = str(error).removeprefix("Bad ")
        fact = f'"{cron}" never matches a time: correct its {what}'
        raise PydanticCustomError("cron", "{fact}", {"fact": fact}) from error
    return cron


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        fact = f'"{name}" is not a time zone: use an IANA name such as Europe/Berlin, or UTC'
        raise PydanticCustomError("time_zone", "{fact}", {"fact": fact}) from error
    return name


Cron = Annotated[
    str,
    Field(min_length=9, max_length=128),
    Pattern(CRON_PATTERN, "minute, hour, day of month, month and day of week, such as 5 * * * *"),
    AfterValidator(_matches_a_time),
]
TimeZone = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Pattern("^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$", "an IANA name such as Europe/Berlin, or UTC"),
    AfterValidator(_known_time_zone),
]
ViewNames = Annotated[tuple[Text, ...], Field(max_length=500), SET]


class Incremental(ApiModel):
    """A window from the end of each view's last materialization until now."""


class Window(ApiModel):
    """A window that ends `delay` before the scheduled time and is `duration` long."""

    duration: Annotated[Duration, at_least("1s")] = Field(
        description="Length of the window, at least 1s."
    )
    delay: Duration = Field(
        Duration("0s"),
        description="How long before the scheduled time the window ends, for late data.",
    )


@exactly_one_of("incremental", "window")
class Schedule(ApiModel):
    """A recurring materialization."""

    name: DnsLabel = Field(description="Name of the schedule, unique in the project.")
    cron: Cron = Field(description="When: minute, hour, day of month, month, day of week.")
    time_zone: TimeZone = Field("UTC", description="Time zone of cron, an IANA name.")
    views: ViewNames = Field((), description="Which feature views; all of the project when empty.")
    incremental: Incremental | None = Field(
        None, description="From where each view's last materialization ended, until now."
    )
    window: Window | None = Field(None, description="A fixed window before the scheduled time.")
    starting_deadline: Annotated[Duration, at_least("10s")] = Field(
        Duration("30m"),
        description="How late a run may still start, at least 10s; else it is skipped.",
    )
    suspend: StrictBool = Field(False, description="Whether this schedule is suspended.")
    timeout: Annotated[Duration, at_least("10s")] | None = Field(
        None, description="How long one run may take, at least 10s; runtime.timeout when absent."
    )
    resources: ResourceRequirements | None = Field(
        None, description="CPU and memory of its jobs; runtime.resources when absent."
    )


@rule(
    "end must be after start",
    cel="self.start < self.end",
    holds=lambda self: self.start < self.end,
)
class Backfill(ApiModel):
    """A past range to materialize once; changed content is materialized again."""

    name: DnsLabel = Field(description="Name of the backfill, unique in the project.")
    views: ViewNames = Field((), description="Which feature views; all of the project when empty.")
    start: Timestamp = Field(description="Beginning of the range, inclusive.")
    end: Timestamp = Field(description="End of the range, exclusive.")
    chunk: Annotated[Duration, at_least("1m")] = Field(
        Duration("1d"), description="Length of one chunk, which one job materializes, at least 1m."
    )
