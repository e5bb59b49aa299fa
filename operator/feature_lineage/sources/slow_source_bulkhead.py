"""Questions to Git hosts that do not answer take a few workers, never all of them.

Such a question takes its whole deadline, and whoever asks is held as long. Without this the
projects of one host that is out hold all workers, and those of every other host wait.

It goes by who asks, not by hosts or addresses: a project whose last question was not answered
shares a few places with its like. So whoever gets answers never waits for those who get none,
whatever they ask.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

from feature_lineage.errors import FeatureLineageError, TransientError

LONG_SECONDS: Final = 5.0
"""A question that failed after so long was not answered."""

TOGETHER: Final = 4
"""So many who got no answer may ask at a time."""

FORGOTTEN_SECONDS: Final = 600.0
"""Who got no answer so long ago may ask as if nothing had been."""


class SlowSourceBulkhead:
    """Knows whose last question was not answered.

    Args:
        now: seconds of a clock that is never set back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._unanswered: dict[str, tuple[float, TransientError]] = {}
        self._asking: set[str] = set()

    @contextlib.contextmanager
    def asking(self, asker: str) -> Iterator[None]:
        """Around a question; where there is no place, what was said last is said again.

        Args:
            asker: asks one question at a time.

        Raises:
            TransientError: its last question was not answered, and others like it are asking.
        """
        began = self._now()
        since, last = self._unanswered.get(asker, (began, None))
        if last is not None and began - since < FORGOTTEN_SECONDS:
            if len(self._asking) >= TOGETHER:
                # The same words as of one that was asked: its condition does not flip.
                raise TransientError(last.message, reason=last.reason)
            self._asking.add(asker)
        try:
            yield
        except FeatureLineageError as error:
            self._ended(asker, began, error)
            raise
        else:
            self._ended(asker, began, None)
        finally:
            self._asking.discard(asker)

    def _ended(self, asker: str, began: float, error: FeatureLineageError | None) -> None:
        now = self._now()
        self._unanswered.pop(asker, None)
        if isinstance(error, TransientError) and now - began >= LONG_SECONDS:
            self._unanswered = {
                who: (since, last)
                for who, (since, last) in self._unanswered.items()
                if now - since < FORGOTTEN_SECONDS
            }
            self._unanswered[asker] = now, error
