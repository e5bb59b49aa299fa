"""A server for a test, and requests to this server."""

import http.client
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from aiohttp import web

from feature_lineage.http.server import HttpServer
from feature_lineage.http.stream import stream


@contextmanager
def serving(
    routes: Iterable[web.AbstractRouteDef], address: str = "127.0.0.1"
) -> Iterator[http.client.HTTPConnection]:
    """A client of a server that has these routes."""
    server = HttpServer(routes, 0, address)
    connection = http.client.HTTPConnection(address, server.port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()
        server.stop()


def streamed(pieces: Callable[[], Iterator[bytes]]) -> list[web.RouteDef]:
    """``/pieces`` streams the result of a call of `pieces`."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return await stream(request, pieces(), "text/plain")

    return [web.get("/pieces", handler)]


def get(connection: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, bytes]:
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    return response.status, response.read()


@contextmanager
def sent(connection: http.client.HTTPConnection, request: bytes) -> Iterator[socket.socket]:
    """A separate connection to the same server, on which these bytes are written."""
    with socket.create_connection((connection.host, connection.port), timeout=60) as client:
        client.sendall(request)
        yield client
