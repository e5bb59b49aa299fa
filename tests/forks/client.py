"""Starts Pythons by forking a process that has imported Feast, in place of `subprocess`.

Importing Feast takes two seconds of processor time in a job, and six in ``feast`` and in scripts.
"""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

import pytest
from tests.forks.become import Forking

from feature_lineage.local import subprocess_jobs

SERVER = Path(__file__).with_name("server.py")
File = IO[Any] | int


class Started:
    """A process that the server forked for this one."""

    def __init__(self, argv: list[str], connection: socket.socket) -> None:
        self.args, self._connection = argv, connection
        self.returncode: int | None = None
        self.pid = self._number()

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = self._number()
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._connection.close()
        return self.returncode

    def _number(self) -> int:
        text = self._connection.recv(64)
        assert text, "the process that forks has ended"
        return int(text)


class ForkServer:
    """A process with Feast.

    Args:
        modules: are imported, too.
        start: starts the server.
    """

    def __init__(self, *modules: str, start: Any = subprocess.Popen) -> None:
        self._folder = tempfile.mkdtemp(prefix="forks-")
        self._socket = f"{self._folder}/socket"
        stdin, self._stdin = os.pipe()
        read, stdout = os.pipe()
        argv = [sys.executable, "-P", str(SERVER), self._socket, *modules]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = start(argv, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL, env=env)
        os.close(stdin)
        os.close(stdout)
        with os.fdopen(read) as answer:
            assert answer.readline() == "ready\n"

    def popen(
        self,
        argv: list[str],
        *,
        stdin: File = subprocess.DEVNULL,
        stdout: File,
        stderr: File,
        pass_fds: Collection[int] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        start_new_session: bool = False,
    ) -> Started:
        options = {
            "argv": argv,
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd or Path.cwd()),
            "start_new_session": start_new_session,
        }
        with Path(os.devnull).open("r+b", buffering=0) as null:
            given: list[File] = [stdin, stdout, stdout if stderr == subprocess.STDOUT else stderr]
            files = [null if file == subprocess.DEVNULL else file for file in given]
            numbers = [file if isinstance(file, int) else file.fileno() for file in files]
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.connect(self._socket)
            message = json.dumps(options).encode()
            socket.send_fds(connection, [message], [*numbers, *pass_fds])
        return Started(argv, connection)

    def run(
        self, argv: list[str], *, timeout: float, **options: Any
    ) -> "subprocess.CompletedProcess[str]":
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = self.popen(argv, stdout=out, stderr=err, **options)
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(argv, code, out.read(), err.read())

    def stop(self) -> None:
        os.close(self._stdin)
        self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)


@cache
def with_feast() -> ForkServer:
    """The server of this process, started at first use and ended with the process."""
    server = ForkServer()
    atexit.register(server.stop)
    return server


@cache
def with_mlflow() -> ForkServer:
    """A server for training: it has imported MLflow's client, too. Jobs do not have it."""
    server = ForkServer("mlflow.sklearn", "sklearn.linear_model", start=with_feast().popen)
    atexit.register(server.stop)
    return server


class _Forking(Forking):
    @staticmethod
    def Popen(argv: list[str], **options: Any) -> Started:  # noqa: N802
        return with_feast().popen(argv, **options)


@contextmanager
def forked_jobs() -> Iterator[None]:
    """Let the local hosts and the plans of this process fork their jobs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess_jobs, "subprocess", _Forking)
        yield


def python(
    *arguments: str, training: bool = False, timeout: float = 300, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Run this Python, forked; options are `cwd` and `env`.

    Args:
        training: the script imports MLflow.
    """
    server = with_mlflow() if training else with_feast()
    return server.run([sys.executable, *arguments], timeout=timeout, **options)


def output_of(*arguments: str, **options: Any) -> str:
    """What a Python prints that has to succeed; the arguments are those of `python`."""
    done = python(*arguments, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
