"""A circuit breaker: while a server is down, one probe at a time is sent; other calls fail at once.

Without it, every resource would wait for its own deadline, and all of them would call a server that
comes back at the same time.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from feature_lineage.errors import ServerUnavailable

MIN_PROBE_INTERVAL = timedelta(seconds=5)
MAX_PROBE_INTERVAL = timedelta(seconds=30)


class CircuitBreaker:
    """Opens at an outage; permits a probe after 5, 10, 20, then every 30 seconds.

    Args:
        now: the current time, aware; a parameter so that tests need not wait.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._error: ServerUnavailable | None = None
        self._pause = MIN_PROBE_INTERVAL
        self._since = now()

    @property
    def is_open(self) -> bool:
        """Whether the last call found the server down."""
        return self._error is not None

    def enter(self) -> None:
        """Permit a call.

        Raises:
            ServerUnavailable: the server is down and the next probe is not due.
        """
        if self._error is None:
            return
        now = self._now()
        # The lower bound: a clock that is set back must not prolong an outage.
        if self._since <= now < self._since + self._pause:
            raise ServerUnavailable(self._error.message, reason=self._error.reason)
        # This call is the probe; other calls fail until it ends or the next probe is due.
        self._since = now

    def failed(self, error: ServerUnavailable) -> None:
        """A call found the server down."""
        self._pause = (
            MIN_PROBE_INTERVAL if self._error is None else min(self._pause * 2, MAX_PROBE_INTERVAL)
        )
        self._error = error
        self._since = self._now()

    def succeeded(self) -> None:
        """A call was answered, whatever the answer."""
        self._error = None
        self._pause = MIN_PROBE_INTERVAL
