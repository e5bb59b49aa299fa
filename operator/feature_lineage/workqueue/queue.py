"""A keyed work queue with exponential back-off; time is a value, so nothing here reads a clock.

A key is in the queue once, however often it is enqueued, and one worker has it at a time. After a
failure a key waits, twice as long after each failure in a row. An event does not end this back-off;
a change of the key's `spec_hash` does.

Keys of one group, such as a namespace, have only some of the workers at once: however long each of
them takes, a key of another group gets a worker.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

INITIAL_BACKOFF: Final = 1.0
MAX_BACKOFF: Final = 300.0
_MAX_EXPONENT: Final = 12  # 2**12 s exceeds the longest back-off; the counter cannot overflow

KeyT = TypeVar("KeyT", bound=Hashable)


@dataclass(slots=True)
class _Entry:
    """The state of one key.

    Attributes:
        due: when a worker may take the key, in seconds of the caller's clock; None: not queued.
        ticket: ticket of the newest entry of the key in the heap; older entries are void.
        spec_hash: the newest one that the key was enqueued with.
        failures: number of failures in a row.
        backoff_until: the end of the back-off.
        processing: a worker has the key.
        dirty: enqueued while a worker had the key.
        changed: `spec_hash` changed while a worker had the key.
        after: time of a delayed enqueue while a worker had the key.
        forgotten: forgotten while a worker had the key.
    """

    due: float | None = None
    ticket: int = 0
    spec_hash: object = None
    failures: int = 0
    backoff_until: float = 0.0
    processing: bool = False
    dirty: bool = False
    changed: bool = False
    after: float | None = None
    forgotten: bool = False


class WorkQueue(Generic[KeyT]):
    """Keys and the times at which workers may take them.

    Args:
        jitter: factor of each back-off, in [0.5, 1.0]; random by default.
        group: the group of a key; its keys share places.
        places: how many keys of one group workers may have at once; None: any number.

    Attributes:
        hold_backoff: a key that is enqueued during its back-off waits for the end of the back-off.
    """

    def __init__(
        self,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),  # noqa: S311 - spread
        group: Callable[[KeyT], Hashable] = lambda _: None,
        places: int | None = None,
    ) -> None:
        self._jitter = jitter
        self._group = group
        self._places = places
        self._taken: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, list[tuple[float, int, KeyT]]] = {}
        self._entries: dict[KeyT, _Entry] = {}
        self._heap: list[tuple[float, int, KeyT]] = []
        self._tickets = 0
        self.hold_backoff = True

    def __len__(self) -> int:
        return len(self._entries)

    def depth(self, now: float) -> int:
        """How many keys are due and wait for a worker; for any thread."""
        entries = list(self._entries.values())  # a copy: a scrape calls this in another thread
        return sum(e.due is not None and e.due <= now and not e.processing for e in entries)

    def failing(self) -> int:
        """How many keys failed the last time that a worker had them; for any thread."""
        return sum(entry.failures > 0 for entry in list(self._entries.values()))

    def enqueue(self, key: KeyT, now: float, spec_hash: object = None) -> None:
        """Make a key due now, or at the end of its back-off.

        Args:
            spec_hash: changes when the user changes the spec or an annotation; a change ends a
                back-off. None: unknown.
        """
        entry = self._entry(key)
        if spec_hash is not None and spec_hash != entry.spec_hash:
            if entry.spec_hash is not None:
                entry.failures, entry.backoff_until = 0, 0.0
                entry.changed = entry.processing
            entry.spec_hash = spec_hash
        if entry.processing:
            entry.dirty = True
            return
        self._push(key, entry, self._earliest(entry, now))

    def enqueue_after(self, key: KeyT, at: float) -> None:
        """Make a key due at a time, unless the key is due before; the earliest time counts."""
        entry = self._entry(key)
        if entry.processing:
            entry.after = at if entry.after is None else min(at, entry.after)
            return
        self._push(key, entry, self._earliest(entry, at))

    def take(self, now: float) -> KeyT | None:
        """Give the next due key to a worker; None when no key is due."""
        while self._heap and self._heap[0][0] <= now:
            item = heapq.heappop(self._heap)
            key = item[2]
            group = self._group(key)
            if not self._is_current(item):
                self._admit(group)
                continue
            if self._places is not None and self._taken[group] >= self._places:
                heapq.heappush(self._waiting.setdefault(group, []), item)
                continue
            entry = self._entries[key]
            self._taken[group] += 1
            entry.due, entry.processing, entry.dirty, entry.after = None, True, False, None
            return key
        return None

    def next_due(self) -> float | None:
        """When the next key is due; None when no key is queued."""
        while self._heap:
            if self._is_current(self._heap[0]):
                return self._heap[0][0]
            self._admit(self._group(heapq.heappop(self._heap)[2]))
        return None

    def done(self, key: KeyT, now: float) -> None:
        """Take a key back from its worker after a success."""
        entry = self._entries.get(key)
        if entry is None:
            return
        entry.failures, entry.backoff_until = 0, 0.0
        self._take_back(key, entry, now)

    def give_back(self, key: KeyT, now: float) -> None:
        """Take a key back from its worker without a result; its failures in a row count on."""
        entry = self._entries.get(key)
        if entry is not None:
            self._take_back(key, entry, now)

    def failed(self, key: KeyT, now: float, max_backoff: float = MAX_BACKOFF) -> float:
        """Take a key back from its worker after a failure; returns the back-off in seconds.

        Args:
            max_backoff: the longest back-off, in seconds.
        """
        entry = self._entries.get(key)
        if entry is None:
            return 0.0
        if entry.forgotten:
            self._take_back(key, entry, now)
            return 0.0
        if entry.changed:  # the failure is of an older spec
            entry.dirty = True
            self._take_back(key, entry, now)
            return 0.0
        backoff = min(max_backoff, INITIAL_BACKOFF * (1 << min(entry.failures, _MAX_EXPONENT)))
        backoff *= self._jitter()
        entry.failures += 1
        entry.after = entry.backoff_until = now + backoff
        entry.dirty = entry.dirty and not self.hold_backoff
        self._take_back(key, entry, now)
        return backoff

    def forget(self, key: KeyT) -> None:
        """Remove a key and its failures; a worker that has the key may finish."""
        entry = self._entries.pop(key, None)
        if entry is not None and entry.processing:
            # Until then, a new object of the same name does not get a second worker.
            self._entries[key] = _Entry(processing=True, forgotten=True)

    def _entry(self, key: KeyT) -> _Entry:
        entry = self._entries.setdefault(key, _Entry())
        entry.forgotten = False
        return entry

    def _take_back(self, key: KeyT, entry: _Entry, now: float) -> None:
        group = self._group(key)
        self._taken[group] -= 1
        if not self._taken[group]:
            del self._taken[group]
        self._admit(group)
        if entry.forgotten:
            del self._entries[key]
            return
        dirty, after = entry.dirty, entry.after
        entry.processing, entry.dirty, entry.changed, entry.after = False, False, False, None
        if dirty:
            self._push(key, entry, self._earliest(entry, now))
        elif after is not None:
            self._push(key, entry, max(after, entry.backoff_until))

    def _admit(self, group: Hashable) -> None:
        """The next key that waits for a place of its group is due."""
        waiting = self._waiting.get(group, [])
        while waiting:
            item = heapq.heappop(waiting)
            if self._is_current(item):
                heapq.heappush(self._heap, item)
                break
        if not waiting:
            self._waiting.pop(group, None)

    def _is_current(self, item: tuple[float, int, KeyT]) -> bool:
        entry = self._entries.get(item[2])
        return entry is not None and entry.ticket == item[1]

    def _earliest(self, entry: _Entry, at: float) -> float:
        return max(at, entry.backoff_until) if self.hold_backoff else at

    def _push(self, key: KeyT, entry: _Entry, due: float) -> None:
        if entry.due is not None and entry.due <= due:
            return
        self._tickets += 1
        entry.due, entry.ticket = due, self._tickets
        heapq.heappush(self._heap, (due, self._tickets, key))
