"""Which operation of a lane starts first; none waits without end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.api.enums import OperationKind
from feature_lineage.decide.project.due_operation import PATIENCE, DueOperation, most_urgent
from feature_lineage.operations.kinds import KINDS, Lane

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


DELETE, APPLY = OperationKind.DELETE, OperationKind.APPLY
TICK, CHUNK = OperationKind.MATERIALIZE, OperationKind.BACKFILL


def waiting(kind: OperationKind, minutes: float, schedule: str | None = None) -> DueOperation:
    return DueOperation(kind, NOW - timedelta(minutes=minutes), schedule=schedule)


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        pytest.param([], None, id="nothing to do"),
        pytest.param(
            [waiting(APPLY, 30), waiting(DELETE, 1)],
            DELETE,
            id="deleting goes before an apply that waited longer",
        ),
        pytest.param(
            [waiting(TICK, 600), waiting(APPLY, 0)],
            APPLY,
            id="an apply goes before a tick that waited ten hours",
        ),
        pytest.param(
            [waiting(CHUNK, 59), waiting(TICK, 0)],
            TICK,
            id="a fresh tick goes before a backfill chunk",
        ),
        pytest.param(
            [waiting(CHUNK, 61), waiting(TICK, 0)],
            CHUNK,
            id="a backfill that waited more than an hour goes before a fresh tick",
        ),
        pytest.param(
            [waiting(CHUNK, 61), waiting(TICK, 62)],
            TICK,
            id="a tick that waited longer than an old backfill goes first",
        ),
        pytest.param(
            [waiting(TICK, 1, "hourly"), waiting(TICK, 2, "daily")],
            "daily",
            id="of two ticks the older goes first",
        ),
    ],
)
def test_choice(due: list[DueOperation], expected: object) -> None:
    chosen = most_urgent(due, NOW)

    assert expected == ((chosen.schedule or chosen.kind) if chosen else None)


dues = st.builds(
    DueOperation,
    st.sampled_from([kind for kind, traits in KINDS.items() if traits.lane is Lane.WRITING]),
    st.integers(0, 300).map(lambda minutes: NOW - timedelta(minutes=minutes)),
)


@given(st.lists(dues, min_size=1), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_what_is_due(
    found: list[DueOperation], random
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)

    chosen = most_urgent(found, NOW)

    again = most_urgent(shuffled, NOW)
    assert chosen is not None
    assert again is not None
    assert (chosen.kind, chosen.since) == (again.kind, again.since)


@given(st.lists(dues, min_size=1))
def test_what_waited_an_hour_waits_for_nothing_younger(found: list[DueOperation]) -> None:
    chosen = most_urgent(found, NOW)
    assert chosen is not None

    if KINDS[chosen.kind].priority > KINDS[APPLY].priority:
        old = [c.since for c in found if NOW - c.since > PATIENCE]
        assert not old or chosen.since <= min(old)


def test_ticks_and_backfills_do_not_starve_each_other() -> None:
    """Simulated: a tick each 5 minutes, jobs of 6 minutes, and a backfill of 20 chunks."""
    now, handled, backfill_since, chunks, ticks = NOW, NOW, NOW, 0, []
    while now < NOW + timedelta(hours=24):
        due = [DueOperation(TICK, handled + timedelta(minutes=5))]
        work = [c for c in due if c.since <= now]
        work.append(DueOperation(CHUNK, backfill_since))
        chosen = most_urgent(work, now)
        assert chosen is not None
        started, now = now, now + timedelta(minutes=6)
        if chosen.kind is CHUNK:
            chunks, backfill_since = chunks + 1, now
        else:
            ticks.append(started - chosen.since)
            handled = NOW + timedelta(minutes=5) * ((started - NOW) // timedelta(minutes=5))

    assert chunks >= 20
    assert max(ticks) <= timedelta(minutes=12)
