"""Splits backfills into chunks, each materialized once.

A backfill is identified by its content: a changed backfill runs from the start, and equal content
never runs twice, even if the entry was removed and added again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from feature_lineage.api.schedules import Backfill
from feature_lineage.errors import InvalidManifest
from feature_lineage.features.snapshot import digest_of
from feature_lineage.operations.protocol import MaterializeRequest, ViewWindow


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk, run by one job: from `start` (inclusive) to `end` (exclusive), UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a backfill, in chunks."""

    done: int
    total: int

    @property
    def finished(self) -> bool:
        return self.done == self.total


def content_digest(backfill: Backfill) -> str:
    """Identity of a backfill; the order of its views does not count."""
    return digest_of(
        {
            "name": backfill.name,
            "views": sorted(set(backfill.views)),
            "start": backfill.start.astimezone(UTC).isoformat(),
            "end": backfill.end.astimezone(UTC).isoformat(),
            "chunk": backfill.chunk.total_seconds(),
        }
    )


def chunks(backfill: Backfill) -> Iterator[Chunk]:
    """All chunks in order; together they cover exactly the range."""
    through: datetime | None = None
    while (chunk := _chunk_after(backfill, through)) is not None:
        yield chunk
        through = chunk.end


def next_chunk(
    backfill: Backfill, completed_through: datetime | None, *, now: datetime
) -> Chunk | None:
    """The first chunk that is not done; None if all are done or the chunk ends in the future.

    Args:
        backfill: the range.
        completed_through: everything before is done; None at the start.
        now: aware.

    Raises:
        InvalidManifest: the range is empty or the chunk has no length.
    """
    chunk = _chunk_after(backfill, completed_through)
    return None if chunk is None or chunk.end > now else chunk


def starts_at(backfill: Backfill, completed_through: datetime | None) -> datetime | None:
    """When the first chunk that is not done may start, as `next_chunk`; None if all are done.

    Raises:
        InvalidManifest: the range is empty or the chunk has no length.
    """
    chunk = _chunk_after(backfill, completed_through)
    return None if chunk is None else chunk.end


def progress(backfill: Backfill, completed_through: datetime | None) -> Progress:
    """The number of finished chunks, and of all chunks.

    Raises:
        InvalidManifest: the range is empty or the chunk has no length.
    """
    start, end, length = _range(backfill)
    total = -((start - end) // length)
    if completed_through is None or completed_through <= start:
        return Progress(0, total)
    if completed_through >= end:
        return Progress(total, total)
    return Progress((completed_through - start) // length, total)


def materialization(backfill: Backfill, chunk: Chunk) -> MaterializeRequest:
    """The request for one chunk: the listed views, or all of the project if none are listed."""
    if not backfill.views:
        return MaterializeRequest(all_views_start=chunk.start, all_views_end=chunk.end)
    return MaterializeRequest(
        views=tuple(
            ViewWindow(name=view, start=chunk.start, end=chunk.end) for view in backfill.views
        )
    )


def _chunk_after(backfill: Backfill, completed_through: datetime | None) -> Chunk | None:
    start, end, length = _range(backfill)
    through = start if completed_through is None else completed_through.astimezone(UTC)
    through = max(through, start)
    if through >= end:
        return None
    boundary = start + length * ((through - start) // length + 1)
    return Chunk(through, min(boundary, end))


def _range(backfill: Backfill) -> tuple[datetime, datetime, timedelta]:
    start, end = backfill.start.astimezone(UTC), backfill.end.astimezone(UTC)
    if start >= end:
        raise InvalidManifest(
            f"backfills[{backfill.name}] ends at {end.isoformat()}, not after its start"
            f" {start.isoformat()}; write an end after the start"
        )
    if backfill.chunk <= timedelta(0):
        raise InvalidManifest(
            f"backfills[{backfill.name}].chunk {backfill.chunk} has no length; write one such as 1d"
        )
    return start, end, timedelta(seconds=backfill.chunk.total_seconds())
