"""Computes retry delays: 30 s, doubling up to 10 min, with jitter.

The jitter is derived from the operation id and the attempt, so a restarted operator computes the
same time without stored state.
"""

import hashlib
from datetime import timedelta
from typing import Final

SHORTEST: Final = timedelta(seconds=30)
LONGEST: Final = timedelta(minutes=10)
_JITTER: Final = 0.25
_LAST_DOUBLING: Final = 4  # 30 s * 2^4 * (1 + jitter) = 10 min


def delay(operation_id: str, attempt: int) -> timedelta:
    """How long to wait after this attempt (1 is the first) failed: 30 s to 10 min."""
    doublings = min(max(attempt, 1) - 1, _LAST_DOUBLING)
    base = SHORTEST * (1 << doublings)
    return base * (1 + _JITTER * _fraction(f"{operation_id}/{attempt}"))


def _fraction(seed: str) -> float:
    """Between 0 and 1, the same for the same seed."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6], "big") / 2**48
