"""The system's clock."""

from datetime import UTC, datetime


class UtcClock:
    """`Clock` of both hosts."""

    def now(self) -> datetime:
        return datetime.now(UTC)
