"""Health probes, and the check that an event loop runs.

Probes are answered on the server's event loop. `/healthz` therefore compares the time of the last
beat of the operator's loop with the clock.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

BEAT_SECONDS: Final = 1.0
LIMIT_SECONDS: Final = 15.0

Check = Callable[[], str]
"""Return the problem, or "" if there is none. Called on the server's thread; must not block."""


def probe_routes(checks: Mapping[str, Check]) -> list[web.RouteDef]:
    """Serve checks by path, such as ``/healthz``: 200, or 503 with the problem."""

    async def probe(request: web.Request) -> web.Response:
        wrong = checks[request.path]()
        return web.Response(status=503 if wrong else 200, text=f"{wrong or 'ok'}\n")

    return [web.get(path, probe) for path in checks]


class Heartbeat:
    """A task of an event loop that notes the time once a second, and the check of that time.

    Args:
        limit: seconds without a beat after which the loop counts as stuck; counted from the
            construction for a loop that does not start.
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
        """Return the problem, or "" if there is none; for any thread."""
        silent = self._monotonic() - self._last
        return f"the event loop has not run for {silent:.0f} s" if silent > self._limit else ""
