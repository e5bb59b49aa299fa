"""Which key is looked at next, and when: a keyed work queue with time as a value.

A key waits once however often it is woken, and is worked on by one worker at a time. One that
failed waits longer each time, and a fresh event does not cut that short: only a change of what the
user wants (its `cause`) does. Nothing here sleeps or reads a clock.
"""

import heapq
import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
_LARGEST_EXPONENT: Final = 12  # 2**12 s is beyond the longest pause; a counter never overflows

KeyT = TypeVar("KeyT", bound=Hashable)


@dataclass(slots=True)
class _Entry:
    """What is known of one key.

    Attributes:
        due: when it is looked at next, in seconds of the caller's clock; None: when it is woken.
        ticket: of the newest place in the heap; older places are void.
        cause: what the user wants, as of the last time it was told.
        failures: in a row.
        held_until: end of the back-off; a wake before it waits for it.
        working: a worker has it.
        again: woken while a worker had it.
        changed: the cause changed while a worker had it.
        after: delayed look asked for while a worker had it.
        gone: forgotten while a worker had it.
    """

    due: float | None = None
    ticket: int = 0
    cause: object = None
    failures: int = 0
    held_until: float = 0.0
    working: bool = False
    again: bool = False
    changed: bool = False
    after: float | None = None
    gone: bool = False


class WorkQueue(Generic[KeyT]):
    """Keys and their due times.

    Args:
        jitter: factor for the pause after a failure, from [0.5, 1.0]; random by default.
    """

    def __init__(
        self,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),  # noqa: S311 - spread
    ) -> None:
        self._jitter = jitter
        self._entries: dict[KeyT, _Entry] = {}
        self._heap: list[tuple[float, int, KeyT]] = []
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._entries)

    def waiting(self, now: float) -> int:
        """How many keys are due and not worked on: the depth of the queue."""
        entries = list(self._entries.values())  # at once: a scrape asks from another thread
        return sum(e.due is not None and e.due <= now and not e.working for e in entries)

    def failing(self) -> int:
        """How many keys failed when they were last worked on."""
        return sum(entry.failures > 0 for entry in list(self._entries.values()))

    def wake(self, key: KeyT, now: float, cause: object = None) -> None:
        """Look at this key at once, or once its back-off is over.

        Args:
            cause: what the user wants; None where nothing is known of it. A new one ends a
                back-off.
        """
        entry = self._entry(key)
        if cause is not None and cause != entry.cause:
            if entry.cause is not None:
                entry.failures, entry.held_until = 0, 0.0
                entry.changed = entry.working
            entry.cause = cause
        if entry.working:
            entry.again = True
            return
        self._place(key, entry, max(now, entry.held_until))

    def look(self, key: KeyT, at: float) -> None:
        """Look at this key then, unless it is woken before; the nearest such moment counts."""
        entry = self._entry(key)
        if entry.working:
            entry.after = at if entry.after is None else min(at, entry.after)
            return
        self._place(key, entry, max(at, entry.held_until))

    def take(self, now: float) -> KeyT | None:
        """The next key that is due, now a worker's; None when there is none."""
        while self._heap and self._heap[0][0] <= now:
            _, ticket, key = heapq.heappop(self._heap)
            entry = self._entries.get(key)
            if entry is None or entry.ticket != ticket:
                continue
            entry.due, entry.working, entry.again, entry.after = None, True, False, None
            return key
        return None

    def next_due(self) -> float | None:
        """When a worker is needed next; None: when something is woken."""
        while self._heap:
            due, ticket, key = self._heap[0]
            entry = self._entries.get(key)
            if entry is not None and entry.ticket == ticket:
                return due
            heapq.heappop(self._heap)
        return None

    def done(self, key: KeyT, now: float) -> None:
        """The worker is done, and all went well."""
        entry = self._entries.get(key)
        if entry is None:
            return
        entry.failures, entry.held_until = 0, 0.0
        self._hand_back(key, entry, now)

    def failed(self, key: KeyT, now: float, longest: float = LONGEST_PAUSE) -> float:
        """The worker failed; returns the seconds until the key is looked at again.

        Args:
            longest: the pause grows up to this many seconds.
        """
        entry = self._entries.get(key)
        if entry is None:
            return 0.0
        if entry.gone:
            self._hand_back(key, entry, now)
            return 0.0
        if entry.changed:  # what failed is not what is wanted now
            entry.again = True
            self._hand_back(key, entry, now)
            return 0.0
        pause = min(longest, FIRST_PAUSE * (1 << min(entry.failures, _LARGEST_EXPONENT)))
        pause *= self._jitter()
        entry.failures += 1
        entry.held_until = now + pause
        entry.after = entry.held_until
        entry.again = False
        self._hand_back(key, entry, now)
        return pause

    def forget(self, key: KeyT) -> None:
        """The key is gone, with its failures; a worker that still has it may finish."""
        entry = self._entries.pop(key, None)
        if entry is not None and entry.working:
            # A successor of the same name must not get a second worker.
            self._entries[key] = _Entry(working=True, gone=True)

    def _entry(self, key: KeyT) -> _Entry:
        entry = self._entries.setdefault(key, _Entry())
        entry.gone = False
        return entry

    def _hand_back(self, key: KeyT, entry: _Entry, now: float) -> None:
        if entry.gone:
            del self._entries[key]
            return
        again, after = entry.again, entry.after
        entry.working, entry.again, entry.changed, entry.after = False, False, False, None
        if again:
            self._place(key, entry, max(now, entry.held_until))
        elif after is not None:
            self._place(key, entry, max(after, entry.held_until))

    def _place(self, key: KeyT, entry: _Entry, due: float) -> None:
        if entry.due is not None and entry.due <= due:
            return
        self._tickets += 1
        entry.due, entry.ticket = due, self._tickets
        heapq.heappush(self._heap, (due, self._tickets, key))
