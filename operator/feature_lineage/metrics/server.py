"""`/metrics` over HTTP, and probes: a thread of its own, and text that leaves as it is made.

The library's server renders everything first, which at ten thousand models is more memory than all
the rest. Pieces go out as chunks: a scrape that breaks off lacks the last one, so Prometheus drops
it whole instead of taking half of it for the truth.
"""

import errno
import logging
import socket
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore, Thread
from typing import Any, Final

from prometheus_client.registry import Collector

from feature_lineage.errors import TerminalError
from feature_lineage.metrics.families import exposition
from feature_lineage.reasons import Reason

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
AT_ONCE: Final = 4
CLIENT_SECONDS: Final = 30.0

_log = logging.getLogger(__name__)


Probe = Callable[[], str]
"""What is wrong, "" when nothing is. It is called in a thread of the server and must not wait."""


def start(
    port: int,
    registry: Collector,
    address: str = "127.0.0.1",
    probes: Mapping[str, Probe] | None = None,
) -> tuple[Callable[[], None], int]:
    """Serve `/metrics` and the probes.

    Args:
        port: 0 takes a free one.
        address: "0.0.0.0" or "::" in a pod, where Prometheus comes from outside.
        probes: by path, such as ``/healthz``: 200 while nothing is wrong, else 503 and what is.

    Returns:
        What stops the server, and the port it listens on.

    Raises:
        TerminalError: the port or address cannot be had.
    """
    try:
        server = _Server(port, registry, address, probes or {})
    except (OSError, OverflowError) as error:
        used = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "the port is in use" if used else str(error)
        step = "stop what listens there, or choose another port (0 takes a free one)"
        if not used:
            step = "choose an address of this machine and a port this user may listen on"
        raise TerminalError(
            f"cannot serve metrics on {address} port {port}: {why}; {step}",
            reason=Reason.PORT_UNAVAILABLE,
        ) from error
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop, int(server.server_address[1])


class _Server(ThreadingMixIn, TCPServer):
    # Not http.server.HTTPServer: it looks up the machine's name, which can hang for seconds.
    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, port: int, registry: Collector, address: str, probes: Mapping[str, Probe]
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.registry = registry
        self.probes = probes
        self.scrapes = BoundedSemaphore(AT_ONCE)
        super().__init__((address, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's
        """What fails shows as a dropped connection to who asked; the reason is here."""
        if isinstance(sys.exc_info()[1], OSError):
            _log.info("a scrape or probe was cut short by its client", exc_info=True)
        else:
            _log.exception("a scrape failed, or a probe")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = CLIENT_SECONDS  # for each read and write: a client that hangs is let go

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        path = self.path.partition("?")[0]
        if probe := server.probes.get(path):
            wrong = probe()
            self._say(503 if wrong else 200, f"{wrong or 'ok'}\n")
        elif path != "/metrics":
            self._say(404, "metrics are at /metrics\n")
        elif not server.scrapes.acquire(blocking=False):
            self._say(503, f"{AT_ONCE} scrapes are running already; scrape less often\n")
        else:
            try:
                self._serve(exposition(server.registry))
            finally:
                server.scrapes.release()

    def _say(self, code: int, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _serve(self, pieces: Iterator[bytes]) -> None:
        gzip = "gzip" in self.headers.get("Accept-Encoding", "")
        chunked = self.request_version != "HTTP/1.0"
        first = next(pieces, b"")  # what fails before the first byte must not look like a success
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        if gzip:
            self.send_header("Content-Encoding", "gzip")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        body = _chain(first, pieces)
        for piece in _gzipped(body) if gzip else body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        _log.debug(format, *args)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Fast rather than small: label values repeat so much that level 1 gets most of it."""
    packer = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
