"""Answers that are sent while they are made, so that no answer is held in memory as a whole."""

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Iterator
from typing import Final

from aiohttp import web

CLIENT_SECONDS: Final = 30.0
"""Longest wait for a client to send a request, or to read what was sent to it."""

_log = logging.getLogger(__name__)


async def stream(
    request: web.Request, pieces: Iterator[bytes], content_type: str
) -> web.StreamResponse:
    """Send the pieces as chunks, with gzip where the client accepts it.

    Each piece is made in a worker thread, after the client has read the one before. An error
    before the first piece is answered with 500. A later one closes the connection without the
    last chunk, so that no client takes a part for the whole.
    """
    response = web.StreamResponse(headers={"Content-Type": content_type})
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response.headers["Content-Encoding"] = "gzip"
        pieces = _gzipped(pieces)
    piece = await asyncio.to_thread(next, pieces, None)
    response.force_close()  # an HTTP/1.0 client takes the end of the connection for the end
    transport = request.transport
    try:
        await response.prepare(request)
        if transport is not None:
            transport.set_write_buffer_limits(0)  # a write returns once everything is sent
        while piece is not None and request.method != "HEAD":
            await _limited(response.write(piece))
            piece = await asyncio.to_thread(next, pieces, None)
        await _limited(response.write_eof())
    except (ConnectionError, TimeoutError) as error:
        cause = type(error).__name__
        _log.info("%s: the client did not read the whole answer (%s)", request.path, cause)
        if transport is not None:
            transport.abort()
    return response


async def _limited(sending: Awaitable[None]) -> None:
    async with asyncio.timeout(CLIENT_SECONDS):
        await sending


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Level 1, for speed: label values repeat so much that more levels save little."""
    packer = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
