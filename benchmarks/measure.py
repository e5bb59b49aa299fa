"""Pairs of measurements, one after the other, so that a disturbance affects both sides."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Size:
    """The size and the number of measurements; a parameter of every benchmark.

    Attributes:
        pairs: number of measured pairs, after one that warms up.
        quick: as small as possible: to check that it runs, not how fast.
    """

    pairs: int = 10
    quick: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: name of the measurement.
        ours: measurements in `unit`.
        floor: measurements of the baseline, pair by pair, or one for all; empty if there is no
            baseline.
        against: description of the baseline.
        unit: ``s``, ``MB`` (10⁶ bytes), ``MiB``, or the counted unit.
        goal: largest acceptable ratio, or None.
        limit: largest acceptable value, or None.
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
        """Return the ratios of ours to the floor, pair by pair."""
        if not self.floor:
            return []
        floor = self.floor if len(self.floor) == len(self.ours) else [median(self.floor)]
        floor = list(floor) * (len(self.ours) // len(floor))
        return [mine / base for mine, base in zip(self.ours, floor, strict=True)]


def in_turn(
    size: Size, floor: Callable[[], Result], ours: Callable[[], Result]
) -> tuple[list[Result], list[Result]]:
    """Measure floor, ours, floor, ours, …, after a pair that does not count."""
    floor(), ours()
    taken = [(floor(), ours()) for _ in range(size.pairs)]
    return [pair[0] for pair in taken], [pair[1] for pair in taken]


def seconds(work: Callable[[], object], repeat: int = 1) -> float:
    """Return the wall seconds of one call, as the mean of `repeat`, after a garbage collection."""
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
