"""Answers that are made once per change: the bytes, compressed, with their ETag."""

import gzip
import hashlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from feature_lineage.lineage.query import Stamp

MAX_BYTES: Final = 16 * 1024 * 1024
"""Memory of all prepared answers of one process."""
MAX_ANSWERS: Final = 1_000
MAX_AGE_SECONDS: Final = 10.0
"""Freshness changes with time alone, so that an answer is made again after this time."""
COMPRESSED_FROM: Final = 1_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """One answer.

    Attributes:
        compressed: with gzip; None if the body is short.
        etag: of the body.
    """

    body: bytes
    compressed: bytes | None
    etag: str

    @property
    def size(self) -> int:
        return len(self.body) + len(self.compressed or b"")

    def response(self, request: web.Request) -> web.Response:
        """The response to a request: 304 if the client has the answer."""
        headers = {hdrs.ETAG: self.etag}
        known = {tag.strip() for tag in request.headers.get(hdrs.IF_NONE_MATCH, "").split(",")}
        if known & {self.etag, f"W/{self.etag}", "*"}:
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        body = self.body
        if self.compressed is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            body = self.compressed
        return web.Response(body=body, content_type="application/json", headers=headers)


def prepared(body: bytes) -> Prepared:
    """Compress an answer and compute its ETag."""
    compressed = gzip.compress(body, 5, mtime=0) if len(body) >= COMPRESSED_FROM else None
    return Prepared(body, compressed, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


class PreparedAnswers:
    """The most recently used answers. Used on one loop.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._answers: dict[Hashable, tuple[Stamp, float, Prepared]] = {}
        self._size = 0

    def get(self, key: Hashable, stamp: Stamp) -> Prepared | None:
        """The answer, if the facts still have this stamp and it is not too old."""
        known = self._answers.pop(key, None)
        if known is None:
            return None
        if not known[0].same(stamp) or self._monotonic() - known[1] > MAX_AGE_SECONDS:
            self._size -= known[2].size
            return None
        self._answers[key] = known
        return known[2]

    def keep(self, key: Hashable, stamp: Stamp, answer: Prepared) -> None:
        """Keep an answer, in place of those that were used longest ago."""
        replaced = self._answers.pop(key, None)
        self._size += answer.size - (replaced[2].size if replaced is not None else 0)
        self._answers[key] = stamp, self._monotonic(), answer
        while self._size > MAX_BYTES or len(self._answers) > MAX_ANSWERS:
            oldest = next(iter(self._answers))
            self._size -= self._answers.pop(oldest)[2].size
