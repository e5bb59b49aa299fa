"""A server that lists branches without end: memory and time of the operator are limited."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.cluster.pki import Authority
from tests.contract.sources.git_resolver import resolve

from feature_lineage.errors import TransientError
from feature_lineage.sources import git


def packet(line: bytes) -> bytes:
    return b"%04x" % (len(line) + 4) + line


class Endless(BaseHTTPRequestHandler):
    sent = 0
    """Bytes of the list, over all requests."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.end_headers()
        self.wfile.write(packet(b"# service=git-upload-pack\n") + b"0000")
        self.wfile.write(packet(b"a" * 40 + b" HEAD\0multi_ack\n"))
        many = b"".join(packet(b"a" * 40 + b" refs/heads/%d\n" % n) for n in range(10_000, 60_000))
        try:
            while True:
                self.wfile.write(many)
                Endless.sent += len(many)
        except OSError:
            pass  # git has ended the connection

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    """Address and CA of the server."""
    authority = Authority()
    credential = authority.issue("git", addresses=("localhost",))
    pair = tmp_path / "tls.pem"
    pair.write_bytes(credential.certificate + credential.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}/team.git", authority.certificate
    server.shutdown()
    server.server_close()


async def test_a_list_without_end_is_cut_off(
    endless: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "LS_REMOTE_SECONDS", 60.0)  # so that the memory limit ends git
    url, authority = endless
    with pytest.raises(TransientError, match="its list of refs is too long") as caught:
        await resolve(url, None, authority)

    assert caught.value.reason == "SourceUnreachable"
    assert Endless.sent < git.LS_REMOTE_BYTES  # git takes more memory than it is sent
