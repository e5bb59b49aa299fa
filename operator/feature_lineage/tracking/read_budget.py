"""The bodies of all answers that are being read at once, within one limit.

One limit per answer is not enough: many servers may answer at the same time, slowly, and each with
an answer just below that limit. So all answers share a budget. Nobody waits for it: when it is used
up, the largest answer is given up. Small answers therefore always arrive, and whoever asked for the
large one asks for a smaller page.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from feature_lineage.untrusted import TooLarge

MAX_BODIES_BYTES: Final = 64 * 1024 * 1024


class Body:
    """One answer, as far as it has arrived.

    Args:
        most: limit of this answer, in bytes.
    """

    def __init__(self, budget: "ReadBudget", most: int) -> None:
        self._budget = budget
        self._most = most
        self._pieces: list[bytes] = []
        self._given_up = ""
        self.size = 0

    def append(self, piece: bytes) -> None:
        """Keep a further piece.

        Raises:
            TooLarge: the answer exceeds its limit, or was given up for others.
        """
        self.size += len(piece)
        if self.size > self._most:
            self.give_up(f"it has more than {self._most} bytes")
        else:
            self._pieces.append(piece)
            self._budget.make_room()
        if self._given_up:
            raise TooLarge(self._given_up)

    def give_up(self, why: str) -> None:
        """Free the memory; the reader learns it with the next piece."""
        self._pieces.clear()
        self.size = 0
        self._given_up = why

    def content(self) -> bytes:
        """The whole answer.

        Raises:
            TooLarge: the answer was given up for others.
        """
        if self._given_up:
            raise TooLarge(self._given_up)
        return b"".join(self._pieces)


class ReadBudget:
    """The answers that are being read.

    Args:
        most: bytes of all of them together.
    """

    def __init__(self, most: int = MAX_BODIES_BYTES) -> None:
        self._most = most
        self._open: set[Body] = set()

    @contextmanager
    def body(self, most: int) -> Iterator[Body]:
        """An answer of at most `most` bytes, which counts until the end of the block."""
        body = Body(self, most)
        self._open.add(body)
        try:
            yield body
        finally:
            self._open.discard(body)

    def make_room(self) -> None:
        """Give up the largest answers until the others are within the budget."""
        while sum(body.size for body in self._open) > self._most:
            largest = max(self._open, key=lambda body: body.size)
            largest.give_up(
                f"it had {largest.size} bytes and was the largest of all answers that were being"
                f" read, which together had more than {self._most} bytes"
            )


ALL_ANSWERS: Final = ReadBudget()
"""Of this process."""
