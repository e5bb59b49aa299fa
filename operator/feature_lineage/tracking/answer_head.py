"""The beginning of an answer that is too large to be read, without the rest of its long texts.

It says of which object the answer is. Whoever may write an object may give it a name of megabytes,
which comes before its other fields.
"""

import re
from collections.abc import Iterable
from typing import Final

HEAD_BYTES: Final = 16 * 1024
MAX_TEXT: Final = 1024
"""Bytes that are kept of one string."""
_INSIDE: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
"""The inside of a JSON string, up to its quotation mark or to a backslash without its character."""


class AnswerHead:
    """The first `HEAD_BYTES` of a JSON text that arrives in pieces; its strings are shortened."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._in_string = False
        self._length = 0
        self._open_escape = b""

    def add(self, piece: bytes) -> None:
        """Take the next piece; it costs no more than its length."""
        text, at = self._open_escape + piece, 0
        self._open_escape = b""
        while at < len(text) and len(self._kept) < HEAD_BYTES:
            at = self._inside(text, at) if self._in_string else self._outside(text, at)

    def content(self) -> bytes:
        return bytes(self._kept[:HEAD_BYTES])

    def _outside(self, text: bytes, at: int) -> int:
        end = text.find(b'"', at) + 1
        self._in_string, self._length = end > 0, 0
        self._kept += text[at : min(end or len(text), at + HEAD_BYTES)]
        return end or len(text)

    def _inside(self, text: bytes, at: int) -> int:
        found = _INSIDE.match(text, at)
        end = found.end() if found is not None else at
        self._kept += text[at : min(end, at + max(MAX_TEXT - self._length, 0))]
        self._length += end - at
        if text[end : end + 1] != b'"':
            self._open_escape = text[end:]
            return len(text)
        self._in_string = False
        self._kept += b'"'
        return end + 1


def head_of(pieces: Iterable[bytes]) -> bytes:
    """The head of an answer that has arrived."""
    head = AnswerHead()
    for piece in pieces:
        head.add(piece)
    return head.content()
