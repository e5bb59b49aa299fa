"""A Git server behind ssh, on a free port, for one key: asyncssh in a thread of the test."""

import asyncio
import contextlib
import os
import pwd
import threading
from asyncio.subprocess import PIPE
from concurrent.futures import Future
from pathlib import Path
from typing import Self

import asyncssh
from tests.servers.git import Repositories


class SshServer(Repositories):
    """Serves the repositories of a folder at ssh://USER@ADDRESS:PORT/FOLDER/NAME.git.

    USER is the user that runs the test. A session runs git-shell and nothing else.

    Args:
        folder: folder of the repositories; created if missing.
        protocol: newest version of Git's protocol that the server supports. OpenSSH passes no
            environment by default, so the version is 0.
        address: an address of this machine.

    Attributes:
        key: private key that is accepted.
        other_key: private key that is refused.
        port: of the running server.
        log: one line for each accepted key.
    """

    def __init__(self, folder: Path, *, protocol: int = 0, address: str = "127.0.0.1") -> None:
        super().__init__(folder)
        self.address, self.port, self.log = address, 0, ""
        self.user = pwd.getpwuid(os.getuid()).pw_name
        names = ("key", "other", "host")
        self._keys = {name: asyncssh.generate_private_key("ssh-ed25519", name) for name in names}
        self.key = self._keys["key"].export_private_key()
        self.other_key = self._keys["other"].export_private_key()
        self._passed_on = ("GIT_PROTOCOL",) if protocol else ()

    @property
    def host(self) -> str:
        """The name of the server in known_hosts."""
        return f"[{self.address}]:{self.port}"

    @property
    def known_hosts(self) -> str:
        """The line with the key of the server."""
        return f"{self.host} {self.public('host')}"

    def url(self, name: str) -> str:
        return f"ssh://{self.user}@{self.address}:{self.port}{self.folder}/{name}.git"

    def public(self, key: str) -> str:
        return self._keys[key].export_public_key().decode()

    def accepts(self, user: str, key: asyncssh.SSHKey) -> bool:
        return (user, key) == (self.user, self._keys["key"].convert_to_public())

    def __enter__(self) -> Self:
        listening: Future[int] = Future()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(listening),))
        self._thread.start()
        self.port = listening.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self, listening: "Future[int]") -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            acceptor = await asyncssh.listen(
                self.address,
                0,
                server_factory=lambda: _Login(self),
                server_host_keys=[self._keys["host"]],
                process_factory=self._run,
                encoding=None,
                password_auth=False,
                kbdint_auth=False,
                agent_forwarding=False,
                allow_pty=False,
            )
        except BaseException as error:
            listening.set_exception(error)
            raise
        async with acceptor:
            listening.set_result(acceptor.get_port())
            await self._stop.wait()

    async def _run(self, session: "asyncssh.SSHServerProcess[bytes]") -> None:
        """Git's own shell for servers: it runs only upload-pack and similar commands."""
        shell = await asyncio.create_subprocess_exec(
            *("git-shell", "-c", session.command or ""),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                **{name: session.env[name] for name in self._passed_on if name in session.env},
            },
        )
        assert shell.stdin is not None
        assert shell.stdout is not None
        assert shell.stderr is not None
        sending = asyncio.create_task(_copy(session.stdin, shell.stdin))
        await asyncio.gather(
            _copy(shell.stdout, session.stdout), _copy(shell.stderr, session.stderr)
        )
        sending.cancel()
        session.exit(await shell.wait())


class _Login(asyncssh.SSHServer):
    """One connection: the user and the key of the server."""

    def __init__(self, server: SshServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._server.accepts(username, key)

    def auth_completed(self) -> None:
        self._server.log += (
            f"Accepted publickey for {self._connection.get_extra_info('username')}\n"
        )


async def _copy(
    source: "asyncio.StreamReader | asyncssh.SSHReader[bytes]",
    sink: "asyncio.StreamWriter | asyncssh.SSHWriter[bytes]",
) -> None:
    """Copy until the source ends, or the sink is closed."""
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    if isinstance(sink, asyncio.StreamWriter):
        sink.close()  # the session's streams share one end of file, which its exit sends
