"""A real MLflow server on loopback, for tests and the demo.

The start of a server takes most of a minute of CPU time, so a test session starts one server and
shares it. The server keeps its data in SQLite and its artifacts on disk, both in the given folder,
and serves artifacts itself, as servers in clusters do. This module is plain Python, because the
demo starts the server too.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

START_DEADLINE = 180.0
"""Seconds until a server that does not answer has failed; a busy machine needs up to 60."""

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The job runner and its eight consumers need 1.5 GB, and no test uses them.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@dataclass
class Server:
    """A running server.

    Attributes:
        url: ``http://<host>:<port>``; answers once `wait_healthy` has returned.
        pid: process id of the leader of its process group.
        log: file with its output.
    """

    url: str
    pid: int
    log: Path
    _process: "subprocess.Popen[bytes]" = field(repr=False)

    def wait_healthy(self) -> None:
        """Wait until the server answers.

        Raises:
            RuntimeError: the server ended, or was not healthy within `START_DEADLINE`; with its
                output.
        """
        deadline = time.monotonic() + START_DEADLINE
        while self._process.poll() is None and time.monotonic() < deadline:
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer,
            ):
                if answer.status == 200:
                    return
            time.sleep(0.2)
        raise RuntimeError(
            f"mlflow server at {self.url} did not become healthy; the end of {self.log}:\n"
            + self.log.read_text(errors="replace")[-2000:]
        )

    def stop(self, grace: float = 10.0) -> None:
        """End the whole process group; safe to call twice."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, sign)
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                continue
            # Workers may outlive the leader: the group has ended only when it cannot be signalled.
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline:
                try:
                    os.killpg(self.pid, 0)
                except ProcessLookupError:
                    return
                time.sleep(0.05)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_mlflow(
    folder: Path | str,
    *,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
    args: Sequence[str] = (),
    workers: int = 1,
    host: str = "127.0.0.1",
) -> Server:
    """`launch_mlflow`, and wait until it is healthy.

    Raises:
        RuntimeError: the server ended, or was not healthy within `START_DEADLINE`; with its output.
    """
    server = launch_mlflow(folder, port=port, env=env, args=args, workers=workers, host=host)
    try:
        server.wait_healthy()
    except BaseException:
        server.stop()
        raise
    return server


def launch_mlflow(
    folder: Path | str,
    *,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
    args: Sequence[str] = (),
    workers: int = 1,
    host: str = "127.0.0.1",
) -> Server:
    """Launch ``mlflow server`` with its data under `folder`; it takes most of a minute to answer.

    Args:
        folder: gets ``mlflow.db``, ``artifacts/`` and ``mlflow.log``; a second start uses the data
            of the first.
        port: a free one of loopback by default.
        env: variables in addition to those of this process.
        args: further options, e.g. ``("--allowed-hosts", "mlflow.ml:*,127.0.0.1:*")``.
        workers: number of server processes, about 250 MB each.
        host: address of the server.
    """
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    log = folder / "mlflow.log"
    command = [sys.executable, "-m", "mlflow", "server", "--host", host]
    command += ["--port", str(port), "--workers", str(workers)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    if not {"--no-serve-artifacts", "--default-artifact-root"} & set(args):
        command += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, *args],
            cwd=folder,
            env={**os.environ, **_QUIET, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(f"http://{host}:{port}", process.pid, log, process)


def free_port() -> int:
    """A loopback TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
