"""Git servers with Git's own programs: repositories, and smart HTTP over TLS."""

import base64
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.cluster.pki import Authority


class Repositories:
    """A folder of bare repositories, NAME.git, with a branch main and Git's default settings.

    Args:
        folder: folder of the repositories; created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, name: str, *options: str) -> Path:
        """Create an empty repository and a working tree that pushes to it; return its path."""
        bare, tree = self.folder / f"{name}.git", self.folder / f"{name}.tree"
        run_git(self.folder, "init", "-q", "--bare", "-b", "main", *options, str(bare))
        run_git(self.folder, "init", "-q", "-b", "main", *options, str(tree))
        run_git(bare, "config", "http.uploadpack", "true")
        return bare

    def commit(self, name: str, **files: str) -> str:
        """Add a commit to the branch main of repository `name`; returns its id."""
        bare, tree = self.folder / f"{name}.git", self.folder / f"{name}.tree"
        if not bare.exists():
            self.create(name)
        for path, content in files.items():
            file = tree / path.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        run_git(tree, "add", "-A")
        run_git(tree, "commit", "-q", "--allow-empty", "-m", "change")
        run_git(tree, "push", "-q", "--force", str(bare), "main")
        return run_git(tree, "rev-parse", "HEAD").strip()

    def tree(self, name: str, *arguments: str) -> str:
        """Run git in the working tree of repository `name`; returns what it prints."""
        return run_git(self.folder / f"{name}.tree", *arguments)

    def bare(self, name: str, *arguments: str, content: bytes | None = None) -> str:
        """Run git in the repository itself, for objects that a client would refuse to push."""
        return run_git(self.folder / f"{name}.git", *arguments, content=content)


class GitServer(Repositories):
    """Serves the repositories of a folder at https://localhost:PORT/NAME.git.

    Args:
        folder: folder of the repositories; created if missing.
        login: ``user:password`` that is required; "" for no login.
        protocol: newest version of Git's protocol that the server supports. With 2, a client can
            fetch a commit by its id; with 0, only the commits of branches and tags, unless the
            repository allows more.
        address: address of the server; 0 as the port is a free port.
        names: names in its certificate.

    Attributes:
        authority: certificate (PEM) of the server's authority, which no other program trusts.
        asked: number of accepted requests.
        moved: target of redirects; "" for none.
    """

    def __init__(
        self,
        folder: Path,
        login: str = "",
        *,
        protocol: int = 2,
        address: tuple[str, int] = ("127.0.0.1", 0),
        names: tuple[str, ...] = ("localhost", "127.0.0.1"),
    ) -> None:
        super().__init__(folder)
        self.login = login
        self.protocol = protocol
        self.asked = 0
        self.moved = ""
        authority = Authority()
        self.authority = authority.certificate
        credential = authority.issue("git", addresses=names)
        pair = folder / "tls.pem"
        pair.write_bytes(credential.certificate + credential.key)
        self._server = ThreadingHTTPServer(address, _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def run_git(folder: Path, *arguments: str, content: bytes | None = None) -> str:
    """Run Git without any configuration of the user or machine."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **{f"GIT_{who}_{what}": "t@example" for who in ("AUTHOR", "COMMITTER") for what in _WHO},
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        input=content,
    )
    return done.stdout.decode()


_WHO = ("NAME", "EMAIL")


def _handler(server: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _answer(self, body: bytes) -> None:
            if server.moved:
                self._say(302, {"Location": f"{server.moved}{self.path}"})
                return
            wanted = f"Basic {base64.b64encode(server.login.encode()).decode()}"
            if server.login and self.headers.get("Authorization") != wanted:
                self._say(401, {"WWW-Authenticate": 'Basic realm="git"'})
                return
            server.asked += 1
            path, _, query = self.path.partition("?")
            version = self.headers.get("Git-Protocol", "") if server.protocol else ""
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
                "GIT_PROTOCOL": version,
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_ADDR": "127.0.0.1",
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            lines = [line.partition(": ") for line in head.decode().split("\r\n") if line]
            fields = {name: value for name, _, value in lines}
            self._say(int(fields.pop("Status", "200").split()[0]), fields, content)

        def _say(self, status: int, fields: dict[str, str], content: bytes = b"") -> None:
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    return Handler
