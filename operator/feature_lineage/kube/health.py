"""`/healthz`: proof that the event loop runs, not just that a port answers.

The probe is answered by the metrics server's own thread, which goes on when the loop is stuck; so
it looks at when the loop last did something.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

BEAT_SECONDS: Final = 1.0
LIMIT_SECONDS: Final = 15.0


class Heartbeat:
    """A task of the event loop that beats, and a check for other threads.

    Args:
        limit: seconds without a beat after which the loop counts as stuck; a loop that never
            starts to beat counts from the construction.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self, limit: float = LIMIT_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._last = monotonic()

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._last = self._monotonic()
            await asyncio.sleep(BEAT_SECONDS)

    def check(self) -> str:
        """What is wrong, "" when nothing is; for any thread."""
        silent = self._monotonic() - self._last
        return f"the event loop has not run for {silent:.0f} s" if silent > self._limit else ""
