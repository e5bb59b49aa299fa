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
"""How long an answer is used in which time alone can change something."""
PACKED_FROM: Final = 1_000
"""Bytes from which an answer is kept with gzip only; nearly every client accepts gzip."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One answer.

    Attributes:
        content: the body, with gzip if `packed`.
        etag: of the body.
    """

    content: bytes
    packed: bool
    etag: str

    def response(self, request: web.Request) -> web.Response:
        """The response to a request: 304 if the client has the answer."""
        headers = {hdrs.ETAG: self.etag}
        known = {tag.strip() for tag in request.headers.get(hdrs.IF_NONE_MATCH, "").split(",")}
        if known & {self.etag, f"W/{self.etag}", "*"}:
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        body = self.content
        if self.packed and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
        elif self.packed:
            body = gzip.decompress(body)
        return web.Response(body=body, content_type="application/json", headers=headers)


def prepared(body: bytes) -> Prepared:
    """Compress an answer and compute its ETag."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if len(body) < PACKED_FROM:
        return Prepared(body, False, etag)
    return Prepared(gzip.compress(body, 5, mtime=0), True, etag)


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
        if not known[0].same(stamp) or self._monotonic() > known[1]:
            self._size -= len(known[2].content)
            return None
        self._answers[key] = known
        return known[2]

    def keep(
        self, key: Hashable, stamp: Stamp, answer: Prepared, max_age: float = MAX_AGE_SECONDS
    ) -> None:
        """Keep an answer, in place of those that were used longest ago.

        Args:
            max_age: seconds; infinite if only a change of the facts changes the answer.
        """
        replaced = self._answers.pop(key, None)
        self._size += len(answer.content) - (len(replaced[2].content) if replaced else 0)
        self._answers[key] = stamp, self._monotonic() + max_age, answer
        while self._size > MAX_BYTES or len(self._answers) > MAX_ANSWERS:
            oldest = next(iter(self._answers))
            self._size -= len(self._answers.pop(oldest)[2].content)
