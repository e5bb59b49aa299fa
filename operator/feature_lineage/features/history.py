"""Which registry stood when: the timeline that gives a training run its baseline."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class SnapshotRecord:
    """From `at` on, until the next record, the registry had this digest.

    Attributes:
        at: when the apply that made it finished, or when it was first seen (aware).
        digest: of the `RegistrySnapshot`.
        revision: commit or tree the apply came from, "" when somebody else applied.
    """

    at: datetime
    digest: str
    revision: str = ""


def standing_at(history: Iterable[SnapshotRecord], moment: datetime) -> SnapshotRecord | None:
    """The record in force at `moment`; None when history does not reach back that far."""
    return max((record for record in history if record.at <= moment), default=None)
