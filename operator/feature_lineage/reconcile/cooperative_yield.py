"""Yields to the event loop during long computations, so that the Lease is renewed in time."""

import asyncio
from time import monotonic
from typing import Final

SLICE_SECONDS: Final = 0.01


class CooperativeYield:
    """Limits how long a computation runs before other tasks get their turn."""

    def __init__(self) -> None:
        self._until = monotonic() + SLICE_SECONDS

    async def checkpoint(self) -> None:
        """Yield to the event loop if the last yield is more than `SLICE_SECONDS` ago."""
        if monotonic() > self._until:
            await asyncio.sleep(0)
            self._until = monotonic() + SLICE_SECONDS
