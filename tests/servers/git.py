"""A Git server that asks for a password: smart HTTP over TLS, by Git's own ``http-backend``."""

import base64
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.cluster.pki import Authority


class GitServer:
    """Serves the bare repositories of a folder at https://localhost:PORT/NAME.git.

    Args:
        folder: where repositories are; made where missing.
        login: ``user:password`` that is asked for; "" for nobody.

    Attributes:
        authority: certificate (PEM) of the server's authority, which nobody else trusts.
        asked: number of requests that were let in.
    """

    def __init__(self, folder: Path, login: str = "") -> None:
        self.folder = folder
        self.login = login
        self.asked = 0
        authority = Authority()
        self.authority = authority.certificate
        credential = authority.issue("git", addresses=("localhost", "127.0.0.1"))
        folder.mkdir(parents=True, exist_ok=True)
        pair = folder / "tls.pem"
        pair.write_bytes(credential.certificate + credential.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def commit(self, name: str, **files: str) -> str:
        """Add a commit to the branch main of repository `name`; returns its id."""
        bare, tree = self.folder / f"{name}.git", self.folder / f"{name}.tree"
        if not bare.exists():
            _git(self.folder, "init", "-q", "--bare", "-b", "main", str(bare))
            _git(self.folder, "init", "-q", "-b", "main", str(tree))
            _git(bare, "config", "http.uploadpack", "true")
            _git(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
        for path, content in files.items():
            file = tree / path.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        _git(tree, "add", "-A")
        _git(tree, "commit", "-q", "--allow-empty", "-m", "change")
        _git(tree, "push", "-q", "--force", str(bare), "main")
        return _git(tree, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **{f"GIT_{who}_{what}": "t@example" for who in ("AUTHOR", "COMMITTER") for what in _WHO},
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


_WHO = ("NAME", "EMAIL")


def _handler(server: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _answer(self, body: bytes) -> None:
            wanted = f"Basic {base64.b64encode(server.login.encode()).decode()}"
            if server.login and self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            server.asked += 1
            path, _, query = self.path.partition("?")
            environment = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(server.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_NOSYSTEM": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_ADDR": "127.0.0.1",
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            lines = [line.partition(": ") for line in head.decode().split("\r\n") if line]
            fields = {name: value for name, _, value in lines}
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    return Handler
