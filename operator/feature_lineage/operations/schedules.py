"""Computes when a schedule is due, as for a CronJob, and the window of a tick.

Only the newest passed tick is run: after an outage one materialization covers all missed ticks.
cronsim handles daylight saving as Debian cron does: a fixed time that does not exist runs at the
next minute that does, one that exists twice runs once, and ``*/15`` continues.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from feature_lineage.api.schedules import Schedule
from feature_lineage.errors import InvalidManifest
from feature_lineage.operations.protocol import MaterializeRequest, ViewWindow

MOST_MISSED: Final = 100
_LONGEST_FOLD: Final = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Due:
    """The state of a schedule at one moment.

    Attributes:
        tick: the scheduled time to run now (UTC), None when there is none.
        next: the first scheduled time to come (UTC); None while suspended.
        missed: number of past ticks that are not run, at most 100; 100 means "or more".
        skipped: the newest tick, if it is too late to run it: it counts as handled.
    """

    tick: datetime | None = None
    next: datetime | None = None
    missed: int = 0
    skipped: datetime | None = None


def due(schedule: Schedule, *, last: datetime | None, since: datetime, now: datetime) -> Due:
    """The schedule's due tick at `now`.

    Args:
        schedule: cron, time zone, starting deadline, suspend.
        last: the newest tick that was handled.
        since: when the schedule was created or changed; earlier ticks do not count.
        now: aware; no tick is later.

    Raises:
        InvalidManifest: cron or time zone do not parse, or the cron has no next time.
    """
    zone = _zone(schedule)
    following = _first_after(schedule, zone, now)
    if schedule.suspend:
        return Due()
    start = since if last is None else max(last, since)
    passed = list(islice(_back_from(schedule, zone, now, start), MOST_MISSED + 1))
    if not passed:
        return Due(next=following)
    newest = passed[0]
    if now - newest > schedule.starting_deadline:
        missed = min(len(passed), MOST_MISSED)
        return Due(next=following, missed=missed, skipped=newest)
    return Due(tick=newest, next=following, missed=len(passed) - 1)


def materialization(schedule: Schedule, tick: datetime, *, now: datetime) -> MaterializeRequest:
    """The request for one tick; its window ends at `now` at the latest.

    Args:
        schedule: views (all of the project when none) and the kind of window.
        tick: the scheduled time.
        now: aware.
    """
    start, end = None, min(tick, now)
    if schedule.window is not None:
        end = min(tick - schedule.window.delay, now)
        start = end - schedule.window.duration
    if not schedule.views:
        return MaterializeRequest(all_views_start=start, all_views_end=end)
    return MaterializeRequest(
        views=tuple(ViewWindow(name=view, start=start, end=end) for view in schedule.views)
    )


def _zone(schedule: Schedule) -> tzinfo:
    try:
        return UTC if schedule.time_zone == "UTC" else ZoneInfo(schedule.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidManifest(
            f"schedules[{schedule.name}].timeZone {schedule.time_zone!r} is no time zone here;"
            " write an IANA name such as Europe/Berlin, or UTC"
        ) from error


def _ticks(schedule: Schedule, start: datetime, *, back: bool = False) -> Iterator[datetime]:
    """Ticks strictly after `start`, or strictly before it, in `start`'s zone."""
    try:
        return iter(CronSim(schedule.cron, start, reverse=back))
    except CronSimError as error:
        raise InvalidManifest(
            f"schedules[{schedule.name}].cron {schedule.cron!r} never matches a time"
            f" ({error}); write minute, hour, day of month, month and day of week of days that"
            ' exist, such as "5 * * * *"'
        ) from error


def _first_after(schedule: Schedule, zone: tzinfo, moment: datetime) -> datetime:
    for tick in _ticks(schedule, moment.astimezone(zone)):
        # In the second pass of an hour that exists twice cronsim still offers ticks of the first.
        if tick.astimezone(UTC) > moment:
            return tick.astimezone(UTC)
    raise InvalidManifest(
        f"schedules[{schedule.name}].cron {schedule.cron!r} never matches a time;"
        ' write days that exist, such as "0 3 1 * *"'
    )


def _back_from(
    schedule: Schedule, zone: tzinfo, now: datetime, start: datetime
) -> Iterator[datetime]:
    """Ticks after `start` up to and including `now`, newest first."""
    local = (now.astimezone(UTC) + timedelta(seconds=1)).astimezone(zone)
    if local.fold:
        # cronsim walks fixed times in local time and cannot distinguish the second pass of an
        # hour from the first: start after it, and skip ticks in the future.
        local = (local.astimezone(UTC) + _LONGEST_FOLD).astimezone(zone)
    for tick in _ticks(schedule, local, back=True):
        moment = tick.astimezone(UTC)
        if moment <= start:
            return
        if moment <= now:
            yield moment
