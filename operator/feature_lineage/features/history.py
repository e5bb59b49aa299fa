"""Which registry stood when: the timeline that gives a training run its baseline."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class SnapshotRecord:
    """From `at` on, until the next record, the registry had this digest.

    Attributes:
        at: when the apply that made it finished, or when it was first seen (aware).
        digest: of the `RegistrySnapshot`.
        revision: commit or tree the apply came from, "" when somebody else applied.
        seen_until: the last moment it was seen unchanged; ``None``: never since `at`.
    """

    at: datetime
    digest: str
    revision: str = ""
    seen_until: datetime | None = field(default=None, compare=False)

    @property
    def last_seen(self) -> datetime:
        return self.at if self.seen_until is None else max(self.at, self.seen_until)

    def seen_again(self, record: "SnapshotRecord") -> "SnapshotRecord":
        """The same digest was put again: it stood at least until then."""
        known = replace(self, revision=self.revision or record.revision)
        if record.last_seen <= self.last_seen:
            return known
        return replace(known, seen_until=record.last_seen)


def standing_at(history: Iterable[SnapshotRecord], moment: datetime) -> SnapshotRecord | None:
    """The record in force at `moment`; None when history does not reach back that far."""
    return max((record for record in history if record.at <= moment), default=None)


def following(history: Iterable[SnapshotRecord], record: SnapshotRecord) -> SnapshotRecord | None:
    """The record that came after; None for the newest."""
    return min((later for later in history if later.at > record.at), default=None)
