"""Long work in an event loop: others get their turn, above all who renews the lease."""

import asyncio
from time import monotonic
from typing import Final

SLICE_SECONDS: Final = 0.01


class CooperativeYield:
    """Lets go of the loop now and then."""

    def __init__(self) -> None:
        self._until = monotonic() + SLICE_SECONDS

    async def take(self) -> None:
        """Let others run if this has gone on for a while."""
        if monotonic() > self._until:
            await asyncio.sleep(0)
            self._until = monotonic() + SLICE_SECONDS
