"""Which of a project's operations goes first: one writing job at a time.

Deleting and applying come before all else. Behind them, work is patient for an hour: fresh ticks go
before backfill chunks, but what has waited longer than that waits for nothing younger, so neither a
tick starves behind a long backfill nor a backfill behind a schedule that never rests.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

PATIENCE: Final = timedelta(hours=1)


class Work(IntEnum):
    """What wants to run, the most urgent first."""

    DELETE = 0
    APPLY = 1
    SCHEDULED = 2
    BACKFILL = 3
    OBSERVE = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """Work that could start now.

    Attributes:
        work: its kind.
        key: what it is for: a schedule, a backfill, a revision.
        since: since when it could have started: the tick, or the end of the chunk before.
    """

    work: Work
    key: str
    since: datetime


def choose_next(
    candidates: Iterable[Candidate], *, running: bool, now: datetime
) -> Candidate | None:
    """The one to start; None while another runs, or when there is nothing to do."""
    if running:
        return None
    return min(candidates, key=lambda candidate: _urgency(candidate, now), default=None)


def _urgency(candidate: Candidate, now: datetime) -> tuple[int, datetime, int, str]:
    rank = candidate.work
    if rank > Work.SCHEDULED and now - candidate.since > PATIENCE:
        rank = Work.SCHEDULED
    return rank, candidate.since, candidate.work, candidate.key
