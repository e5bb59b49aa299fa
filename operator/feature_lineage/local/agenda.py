"""What to look at next, and when: one entry a resource, the earliest first."""

import asyncio
from collections.abc import Iterable
from datetime import datetime

from feature_lineage.decide.facts import Key


class Agenda:
    """Due times by key; anyone may wake a key, and waiting ends when something is due."""

    def __init__(self) -> None:
        self._due: dict[Key, datetime] = {}
        self._woken: set[Key] = set()
        self._news = asyncio.Event()

    def wake(self, key: Key) -> None:
        """Look at this key at once."""
        self._woken.add(key)
        self._news.set()

    def schedule(self, key: Key, moment: datetime | None) -> None:
        """Look at this key then, unless woken before; None: only when woken."""
        if moment is None:
            self._due.pop(key, None)
        else:
            self._due[key] = moment
        self._news.set()

    def forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._due.pop(key, None)
            self._woken.discard(key)

    def woken(self) -> list[Key]:
        """Take the keys that were woken; projects before models, which follow them."""
        keys, self._woken = sorted(self._woken, key=str), set()
        return keys

    def ripen(self, now: datetime) -> None:
        """Wake the keys whose time has come."""
        for key in [key for key, moment in self._due.items() if moment <= now]:
            del self._due[key]
            self._woken.add(key)

    @property
    def idle(self) -> bool:
        """Nothing is woken."""
        return not self._woken

    async def wait(self, now: datetime | None) -> None:
        """Until a key is woken or, given the time, until the next one is due."""
        self._news.clear()
        if self._woken:
            return
        pause = None
        if now is not None and self._due:
            pause = max(0.0, (min(self._due.values()) - now).total_seconds())
        try:
            async with asyncio.timeout(pause):
                await self._news.wait()
        except TimeoutError:
            return
