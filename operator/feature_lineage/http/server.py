"""The HTTP server of the process: aiohttp in a thread with an event loop of its own.

Probes are answered while the operator's event loop is blocked, and a long answer does not block
that loop. The callers pass route definitions; each package defines its own.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Iterable, Sequence
from ssl import SSLContext
from threading import Thread
from typing import Final

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from feature_lineage.errors import TerminalError
from feature_lineage.http.stream import CLIENT_SECONDS
from feature_lineage.reasons import Reason

STOP_SECONDS: Final = 0.05
"""Longest wait of `HttpServer.stop` for answers that are being sent, before they are cut off."""

_log = logging.getLogger(__name__)
_log.addFilter(  # a malformed request is an error of its client, which may be any client
    lambda record: not isinstance((record.exc_info or (None, None))[1], HttpProcessingError)
)


class HttpServer:
    """Listens from construction until `stop`.

    Args:
        routes: handlers run on the event loop of the server, not on the operator's.
        port: 0 selects a free one; the attribute `port` has its number.
        address: an IPv4 or IPv6 address; "0.0.0.0" or "::" for clients outside the pod.
        middlewares: of the handlers; by default one that lists the paths if a path is unknown.
        tls: None: plain HTTP.

    Raises:
        TerminalError: `PortUnavailable`, the port or address cannot be listened on.
    """

    def __init__(
        self,
        routes: Iterable[web.AbstractRouteDef],
        port: int,
        address: str = "127.0.0.1",
        *,
        middlewares: Sequence[Middleware] | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self._app = web.Application(
            middlewares=[_list_paths] if middlewares is None else middlewares
        )
        self._tls = tls
        self._app.add_routes(routes)
        self._socket = _listen(address, port)
        self.port = int(self._socket.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        serving = self._serve()
        self._thread = Thread(target=self._loop.run_until_complete, args=(serving,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection; returns within about twice `STOP_SECONDS`."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()  # in contrast to asyncio.run, without waiting for worker threads

    async def _serve(self) -> None:
        runner = web.AppRunner(
            self._app,
            access_log=None,
            logger=_log,
            keepalive_timeout=CLIENT_SECONDS,
            shutdown_timeout=STOP_SECONDS,
        )
        await runner.setup()
        await web.SockSite(runner, self._socket, ssl_context=self._tls).start()
        await self._stopping.wait()
        await runner.cleanup()


def _listen(address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        why = str(error)
        step = "choose an address of this machine and a port this user may listen on"
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            why = "the port is in use"
            step = "stop the process that uses it, or choose another port (0 selects a free one)"
        raise TerminalError(
            f"cannot listen for HTTP on {address} port {port}: {why}; {step}",
            reason=Reason.PORT_UNAVAILABLE,
        ) from error
    return listening


@web.middleware
async def _list_paths(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not isinstance(request.match_info.http_exception, web.HTTPNotFound):
        return await handler(request)
    paths = sorted(resource.canonical for resource in request.app.router.resources())
    return web.Response(status=404, text=f"not found; paths: {', '.join(paths)}\n")
