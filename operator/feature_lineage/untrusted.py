"""Reads text that somebody else wrote: its cost is known before an object is made of it.

Reports of jobs, registry snapshots, answers of MLflow and artifacts of runs are untrusted. 60 kB of
gzip may hold a text whose objects take more memory than the operator has. So a text is decompressed
with a limit, its objects' memory is estimated from the text alone, and only then it is parsed. A
parse is synchronous, in the event loop or in the one thread of `large_parses`, so at most two run
at once.
"""

import re
import zlib
from collections.abc import Iterator
from itertools import accumulate
from typing import Annotated, Any, Final, TypeVar

from pydantic import FailFast, StringConstraints
from pydantic_core import from_json

MAX_PARSE_BYTES: Final = 64 * 1024 * 1024
"""Memory of one parse, as `parse_bytes` estimates it."""
PIECE_BYTES: Final = 256 * 1024
"""What is decompressed at a time of an answer that arrives in pieces."""
MAX_DEPTH: Final = 64
"""Levels of objects and arrays; a registry snapshot has about ten."""

_BASE_BYTES: Final = 4096
_OBJECT_BYTES: Final = 240
_ARRAY_BYTES: Final = 96
_VALUE_BYTES: Final = 170
_ASCII_COPIES: Final = 2
_WIDE_COPIES: Final = 8
"""Copies of the text and its strings while it is parsed; one astral character makes all wide."""

_STRING: Final = re.compile(rb'"[^"]*"?')
_CONTENT: Final = bytes(set(range(256)) - set(b'[{]},"'))
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_INCOMPLETE: Final = "it is truncated, or has trailing bytes"

T = TypeVar("T")
Many = Annotated[tuple[T, ...], FailFast()]
"""A sequence in which pydantic stops at the first error: a million errors take a gigabyte."""
Name = Annotated[str, StringConstraints(max_length=1000)]
"""The name of something, its kind, version or digest."""


class TooLarge(ValueError):
    """The text is larger than anything legitimate; it was not parsed."""


class Inflater:
    """Decompresses gzip that arrives in pieces."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """What a further piece decompresses to, at most `PIECE_BYTES` at a time.

        Raises:
            ValueError: the bytes are not gzip, or continue after its end.
        """
        while True:
            text = self.take(packed, PIECE_BYTES)
            yield text
            packed = self._inflater.unconsumed_tail
            if not packed and len(text) < PIECE_BYTES:
                return

    def take(self, packed: bytes, most: int) -> bytes:
        """The next `most` bytes at most; raises as `feed` does."""
        try:
            text = self._inflater.decompress(packed, most)
        except zlib.error as error:
            raise ValueError(f"it is not gzip: {error}") from error
        if self._inflater.unused_data:  # zlib keeps these bytes, however many follow
            raise ValueError(_INCOMPLETE)
        return text

    def finish(self) -> None:
        """Check that the last piece was the last one.

        Raises:
            ValueError: the gzip has not ended.
        """
        if not self._inflater.eof:
            raise ValueError(_INCOMPLETE)


def inflate(packed: bytes, most: int) -> bytes:
    """Decompress gzip, at most `most` bytes of it.

    Raises:
        TooLarge: the text has more bytes.
        ValueError: the bytes are not gzip, are truncated, or continue after its end.
    """
    inflater = Inflater()
    text = inflater.take(packed, most + 1)
    if len(text) > most:
        raise TooLarge(f"it has more than {most} bytes when decompressed")
    inflater.finish()
    return text


def parse_bytes(text: bytes) -> int:
    """Upper bound of the memory that parsing a JSON text takes, in bytes.

    Measured for CPython's `json`, and not less than pydantic's parser takes: 64 bytes for an empty
    object, up to 190 for one with a key, 56 for an empty array, 88 for one with a value, 8 for the
    place in a container, and up to 160 for a further key with its value while a dictionary grows.
    Brackets and commas in strings count, too.
    """
    return _parse_bytes(text, _marks(text))


def _parse_bytes(text: bytes, marks: bytes) -> int:
    copies = _ASCII_COPIES if text.isascii() else _WIDE_COPIES
    return (
        _BASE_BYTES
        + copies * len(text)
        + _OBJECT_BYTES * marks.count(b"{")
        + _ARRAY_BYTES * marks.count(b"[")
        + _VALUE_BYTES * marks.count(b",")
    )


def check_json(text: bytes, most: int = MAX_PARSE_BYTES) -> None:
    """Check that a JSON text can be parsed within limits. Whether it is JSON is not checked.

    Raises:
        TooLarge: the parse would take more than `most` bytes, or the text is nested deeper than
            `MAX_DEPTH`.
    """
    marks = _marks(text)
    size = _parse_bytes(text, marks)
    if size > most:
        raise TooLarge(
            f"{len(text)} bytes of JSON would take {_mib(size)} MiB of memory; at most {_mib(most)}"
        )
    if _depth(marks) > MAX_DEPTH:
        raise TooLarge(f"the JSON is nested deeper than {MAX_DEPTH} levels")


def parse_json(text: bytes, most: int = MAX_PARSE_BYTES) -> Any:
    """The value of a JSON text.

    Raises:
        TooLarge: see `check_json`.
        ValueError: the text is not JSON in UTF-8, or has half a surrogate pair, which no text of
            an API server or a registry can have.
    """
    check_json(text, most)
    return from_json(text, cache_strings="keys")


def _marks(text: bytes) -> bytes:
    """Brackets, commas and quotes of a JSON text, without escaped quotes."""
    # Not by a pattern: `re.sub` makes an object of each part between two escapes.
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.translate(None, _CONTENT)


def _depth(marks: bytes) -> int:
    """Levels of a JSON text. Nearly all of it goes without a loop in Python."""
    # Two quotes side by side are a string without brackets, or the border of two strings.
    brackets = _STRING.sub(b"", marks.translate(None, b",").replace(b'""', b""))
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _mib(size: int) -> int:
    return -(-size // 1024**2)
