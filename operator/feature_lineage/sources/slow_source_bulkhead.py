"""A bulkhead: the projects whose Git host timed out share a few slots.

A request that times out occupies a worker until its deadline. Without a limit, the projects of one
host that is down occupy all workers, and the projects of every other host wait.

The limit applies to projects, not to hosts or addresses: only a project whose last request timed
out needs a slot. A project whose host answers therefore never waits for one whose host does not.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

from feature_lineage.errors import FeatureLineageError, TransientError

SLOW_SECONDS: Final = 5.0
"""A request that failed after this time or later counts as timed out."""

SLOTS: Final = 4
"""Concurrent requests of projects whose last request timed out."""

RESET_SECONDS: Final = 600.0
"""A project whose last request timed out this long ago needs no slot."""


class SlowSourceBulkhead:
    """Limits the concurrent requests of projects whose last request timed out.

    Args:
        now: seconds of a monotonic clock.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._timed_out: dict[str, tuple[float, TransientError]] = {}
        self._occupied: set[str] = set()

    @contextlib.contextmanager
    def slot(self, project: str) -> Iterator[None]:
        """A context for one request of a project; its result decides about the next request.

        Args:
            project: name of the project, which sends one request at a time.

        Raises:
            TransientError: the last request timed out, and no slot is free.
        """
        began = self._now()
        since, last = self._timed_out.get(project, (began, None))
        if last is not None and began - since < RESET_SECONDS:
            if len(self._occupied) >= SLOTS:
                # The same message as that of the last request, so that the condition stays.
                raise TransientError(last.message, reason=last.reason)
            self._occupied.add(project)
        try:
            yield
        except FeatureLineageError as error:
            self._finish(project, began, error)
            raise
        else:
            self._finish(project, began, None)
        finally:
            self._occupied.discard(project)

    def _finish(self, project: str, began: float, error: FeatureLineageError | None) -> None:
        now = self._now()
        self._timed_out.pop(project, None)
        if isinstance(error, TransientError) and now - began >= SLOW_SECONDS:
            self._timed_out = {
                other: (since, last)
                for other, (since, last) in self._timed_out.items()
                if now - since < RESET_SECONDS
            }
            self._timed_out[project] = now, error
