"""A Git server behind OpenSSH's own sshd, on a free port, for one key."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.servers.git import Repositories


class SshServer(Repositories):
    """Serves the repositories of a folder at ssh://USER@ADDRESS:PORT/FOLDER/NAME.git.

    The user is the one that runs the test, who gets nothing there but Git.

    Args:
        folder: where repositories are; made where missing.
        protocol: newest version of Git's protocol that is spoken; stock servers of OpenSSH pass no
            environment on and stay at 0.
        address: of this machine; loopback where nothing is said.

    Attributes:
        key: private key that is let in.
        other_key: private key that is not.
        known_hosts: the line that names the server's own key.
    """

    def __init__(self, folder: Path, *, protocol: int = 0, address: str = "127.0.0.1") -> None:
        super().__init__(folder)
        self._home = folder / ".ssh"
        self._home.mkdir(mode=0o700)
        self.address, self.port = address, _free_port(address)
        self.host = f"[{address}]:{self.port}"
        self.key = self._keygen("key")
        self.other_key = self._keygen("other")
        self._keygen("host")
        self.known_hosts = f"{self.host} {self.public('host')}"
        allowed = (
            f'restrict,command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"" {self.public("key")}'
        )
        (self._home / "authorized_keys").write_text(allowed)
        settings = {
            "ListenAddress": f"{address}:{self.port}",
            "HostKey": self._home / "host",
            "AuthorizedKeysFile": self._home / "authorized_keys",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            **({"AcceptEnv": "GIT_PROTOCOL"} if protocol else {}),
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        (self._home / "sshd_config").write_text("".join(lines))
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        user = pwd.getpwuid(os.getuid()).pw_name
        return f"ssh://{user}@{self.address}:{self.port}{self.folder}/{name}.git"

    def public(self, key: str) -> str:
        return (self._home / f"{key}.pub").read_text()

    @property
    def log(self) -> str:
        return (self._home / "log").read_text()

    def __enter__(self) -> Self:
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        assert sshd is not None, "there is no sshd; on Debian: apt-get install openssh-server"
        command = [sshd, "-D", "-f", self._home / "sshd_config", "-E", self._home / "log"]
        self._process = subprocess.Popen(command)
        until = time.monotonic() + 10
        while not _answers(self.address, self.port):
            alive = self._process.poll() is None and time.monotonic() < until
            assert alive, f"sshd does not listen: {self.log}"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def _keygen(self, name: str) -> bytes:
        path = self._home / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path]
        subprocess.run(command, check=True)
        return path.read_bytes()


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
