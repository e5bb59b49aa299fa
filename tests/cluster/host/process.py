"""Runs the operator as a separate process, as its pod would, with the chart's permissions."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.access import opened
from tests.cluster.chart.helm import NAMESPACE, RELEASE, Object, of
from tests.cluster.existing import Cluster

Line = dict[str, Any]

RBAC_KINDS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def grant_permissions(cluster: Cluster, objects: list[Object]) -> None:
    """Apply the roles of the chart, and create the namespace of the release."""
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    granted = of(objects, *RBAC_KINDS)
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([made, *granted]))


def grant_lease(cluster: Cluster, objects: list[Object], namespace: str) -> None:
    """Create the chart's permission for the Lease, in the namespace of the test.

    In a release it is in the namespace of the release. So each test has its own Lease, with the
    same ServiceAccount.
    """
    granted = [
        each
        for each in of(objects, "Role", "RoleBinding")
        if each["metadata"].get("namespace") == NAMESPACE
    ]
    for each in granted:
        each["metadata"]["namespace"] = namespace
    assert len(granted) == 2
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(granted))


@dataclass
class Operator:
    """One replica.

    Args:
        kubeconfig: kubeconfig of its account.
        config: configuration as in its file; the port is a free one.
        folder: folder for its files.
        namespace: namespace of its Lease.
        program: the program that is run, before its arguments.
    """

    kubeconfig: Path
    config: dict[str, Any]
    folder: Path
    namespace: str
    environment: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (str(Path(sys.executable).with_name("feature-lineage")),)
    name: str = field(default_factory=lambda: f"operator-{uuid.uuid4().hex[:6]}")
    process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Start the operator, and return when it is ready: it has listed all watched kinds."""
        port = _free_port()
        runner = {"image": "runner.example/runner:1"}
        self.config = {"runner": runner, **opened(self.config), "port": port}
        file = self.folder / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump(self.config))
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.program,
                "operator",
                f"--config={file}",
                f"--kubeconfig={self.kubeconfig}",
                "--log-format=json",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "POD_NAME": self.name,
                    "POD_NAMESPACE": self.namespace,
                    "POD_SERVICE_ACCOUNT": RELEASE,
                    **self.environment,
                },
            )
        self.url = f"http://127.0.0.1:{port}"

    async def ready(self, seconds: float = 60.0) -> None:
        """Return when ``/readyz`` answers 200.

        Raises:
            AssertionError: the operator ended, or is not ready in time; with its log.
        """
        assert self.process is not None
        async with httpx.AsyncClient(base_url=self.url) as client:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while self.process.returncode is None:
                        with contextlib.suppress(httpx.TransportError):
                            if (await client.get("/readyz")).status_code == 200:
                                return
                        await asyncio.sleep(0.05)  # there is no event for an opened port
        raise AssertionError(f"the operator is not ready:\n{self.log.read_text()}")

    async def metrics(self) -> str:
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            return (await client.get("/metrics")).raise_for_status().text

    def lines(self) -> Iterator[Line]:
        """Return the log lines; a line that is not JSON is from a crash, and raises an error."""
        for text in self.log.read_text().splitlines():
            try:
                yield json.loads(text)
            except ValueError:
                yield {"level": "error", "message": text}

    def errors(self) -> list[Line]:
        return [line for line in self.lines() if line["level"] in ("error", "critical")]

    async def end(self, sign: signal.Signals = signal.SIGTERM, seconds: float = 40.0) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(sign)
        async with asyncio.timeout(seconds):
            return await self.process.wait()


def peak_mib(pid: int) -> float:
    """Return the peak resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
