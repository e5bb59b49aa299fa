"""Schedules: due like a CronJob, correct in daylight saving, and never before the time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given
from hypothesis import strategies as st

from feature_lineage.api.schedules import Incremental, Schedule, Window
from feature_lineage.api.types import Duration
from feature_lineage.errors import InvalidManifest
from feature_lineage.operations.schedules import MOST_MISSED, Due, due, materialization

BERLIN = ZoneInfo("Europe/Berlin")


def schedule(
    cron: str = "5 * * * *",
    *,
    zone: str = "UTC",
    deadline: str = "30m",
    suspend: bool = False,
    views: tuple[str, ...] = ("stats",),
    window: Window | None = None,
) -> Schedule:
    return Schedule(
        name="hourly",
        cron=cron,
        time_zone=zone,
        views=views,
        starting_deadline=Duration(deadline),
        suspend=suspend,
        window=window,
        incremental=Incremental() if window is None else None,
    )


def at(text: str) -> datetime:
    """A time on 2026-11-20, or any time in full."""
    return datetime.fromisoformat(text if "T" in text else f"2026-11-20T{text}+00:00")


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        pytest.param("11:05", "12:04:59", Due(next=at("12:05")), id="not due a second before"),
        pytest.param(
            "11:05", "12:05", Due(tick=at("12:05"), next=at("13:05")), id="due on the second"
        ),
        pytest.param(
            "11:05", "12:20", Due(tick=at("12:05"), next=at("13:05")), id="still due a while after"
        ),
        pytest.param("12:05", "12:20", Due(next=at("13:05")), id="not due twice"),
        pytest.param(
            "08:05",
            "12:10",
            Due(tick=at("12:05"), next=at("13:05"), missed=3),
            id="after an outage only the newest runs",
        ),
        pytest.param(
            "11:05", "12:35", Due(tick=at("12:05"), next=at("13:05")), id="due at its deadline"
        ),
        pytest.param(
            "10:05",
            "12:35:01",
            Due(next=at("13:05"), missed=2, skipped=at("12:05")),
            id="skipped when its deadline is over, and counted",
        ),
        pytest.param(None, "10:30", Due(next=at("11:05")), id="a new schedule catches nothing up"),
        pytest.param(
            None,
            "11:10",
            Due(tick=at("11:05"), next=at("12:05")),
            id="a new schedule runs at its first tick",
        ),
        pytest.param(
            "06:05",
            "11:10",
            Due(tick=at("11:05"), next=at("12:05")),
            id="ticks before the schedule was changed never were",
        ),
    ],
)
def test_due(last: str | None, now: str, expected: Due) -> None:
    since = at("10:10") if last in (None, "06:05") else at("00:00")

    found = due(schedule(), last=at(last) if last else None, since=since, now=at(now))

    assert expected == found


def test_a_suspended_schedule_asks_for_nothing() -> None:
    found = due(schedule(suspend=True), last=None, since=at("00:00"), now=at("12:00"))

    assert found == Due()


def test_a_month_of_missed_minutes_is_counted_up_to_a_hundred() -> None:
    found = due(
        schedule("* * * * *"), last=None, since=at("2026-10-20T00:00:00+00:00"), now=at("12:00")
    )

    assert found.tick == at("12:00")
    assert found.missed == MOST_MISSED == 100


def spring(text: str) -> datetime:
    """In UTC on the day Berlin goes from 2:00 CET to 3:00 CEST, at 1:00 UTC."""
    return datetime.fromisoformat(f"2026-03-29T{text}+00:00")


def autumn(text: str) -> datetime:
    """In UTC on the day Berlin goes from 3:00 CEST back to 2:00 CET, at 1:00 UTC."""
    return datetime.fromisoformat(f"2026-10-25T{text}+00:00")


@pytest.mark.parametrize(
    ("cron", "now", "tick", "following"),
    [
        pytest.param(
            "30 2 * * *", spring("00:59:59"), None, spring("01:00"),
            id="a time that does not exist comes at the next one that does",
        ),
        pytest.param(
            "30 2 * * *", spring("01:00"), spring("01:00"), spring("00:30") + timedelta(days=1),
            id="and is due then",
        ),
        pytest.param(
            "*/30 * * * *", spring("01:10"), spring("01:00"), spring("01:30"),
            id="every half hour goes on through spring",
        ),
        pytest.param(
            "30 2 * * *", autumn("00:29"), None, autumn("00:30"),
            id="a time that exists twice comes in the first pass",
        ),
        pytest.param(
            "30 2 * * *", autumn("00:45"), autumn("00:30"), autumn("01:30") + timedelta(days=1),
            id="is due in the first pass",
        ),
        pytest.param(
            "30 2 * * *", autumn("01:10"), autumn("00:30"), autumn("01:30") + timedelta(days=1),
            id="is due still when the second pass has begun",
        ),
        pytest.param(
            "30 2 * * *", autumn("01:40"), autumn("00:30"), autumn("01:30") + timedelta(days=1),
            id="and does not come again in the second pass",
        ),
        pytest.param(
            "*/30 * * * *", autumn("01:40"), autumn("01:30"), autumn("02:00"),
            id="every half hour goes on through both passes",
        ),
        pytest.param(
            "0 * * * *", autumn("01:10"), autumn("01:00"), autumn("02:00"),
            id="hourly runs in the second pass too",
        ),
    ],
)  # fmt: skip
def test_daylight_saving_in_berlin(
    cron: str, now: datetime, tick: datetime | None, following: datetime
) -> None:
    found = due(
        schedule(cron, zone="Europe/Berlin", deadline="3h"),
        last=None,
        since=now - timedelta(hours=20),
        now=now,
    )

    assert found.tick == tick
    assert found.next == following


CRONS = [
    "* * * * *",
    "*/7 * * * *",
    "5 * * * *",
    "0 */6 * * *",
    "30 2 * * *",
    "0,30 1-3 * * *",
    "15 1,2 * * MON",
    "0 0 1 * *",
    "59 23 31 12 *",
]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
moments = st.one_of(
    st.timedeltas(timedelta(days=-500), timedelta(days=500)).map(lambda d: at("12:00") + d),
    st.timedeltas(timedelta(hours=-3), timedelta(hours=5)).map(lambda d: autumn("00:00") + d),
    st.timedeltas(timedelta(hours=-3), timedelta(hours=5)).map(lambda d: spring("00:00") + d),
)


@given(
    cron=st.sampled_from(CRONS),
    zone=st.sampled_from(ZONES),
    now=moments,
    back=st.timedeltas(timedelta(0), timedelta(days=3)),
)
@example("30 2 * * *", "Europe/Berlin", autumn("01:10"), timedelta(hours=1))
def test_due_agrees_with_walking_forward_tick_by_tick(
    cron: str, zone: str, now: datetime, back: timedelta
) -> None:
    since = now - back
    walked = []
    # A day earlier, where no hour is ambiguous; then only later ticks count.
    for tick in CronSim(cron, (since - timedelta(days=1)).astimezone(ZoneInfo(zone))):
        moment = tick.astimezone(UTC)
        if moment > now:
            following = moment
            break
        if moment > since:
            walked.append(moment)

    found = due(schedule(cron, zone=zone, deadline="4d"), last=None, since=since, now=now)

    assert found.tick == (walked[-1] if walked else None)
    assert found.next == following
    assert found.missed == min(max(len(walked) - 1, 0), MOST_MISSED)


@given(
    cron=st.sampled_from(CRONS),
    zone=st.sampled_from(ZONES),
    now=moments,
    deadline=st.sampled_from(["10s", "30m", "1d"]),
)
def test_no_tick_is_ever_ahead_of_the_clock(
    cron: str, zone: str, now: datetime, deadline: str
) -> None:
    found = due(
        schedule(cron, zone=zone, deadline=deadline),
        last=None,
        since=now - timedelta(days=40),
        now=now,
    )

    assert found.next is not None
    assert found.next > now
    for tick in (found.tick, found.skipped):
        assert tick is None or tick <= now
    assert found.tick is None or now - found.tick <= Duration(deadline)


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 4,6 *"])
def test_impossible_day_is_refused_with_an_example(cron: str) -> None:
    unchecked = schedule().model_copy(update={"cron": cron})

    with pytest.raises(
        InvalidManifest, match=r'schedules\[hourly\]\.cron .*such as "5 \* \* \* \*"'
    ):
        due(unchecked, last=None, since=at("00:00"), now=at("12:00"))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "/etc/passwd", "Europe"])
def test_unknown_time_zone_is_refused_with_an_example(zone: str) -> None:
    unchecked = schedule().model_copy(update={"time_zone": zone})

    with pytest.raises(InvalidManifest, match=r"schedules\[hourly\]\.timeZone .*Europe/Berlin"):
        due(unchecked, last=None, since=at("00:00"), now=at("12:00"))


def test_incremental_window_ends_at_the_tick() -> None:
    request = materialization(schedule(views=("a", "b")), at("12:05"), now=at("12:06"))

    assert [(v.name, v.start, v.end) for v in request.views] == [
        ("a", None, at("12:05")),
        ("b", None, at("12:05")),
    ]


def test_a_window_ends_its_delay_before_the_tick() -> None:
    window = Window(duration=Duration("24h"), delay=Duration("10m"))

    request = materialization(schedule(window=window), at("12:05"), now=at("12:06"))

    (only,) = request.views
    assert only.end == at("11:55")
    assert only.start == at("11:55") - timedelta(hours=24)


def test_a_schedule_without_views_is_for_all_of_the_project() -> None:
    request = materialization(schedule(views=()), at("12:05"), now=at("12:06"))

    assert (request.views, request.all_views_start, request.all_views_end) == (
        (),
        None,
        at("12:05"),
    )


@given(
    duration=st.integers(1, 10_000),
    delay=st.integers(0, 10_000),
    late=st.timedeltas(timedelta(days=-2), timedelta(days=2)),
)
def test_no_window_reaches_into_the_future(duration: int, delay: int, late: timedelta) -> None:
    window = Window(duration=Duration(f"{duration}s"), delay=Duration(f"{delay}s"))
    now = at("12:05") + late

    (only,) = materialization(schedule(window=window), at("12:05"), now=now).views

    assert only.end <= now
    assert only.start is not None
