"""When a key is looked at next: time is a value here, and no test takes any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.workqueue.queue import FIRST_PAUSE, LONGEST_PAUSE, WorkQueue


@pytest.fixture
def backlog() -> WorkQueue[str]:
    return WorkQueue(jitter=lambda: 1.0)


def test_a_key_that_is_woken_often_is_taken_once(backlog):
    for _ in range(3):
        backlog.wake("a", now=0)

    assert backlog.take(0) == "a"
    assert backlog.take(0) is None


def test_a_key_that_is_woken_while_a_worker_has_it_is_taken_again_and_by_nobody_before(backlog):
    backlog.wake("a", now=0)
    backlog.take(0)
    backlog.wake("a", now=1)

    assert backlog.take(1) is None
    backlog.done("a", now=2)
    assert backlog.take(2) == "a"


def test_a_delayed_look_comes_in_time_and_not_before(backlog):
    backlog.look("a", at=30)

    assert backlog.take(29.9) is None
    assert backlog.next_due() == 30
    assert backlog.take(30) == "a"


def test_the_nearest_of_several_looks_counts(backlog):
    backlog.look("a", at=30)
    backlog.look("a", at=10)
    backlog.look("a", at=20)

    assert backlog.next_due() == 10


def test_a_wake_comes_before_a_delayed_look_and_takes_its_place(backlog):
    backlog.look("a", at=30)
    backlog.wake("a", now=1)

    assert backlog.take(1) == "a"
    backlog.done("a", now=1)
    assert backlog.next_due() is None


def test_each_failure_in_a_row_doubles_the_pause_up_to_the_longest(backlog):
    now, pauses = 0.0, []
    backlog.wake("a", now)
    for _ in range(20):
        assert backlog.take(now) == "a"
        pauses.append(backlog.failed("a", now))
        now += pauses[-1]

    assert pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_fresh_event_does_not_cut_a_back_off_short(backlog):
    backlog.wake("a", now=0, cause=1)
    backlog.take(0)
    pause = backlog.failed("a", now=0)
    backlog.wake("a", now=0.1, cause=1)
    backlog.wake("a", now=0.2)
    backlog.look("a", at=0.3)

    assert backlog.take(pause - 0.01) is None
    assert backlog.take(pause) == "a"


def test_an_event_during_the_failing_pass_does_not_cut_it_short_either(backlog):
    backlog.wake("a", now=0, cause=1)
    backlog.take(0)
    backlog.wake("a", now=0, cause=1)
    pause = backlog.failed("a", now=0)

    assert backlog.take(0) is None
    assert backlog.next_due() == pause


def test_what_the_user_changes_ends_a_back_off_at_once(backlog):
    backlog.wake("a", now=0, cause=1)
    for now in (0, 1, 3):
        assert backlog.take(now) == "a"
        backlog.failed("a", now)
    backlog.wake("a", now=3.5, cause=2)

    assert backlog.take(3.5) == "a"
    assert backlog.failed("a", 3.5) == FIRST_PAUSE


def test_what_the_user_changes_during_the_failing_pass_is_looked_at_at_once(backlog):
    backlog.wake("a", now=0, cause=1)
    backlog.take(0)
    backlog.wake("a", now=0, cause=2)
    backlog.failed("a", now=0)

    assert backlog.take(0) == "a"


def test_success_forgets_failures(backlog):
    backlog.wake("a", now=0)
    backlog.take(0)
    backlog.failed("a", now=0)
    backlog.take(1)
    backlog.done("a", now=1)
    backlog.wake("a", now=2)
    backlog.take(2)

    assert backlog.failed("a", now=2) == FIRST_PAUSE


def test_a_key_that_is_forgotten_comes_back_without_its_failures(backlog):
    backlog.wake("a", now=0)
    backlog.take(0)
    backlog.failed("a", now=0)
    backlog.forget("a")

    assert backlog.next_due() is None
    backlog.wake("a", now=0.1)
    assert backlog.take(0.1) == "a"


def test_a_worker_that_still_has_a_forgotten_key_disturbs_nothing(backlog):
    backlog.wake("a", now=0)
    backlog.take(0)
    backlog.forget("a")
    backlog.done("a", now=1)
    backlog.failed("a", now=1)

    assert backlog.next_due() is None
    assert len(backlog) == 0


def test_a_successor_of_a_forgotten_key_waits_for_the_worker_that_still_has_it(backlog):
    backlog.wake("a", now=0)
    backlog.take(0)
    backlog.forget("a")
    backlog.wake("a", now=1)

    assert backlog.take(1) is None
    backlog.failed("a", now=2)
    assert backlog.take(2) == "a" or backlog.next_due() is not None


def test_nothing_is_left_of_a_key_that_was_forgotten_while_a_worker_had_it(backlog):
    backlog.wake("a", now=0)
    backlog.take(0)
    backlog.forget("a")
    backlog.done("a", now=1)

    assert len(backlog) == 0


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(("wake", "change", "look", "take", "done", "failed", "forget")),
        st.sampled_from("abc"),
        st.floats(0, 50),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_whatever_happens_no_key_has_two_workers_and_none_that_is_woken_is_lost(actions):
    backlog: WorkQueue[str] = WorkQueue(jitter=lambda: 1.0)
    now, causes = 0.0, 0
    held: list[str] = []
    wanted: set[str] = set()
    forgotten: set[str] = set()
    for action, key, step in actions:
        now += step
        if action in ("wake", "change", "look"):
            forgotten.discard(key)
        match action:
            case "wake":
                backlog.wake(key, now)
                wanted.add(key)
            case "change":
                causes += 1
                backlog.wake(key, now, cause=causes)
                wanted.add(key)
            case "look":
                backlog.look(key, now + step)
                wanted.add(key)
            case "take":
                taken = backlog.take(now)
                assert taken not in held
                if taken is not None:
                    held.append(taken)
                    wanted.discard(taken)
            case "forget":
                backlog.forget(key)
                wanted.discard(key)
                forgotten.add(key)
            case _ if key in held:
                held.remove(key)
                if action == "failed":
                    backlog.failed(key, now)
                    wanted |= {key} - forgotten
                else:
                    backlog.done(key, now)
    for key in held:
        backlog.done(key, now)
    found = set()
    while (due := backlog.next_due()) is not None:
        now = max(now, due)
        taken = backlog.take(now)
        assert taken is not None
        found.add(taken)
        backlog.done(taken, now)

    assert wanted <= found


def test_the_longest_pause_is_the_callers_to_name(backlog):
    now = 0.0
    backlog.wake("a", now)
    for _ in range(10):
        backlog.take(now)
        pause = backlog.failed("a", now, longest=5.0)
        assert pause <= 5.0
        now += pause

    assert pause == 5.0
