"""A real MLflow server for tests and the demo: started on loopback, stopped as a whole.

One server takes most of a minute of a CPU to start, so a test session starts one and shares it.
It keeps its data in SQLite and its artifacts on disk, both in the folder it is given, and serves
artifacts itself, as the servers in clusters do. Plain Python: the demo starts it too.
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
"""Seconds until a server that does not answer is given up; a busy machine needs up to 60."""

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The job runner and its eight consumers cost 1.5 GB and serve nothing that is tested here.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@dataclass
class Server:
    """A running server.

    Attributes:
        url: ``http://<host>:<port>``; answers once `wait_healthy` has returned.
        pid: of the leader of its own process group.
        log: file with what it prints.
    """

    url: str
    pid: int
    log: Path
    _process: "subprocess.Popen[bytes]" = field(repr=False)

    def wait_healthy(self) -> None:
        """Until it answers.

        Raises:
            RuntimeError: it ended, or was not healthy within `START_DEADLINE`; says what it
                printed.
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
            # Workers may outlive the leader: the group is gone only when it cannot be signalled.
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
        RuntimeError: it ended, or was not healthy within `START_DEADLINE`; says what it printed.
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
        folder: gets ``mlflow.db``, ``artifacts/`` and ``mlflow.log``; a second start finds the
            data of the first.
        port: a free one of loopback by default.
        env: variables on top of this process's.
        args: further options, e.g. ``("--allowed-hosts", "mlflow.ml:*,127.0.0.1:*")``.
        workers: server processes, about 250 MB each.
        host: address to listen at.
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
