"""Kubernetes' MicroTime, the format of times in Leases and Events."""

from datetime import UTC, datetime


def micro_time(moment: datetime) -> str:
    """An aware moment as ``2026-11-26T03:14:48.123456Z``: always UTC, always microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
