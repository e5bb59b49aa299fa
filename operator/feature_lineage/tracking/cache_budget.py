"""The memory of all readings of model registries together.

A limit for each listing is not enough: one tenant may name many servers of its own. So the readings
of all servers that tenants name share a budget, and those of the platform's servers another one.
When a budget is used up, the owner that uses most of it loses its largest reading: the reading is
dropped, and its next caller gets an error that says so. No other reading is affected.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from feature_lineage.models.facts import RegistryView, TrainingRun

PLATFORM_BYTES: Final = 128 * 1024 * 1024
"""17 servers of 1,000 versions with 5 kB of tags each, or one of 17,000."""
TENANTS_BYTES: Final = 64 * 1024 * 1024
"""8 servers of 1,000 versions with 5 kB of tags each."""
VERSION_BYTES: Final = 1200
"""Of a version and its run besides their tags, measured with `tracemalloc`."""


class GivenUp(Exception):
    """The reading used too much of its budget; it was dropped."""


class Share:
    """The part of a budget that one reading uses.

    Attributes:
        owner: who is accountable: a namespace, or a server of the platform.
        held: bytes of the last good reading.
        arriving: bytes of the answers of a reading in progress.
        on_given_up: called to free the reading.
    """

    def __init__(self, budget: "CacheBudget", owner: str) -> None:
        self._budget = budget
        self._why = ""
        self.owner = owner
        self.held = 0
        self.arriving = 0
        self.on_given_up: list[Callable[[], None]] = []

    @property
    def size(self) -> int:
        """The larger of both: of the answers that arrive, only a part is kept."""
        return max(self.held, self.arriving)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count the answers of MLflow in this block, in this task and those that it starts."""
        self._why = ""
        token = _READING.set(self)
        try:
            yield
        finally:
            _READING.reset(token)
            self.arriving = 0

    def grow(self, size: int) -> None:
        """Count a further answer.

        Raises:
            GivenUp: there is no room for this reading.
        """
        self.arriving += size
        self._check()

    def hold(self, size: int) -> None:
        """Count the finished reading in place of its answers and of the one before.

        Raises:
            GivenUp: there is no room for this reading.
        """
        self.held, self.arriving = size, 0
        if self._why:
            # Given up while it was put together: what is kept of it now must be freed, too.
            self.give_up(self._why)
        self._check()

    def give_up(self, why: str) -> None:
        """Drop the reading; its owner learns it with the next answer."""
        self.held = self.arriving = 0
        self._why = why
        for free in self.on_given_up:
            free()

    def close(self) -> None:
        """Count nothing any more."""
        self._budget.shares.discard(self)

    def _check(self) -> None:
        if not self._why:
            self._budget.make_room()
        if self._why:
            raise GivenUp(self._why)


class CacheBudget:
    """The readings of several servers.

    Args:
        most: bytes of all of them together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.shares: set[Share] = set()

    def share(self, owner: str) -> Share:
        """A share that counts until it is closed."""
        made = Share(self, owner)
        self.shares.add(made)
        return made

    def make_room(self) -> None:
        """Give up readings until the others are within the budget."""
        while sum(share.size for share in self.shares) > self._most:
            used: Counter[str] = Counter()
            for share in self.shares:
                used[share.owner] += share.size
            owner = max(used, key=lambda each: (used[each], each))
            largest = max(
                (share for share in self.shares if share.owner == owner),
                key=lambda share: share.size,
            )
            largest.give_up(
                f"it needs {largest.size // 1024**2} MiB of memory, and all readings together may "
                f"have {self._most // 1024**2} MiB"
            )


_READING: ContextVar[Share | None] = ContextVar("reading", default=None)


def count_answer(size: int) -> None:
    """Count an answer of MLflow for the reading in whose task it arrived, if there is one.

    Raises:
        GivenUp: there is no room for this reading.
    """
    share = _READING.get()
    if share is not None:
        share.grow(size)


def memory_of(view: RegistryView) -> int:
    """About how many bytes a view takes."""
    size = 0
    for name, versions in view.versions.items():
        size += len(name)
        for version in versions.values():
            size += VERSION_BYTES + len(version.source)
            for key, value in version.tags.items():
                size += len(key) + len(value)
    return size + sum(map(_memory_of_run, view.runs.values()))


def _memory_of_run(run: TrainingRun) -> int:
    features = sum(map(len, run.features_artifact or ()))
    return VERSION_BYTES + features + sum(len(k) + len(v) for k, v in run.tags.items())
