"""When a key is due; time is a value, so the tests do not wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.workqueue.queue import INITIAL_BACKOFF, MAX_BACKOFF, WorkQueue


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue(jitter=lambda: 1.0)


def test_a_key_that_is_enqueued_often_is_taken_once(queue):
    for _ in range(3):
        queue.enqueue("a", now=0)

    assert queue.take(0) == "a"
    assert queue.take(0) is None


def test_key_enqueued_during_work_is_taken_again_later(queue):
    queue.enqueue("a", now=0)
    queue.take(0)
    queue.enqueue("a", now=1)

    assert queue.take(1) is None
    queue.done("a", now=2)
    assert queue.take(2) == "a"


def test_a_delayed_key_is_due_in_time_and_not_before(queue):
    queue.enqueue_after("a", at=30)

    assert queue.take(29.9) is None
    assert queue.next_due() == 30
    assert queue.take(30) == "a"


def test_the_earliest_of_several_delays_counts(queue):
    queue.enqueue_after("a", at=30)
    queue.enqueue_after("a", at=10)
    queue.enqueue_after("a", at=20)

    assert queue.next_due() == 10


def test_enqueue_replaces_a_delay(queue):
    queue.enqueue_after("a", at=30)
    queue.enqueue("a", now=1)

    assert queue.take(1) == "a"
    queue.done("a", now=1)
    assert queue.next_due() is None


def test_each_failure_doubles_the_pause_up_to_the_maximum(queue):
    now, backoffs = 0.0, []
    queue.enqueue("a", now)
    for _ in range(20):
        assert queue.take(now) == "a"
        backoffs.append(queue.failed("a", now))
        now += backoffs[-1]

    assert backoffs[:4] == [
        INITIAL_BACKOFF,
        2 * INITIAL_BACKOFF,
        4 * INITIAL_BACKOFF,
        8 * INITIAL_BACKOFF,
    ]
    assert backoffs[-1] == MAX_BACKOFF


def test_an_event_does_not_end_a_back_off(queue):
    queue.enqueue("a", now=0, spec_hash=1)
    queue.take(0)
    backoff = queue.failed("a", now=0)
    queue.enqueue("a", now=0.1, spec_hash=1)
    queue.enqueue("a", now=0.2)
    queue.enqueue_after("a", at=0.3)

    assert queue.take(backoff - 0.01) is None
    assert queue.take(backoff) == "a"


def test_event_during_a_failing_reconcile_keeps_the_back_off(queue):
    queue.enqueue("a", now=0, spec_hash=1)
    queue.take(0)
    queue.enqueue("a", now=0, spec_hash=1)
    backoff = queue.failed("a", now=0)

    assert queue.take(0) is None
    assert queue.next_due() == backoff


def test_an_event_ends_a_back_off_that_is_not_held(queue):
    queue.hold_backoff = False
    for event_during_failure in (False, True):
        queue.enqueue("a", now=0)
        assert queue.take(0) == "a"
        if event_during_failure:
            queue.enqueue("a", now=0)
        queue.failed("a", now=0)
        assert (queue.next_due() == 0) == event_during_failure
        queue.enqueue("a", now=0.1)
        assert queue.take(0.1) == "a"
        queue.done("a", now=0.1)


def test_a_new_spec_hash_ends_a_back_off(queue):
    queue.enqueue("a", now=0, spec_hash=1)
    for now in (0, 1, 3):
        assert queue.take(now) == "a"
        queue.failed("a", now)
    queue.enqueue("a", now=3.5, spec_hash=2)

    assert queue.take(3.5) == "a"
    assert queue.failed("a", 3.5) == INITIAL_BACKOFF


def test_user_change_during_a_failure_reconciles_at_once(queue):
    queue.enqueue("a", now=0, spec_hash=1)
    queue.take(0)
    queue.enqueue("a", now=0, spec_hash=2)
    queue.failed("a", now=0)

    assert queue.take(0) == "a"


def test_a_success_ends_the_count_of_failures(queue):
    queue.enqueue("a", now=0)
    queue.take(0)
    queue.failed("a", now=0)
    queue.take(1)
    queue.done("a", now=1)
    queue.enqueue("a", now=2)
    queue.take(2)

    assert queue.failed("a", now=2) == INITIAL_BACKOFF


def test_forgotten_key_returns_without_its_failures(queue):
    queue.enqueue("a", now=0)
    queue.take(0)
    queue.failed("a", now=0)
    queue.forget("a")

    assert queue.next_due() is None
    queue.enqueue("a", now=0.1)
    assert queue.take(0.1) == "a"


def test_worker_with_a_removed_key_is_harmless(queue):
    queue.enqueue("a", now=0)
    queue.take(0)
    queue.forget("a")
    queue.done("a", now=1)
    queue.failed("a", now=1)

    assert queue.next_due() is None
    assert len(queue) == 0


def test_recreated_key_waits_for_the_old_worker(queue):
    queue.enqueue("a", now=0)
    queue.take(0)
    queue.forget("a")
    queue.enqueue("a", now=1)

    assert queue.take(1) is None
    queue.failed("a", now=2)
    assert queue.take(2) == "a" or queue.next_due() is not None


def test_key_removed_during_work_leaves_nothing(queue):
    queue.enqueue("a", now=0)
    queue.take(0)
    queue.forget("a")
    queue.done("a", now=1)

    assert len(queue) == 0


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(("enqueue", "change", "enqueue_after", "take", "done", "failed", "forget")),
        st.sampled_from("abc"),
        st.floats(0, 50),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_no_key_has_two_workers_and_none_is_lost(actions):
    queue: WorkQueue[str] = WorkQueue(jitter=lambda: 1.0)
    now, hashes = 0.0, 0
    held: list[str] = []
    wanted: set[str] = set()
    forgotten: set[str] = set()
    for action, key, step in actions:
        now += step
        if action in ("enqueue", "change", "enqueue_after"):
            forgotten.discard(key)
        match action:
            case "enqueue":
                queue.enqueue(key, now)
                wanted.add(key)
            case "change":
                hashes += 1
                queue.enqueue(key, now, spec_hash=hashes)
                wanted.add(key)
            case "enqueue_after":
                queue.enqueue_after(key, now + step)
                wanted.add(key)
            case "take":
                taken = queue.take(now)
                assert taken not in held
                if taken is not None:
                    held.append(taken)
                    wanted.discard(taken)
            case "forget":
                queue.forget(key)
                wanted.discard(key)
                forgotten.add(key)
            case _ if key in held:
                held.remove(key)
                if action == "failed":
                    queue.failed(key, now)
                    wanted |= {key} - forgotten
                else:
                    queue.done(key, now)
    for key in held:
        queue.done(key, now)
    found = set()
    while (due := queue.next_due()) is not None:
        now = max(now, due)
        taken = queue.take(now)
        assert taken is not None
        found.add(taken)
        queue.done(taken, now)

    assert wanted <= found


def test_the_caller_limits_the_back_off(queue):
    now = 0.0
    queue.enqueue("a", now)
    for _ in range(10):
        queue.take(now)
        backoff = queue.failed("a", now, max_backoff=5.0)
        assert backoff <= 5.0
        now += backoff

    assert backoff == 5.0


def shared(places: int) -> WorkQueue[str]:
    """A queue whose keys are in the group of their first letter."""
    return WorkQueue(jitter=lambda: 1.0, group=lambda key: key[0], places=places)


def test_a_group_leaves_workers_to_others():
    queue = shared(2)
    for key in ("a1", "a2", "a3", "a4", "b1"):
        queue.enqueue(key, now=0)

    assert [queue.take(0) for _ in range(4)] == ["a1", "a2", "b1", None]
    queue.done("a1", now=1)
    assert [queue.take(1) for _ in range(2)] == ["a3", None]
    queue.failed("a2", now=1)
    assert queue.take(1) == "a4"


def test_a_key_that_was_removed_leaves_its_place():
    queue = shared(1)
    for key in ("a1", "a2", "a3"):
        queue.enqueue(key, now=0)
    assert [queue.take(0), queue.take(0)] == ["a1", None]
    queue.done("a1", now=0)
    queue.forget("a2")

    assert queue.next_due() == 0
    assert queue.take(0) == "a3"


@given(
    st.lists(
        st.tuples(st.sampled_from(["enqueue", "take", "done", "failed", "forget"]),
                  st.sampled_from(["a1", "a2", "a3", "b1", "b2"])),
        max_size=60,
    )
)  # fmt: skip
def test_no_key_of_a_group_is_lost(actions):
    queue, taken, wanted = shared(2), set(), set()
    for action, key in actions:
        match action:
            case "enqueue":
                queue.enqueue(key, now=0)
                wanted.add(key)
            case "take":
                if (found := queue.take(0)) is not None:
                    taken.add(found)
                    wanted.discard(found)
                assert sum(each[0] == "a" for each in taken) <= 2
            case "done" | "failed" if key in taken:
                taken.discard(key)
                queue.done(key, now=0) if action == "done" else queue.forget(key)
                if action == "failed":
                    queue.done(key, now=0)
                    wanted.discard(key)
            case "forget" if key not in taken:
                queue.forget(key)
                wanted.discard(key)
    for key in taken:
        queue.done(key, now=0)
    found = set()
    while (key := queue.take(0)) is not None:
        found.add(key)
        queue.done(key, now=0)
    assert found == wanted


def test_a_key_without_a_result_keeps_its_failures(queue):
    queue.enqueue("a", now=0)
    queue.take(0)
    queue.failed("a", now=0)
    queue.take(INITIAL_BACKOFF)
    queue.give_back("a", now=INITIAL_BACKOFF)

    assert queue.failing() == 1
    assert queue.take(100) is None
    queue.enqueue("a", now=100)
    assert queue.take(100) == "a"
    assert queue.failed("a", now=100) == 2 * INITIAL_BACKOFF
