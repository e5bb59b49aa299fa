"""While a server is out, one call at a time finds out whether it is back; all others fail at once.

Without it every resource would wait out its own deadline against a dead server, and a server that
comes back would meet all of them together.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from feature_lineage.errors import ServerUnavailable

MIN_PROBE_INTERVAL = timedelta(seconds=5)
MAX_PROBE_INTERVAL = timedelta(seconds=30)


class CircuitBreaker:
    """Opens at an outage, lets a probe through after 5, 10, 20, then every 30 seconds.

    Args:
        now: the present, aware; injected so that tests need not wait.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._error: ServerUnavailable | None = None
        self._pause = MIN_PROBE_INTERVAL
        self._since = now()

    @property
    def is_open(self) -> bool:
        """The server was out when last asked."""
        return self._error is not None

    @property
    def probe_at(self) -> datetime | None:
        """When the next call is let through; None while the server is fine."""
        return None if self._error is None else self._since + self._pause

    def enter(self) -> None:
        """Ask to make a call.

        Raises:
            ServerUnavailable: the server is out and it is not yet time to look again.
        """
        if self._error is None:
            return
        now = self._now()
        # A clock that was set back must not prolong an outage, hence the lower bound.
        if self._since <= now < self._since + self._pause:
            raise ServerUnavailable(self._error.message, reason=self._error.reason)
        # This caller is the probe; those after it wait for the outcome or the next turn.
        self._since = now

    def failed(self, error: ServerUnavailable) -> None:
        """The call found the server out."""
        self._pause = (
            MIN_PROBE_INTERVAL if self._error is None else min(self._pause * 2, MAX_PROBE_INTERVAL)
        )
        self._error = error
        self._since = self._now()

    def succeeded(self) -> None:
        """The call found the server there, whatever it answered."""
        self._error = None
        self._pause = MIN_PROBE_INTERVAL
