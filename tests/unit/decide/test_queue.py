"""One writing job per project: who goes first, and that nobody waits for ever."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.decide.project.queue import PATIENCE, Candidate, Work, choose_next

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def waiting(work: Work, minutes: float, key: str = "") -> Candidate:
    return Candidate(work, key or work.name.lower(), NOW - timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        pytest.param([], None, id="nothing to do"),
        pytest.param(
            [waiting(Work.APPLY, 30), waiting(Work.DELETE, 1)],
            "delete",
            id="deleting goes before an apply that waited longer",
        ),
        pytest.param(
            [waiting(Work.SCHEDULED, 600), waiting(Work.APPLY, 0)],
            "apply",
            id="an apply goes before a tick that waited ten hours",
        ),
        pytest.param(
            [waiting(Work.BACKFILL, 59), waiting(Work.SCHEDULED, 0)],
            "scheduled",
            id="a fresh tick goes before a backfill chunk",
        ),
        pytest.param(
            [waiting(Work.OBSERVE, 59), waiting(Work.BACKFILL, 0)],
            "backfill",
            id="a backfill chunk goes before looking at the registry",
        ),
        pytest.param(
            [waiting(Work.BACKFILL, 61), waiting(Work.SCHEDULED, 0)],
            "backfill",
            id="a backfill that waited more than an hour goes before a fresh tick",
        ),
        pytest.param(
            [waiting(Work.BACKFILL, 61), waiting(Work.SCHEDULED, 62)],
            "scheduled",
            id="a tick that waited longer than an old backfill goes first",
        ),
        pytest.param(
            [waiting(Work.SCHEDULED, 1, "hourly"), waiting(Work.SCHEDULED, 2, "daily")],
            "daily",
            id="of two ticks the older goes first",
        ),
    ],
)
def test_choice(candidates: list[Candidate], expected: str | None) -> None:
    chosen = choose_next(candidates, running=False, now=NOW)

    assert expected == (chosen.key if chosen else None)


def test_nothing_starts_while_a_job_runs() -> None:
    assert choose_next([waiting(Work.DELETE, 5)], running=True, now=NOW) is None


candidates = st.builds(
    Candidate,
    st.sampled_from(Work),
    st.sampled_from("abc"),
    st.integers(0, 300).map(lambda minutes: NOW - timedelta(minutes=minutes)),
)


@given(st.lists(candidates, min_size=1), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_candidates(
    found: list[Candidate], random
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)

    chosen = choose_next(found, running=False, now=NOW)

    assert chosen == choose_next(shuffled, running=False, now=NOW)


@given(st.lists(candidates, min_size=1))
def test_what_waited_an_hour_waits_for_nothing_younger(found: list[Candidate]) -> None:
    chosen = choose_next(found, running=False, now=NOW)
    assert chosen is not None

    if chosen.work > Work.APPLY:
        old = [c.since for c in found if NOW - c.since > PATIENCE]
        assert not old or chosen.since <= min(old)


def test_neither_minutely_ticks_nor_a_long_backfill_starve_the_other() -> None:
    """Simulated: a tick each 5 minutes, jobs of 6 minutes, and a backfill of 20 chunks."""
    now, handled, backfill_since, chunks, ticks = NOW, NOW, NOW, 0, []
    while now < NOW + timedelta(hours=24):
        due = [Candidate(Work.SCHEDULED, "tick", handled + timedelta(minutes=5))]
        work = [c for c in due if c.since <= now]
        work.append(Candidate(Work.BACKFILL, "backfill", backfill_since))
        chosen = choose_next(work, running=False, now=now)
        assert chosen is not None
        started, now = now, now + timedelta(minutes=6)
        if chosen.work is Work.BACKFILL:
            chunks, backfill_since = chunks + 1, now
        else:
            ticks.append(started - chosen.since)
            handled = NOW + timedelta(minutes=5) * ((started - NOW) // timedelta(minutes=5))

    assert chunks >= 20
    assert max(ticks) <= timedelta(minutes=12)
