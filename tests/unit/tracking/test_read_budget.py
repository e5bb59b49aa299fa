"""All answers that are being read share one limit; the largest is given up."""

import tracemalloc
from contextlib import ExitStack, suppress

import pytest

from feature_lineage.tracking.read_budget import ReadBudget
from feature_lineage.untrusted import TooLarge


def test_an_answer_within_its_limit_is_whole() -> None:
    with ReadBudget(100).body(10) as body:
        body.append(b"12345")
        body.append(b"67890")

        assert body.content() == b"1234567890"


def test_an_answer_above_its_limit_is_given_up() -> None:
    with ReadBudget(100).body(10) as body:
        body.append(b"1234567890")

        with pytest.raises(TooLarge, match="more than 10 bytes"):
            body.append(b"1")
        assert body.size == 0


def test_the_largest_answer_makes_room_for_the_small_ones() -> None:
    budget = ReadBudget(100)
    with budget.body(100) as large, budget.body(100) as small:
        large.append(b"x" * 90)
        small.append(b"y" * 20)

        assert small.content() == b"y" * 20
        with pytest.raises(TooLarge, match="it had 90 bytes and was the largest"):
            large.append(b"x")


def test_an_answer_that_was_given_up_at_its_end_is_not_cut() -> None:
    budget = ReadBudget(100)
    with budget.body(100) as large, budget.body(100) as small:
        large.append(b"x" * 90)
        small.append(b"y" * 20)

        with pytest.raises(TooLarge, match="was the largest"):
            large.content()


def test_a_hundred_slow_answers_stay_within_the_budget() -> None:
    budget = ReadBudget(1000)
    with ExitStack() as stack:
        mine, *others = [stack.enter_context(budget.body(900)) for _ in range(101)]
        for _ in range(10):
            for other in others:
                with suppress(TooLarge):
                    other.append(b"x" * 50)
                assert sum(each.size for each in (mine, *others)) <= 1000
            mine.append(b"y")

        assert mine.content() == b"y" * 10


def test_an_answer_that_was_given_up_takes_no_memory() -> None:
    budget = ReadBudget(2_000_000)
    tracemalloc.start()
    try:
        with budget.body(2_000_000) as large, budget.body(2_000_000) as small:
            large.append(bytes(1_500_000))
            small.append(bytes(600_000))
            left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert left < 700_000


def test_an_answer_that_ended_does_not_count() -> None:
    budget = ReadBudget(100)
    with budget.body(100) as first:
        first.append(b"x" * 80)
    with budget.body(100) as second:
        second.append(b"y" * 90)

        assert len(second.content()) == 90
