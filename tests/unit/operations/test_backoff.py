"""Retries: 30 s … 10 min, with jitter that a restart does not change."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.operations.backoff import LONGEST, SHORTEST, delay


@given(st.text(), st.integers(-5, 10**9))
def test_a_delay_is_between_30_seconds_and_10_minutes(operation: str, attempt: int) -> None:
    assert timedelta(seconds=30) == SHORTEST
    assert timedelta(minutes=10) == LONGEST
    assert SHORTEST <= delay(operation, attempt) <= LONGEST


@given(st.text(), st.integers(1, 5))
def test_delay_grows_with_attempts_up_to_the_cap(op: str, attempt: int) -> None:
    if attempt < 5:
        assert delay(op, attempt) < delay(op, attempt + 1)


def test_a_restart_computes_the_same_moment() -> None:
    assert delay("apply-1-abc", 2) == delay("apply-1-abc", 2)


def test_back_off_spreads_a_hundred_operations() -> None:
    delays = {delay(f"apply-{number}-abc", 9) for number in range(100)}

    assert len(delays) == 100
    assert max(delays) - min(delays) > timedelta(minutes=1)
