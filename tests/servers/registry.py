"""A real Feast registry server (``feast serve_registry``, gRPC) on loopback."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.mlflow import free_port

START_SECONDS = 120
READY = b"Grpc server started"


@contextmanager
def start_registry_server(repo: Path) -> Iterator[str]:
    """Serve the registry of a repo; gives ``host:port``, and ends the process by its id."""
    port = free_port()
    code = f"from feast.cli.cli import cli; cli(['serve_registry', '-p', '{port}'])"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=repo, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        _wait(process)
        yield f"localhost:{port}"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)


def _wait(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    said = b""
    while READY not in said:
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        part = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert part, f"feast serve_registry did not start: {said.decode(errors='replace')}"
        said += part
