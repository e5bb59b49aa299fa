"""A real Feast feature server (``feast serve``) on loopback, and one with faults."""

import os
import select
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.servers.mlflow import free_port

START_SECONDS = 120
READY = b"Application startup complete"


@contextmanager
def start_feature_server(repo: Path, ttl: int = 3600) -> Iterator[str]:
    """Serve the features of a repo; gives the URL, and ends the process by its id.

    Args:
        ttl: after so many seconds the server reads the registry again.
    """
    port = free_port()
    code = f"from feast.cli.cli import cli; cli(['serve', '-p', '{port}', '-r', '{ttl}'])"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=repo, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        _wait(process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.kill(process.pid, signal.SIGTERM)  # its workers end with it
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()


def _wait(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    said = b""
    while READY not in said:
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        part = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert part, f"feast serve did not start: {said.decode(errors='replace')}"
        said += part


@dataclass
class Seen:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, bytes, dict[str, str]]
"""Status, content and headers."""


@dataclass
class Faulty:
    """Address of a server, and its requests."""

    url: str
    seen: list[Seen] = field(default_factory=list)


@contextmanager
def faulty_server(
    answer: Callable[[Seen], Answer], certificate: Path | None = None
) -> Iterator[Faulty]:
    """A server in threads that answers each request by a function.

    Args:
        certificate: a file with certificate and key, for https.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            seen = Seen(f"{self.command} {self.path}", dict(self.headers.items()), body)
            there.seen.append(seen)
            status, content, headers = answer(seen)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815  names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    there = Faulty(f"http://127.0.0.1:{server.server_port}")
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        there.url = there.url.replace("http:", "https:")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
