"""The system's clock."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)


class UtcClock:
    """`Clock` of both hosts."""

    def now(self) -> datetime:
        return utc_now()
