"""The timeline of a registry, which gives a training run its baseline."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class SnapshotRecord:
    """The registry had this digest from `at` until the next record.

    Attributes:
        at: when the apply finished, or when the digest was first observed (aware).
        digest: of the `RegistrySnapshot`.
        revision: commit or tree that was applied, "" if another process applied.
        seen_until: when the digest was last observed; None: not since `at`.
    """

    at: datetime
    digest: str
    revision: str = ""
    seen_until: datetime | None = field(default=None, compare=False)

    @property
    def last_seen(self) -> datetime:
        return self.at if self.seen_until is None else max(self.at, self.seen_until)

    def seen_again(self, record: "SnapshotRecord") -> "SnapshotRecord":
        """This record, extended by a later record of the same digest."""
        known = replace(self, revision=self.revision or record.revision)
        if record.last_seen <= self.last_seen:
            return known
        return replace(known, seen_until=record.last_seen)


def standing_at(history: Iterable[SnapshotRecord], moment: datetime) -> SnapshotRecord | None:
    """The record in force at `moment`; None if history starts later."""
    return max((record for record in history if record.at <= moment), default=None)


def following(history: Iterable[SnapshotRecord], record: SnapshotRecord) -> SnapshotRecord | None:
    """The next record; None for the newest."""
    return min((later for later in history if later.at > record.at), default=None)


def extended(
    history: tuple[SnapshotRecord, ...], record: SnapshotRecord
) -> tuple[SnapshotRecord, ...]:
    """The history, oldest first, with one more record, or with its newest one seen again."""
    if history and history[-1].digest == record.digest:
        return (*history[:-1], history[-1].seen_again(record))
    return tuple(sorted((*history, record)))


def rows_of(history: Iterable[SnapshotRecord]) -> list[list[str | None]]:
    """``[at, digest, revision, seen_until]`` for each record, as a host keeps them in JSON."""
    return [
        [r.at.isoformat(), r.digest, r.revision, r.seen_until.isoformat() if r.seen_until else None]
        for r in history
    ]
