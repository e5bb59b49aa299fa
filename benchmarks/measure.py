"""Pairs of measurements taken in turn, so that what disturbs one side disturbs the other."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Size:
    """How large and how often; every benchmark takes one.

    Attributes:
        pairs: measured pairs, behind one that warms up.
        quick: as small as makes sense: to see that it runs, not how fast.
    """

    pairs: int = 10
    quick: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was measured.
        ours: measurements in `unit`.
        floor: measurements of the baseline, pair by pair, or one that stands for all; empty where
            there is nothing to compare with.
        against: what the baseline is.
        unit: ``s``, ``MB`` (10⁶ bytes), ``MiB``, or what is counted.
        goal: the largest ratio that is fine, or None.
        limit: the largest value that is fine, or None.
    """

    name: str
    ours: Sequence[float]
    floor: Sequence[float] = ()
    against: str = ""
    unit: str = "s"
    goal: float | None = None
    limit: float | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours by floor, pair by pair."""
        if not self.floor:
            return []
        floor = self.floor if len(self.floor) == len(self.ours) else [median(self.floor)]
        floor = list(floor) * (len(self.ours) // len(floor))
        return [mine / base for mine, base in zip(self.ours, floor, strict=True)]


def in_turn(
    size: Size, floor: Callable[[], Result], ours: Callable[[], Result]
) -> tuple[list[Result], list[Result]]:
    """Floor, ours, floor, ours, …, after a pair that does not count."""
    floor(), ours()
    taken = [(floor(), ours()) for _ in range(size.pairs)]
    return [pair[0] for pair in taken], [pair[1] for pair in taken]


def seconds(work: Callable[[], object], repeat: int = 1) -> float:
    """Wall seconds of one call, as the mean of `repeat`; garbage of earlier work is gone first."""
    gc.collect()
    started = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - started) / repeat


def timed_in_turn(
    size: Size, floor: Callable[[], object], ours: Callable[[], object], repeat: int = 1
) -> tuple[list[float], list[float]]:
    """`in_turn` of two functions in this process, in seconds."""
    return in_turn(size, lambda: seconds(floor, repeat), lambda: seconds(ours, repeat))
