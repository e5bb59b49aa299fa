"""The servers of a control plane: commands, ports, and a client of the process reaper."""

import json
import os
import random
import select
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.binaries import binary

_REAPER: Final = Path(__file__).with_name("process_reaper.py")
_UNCOLLECTED: Final = {"GOGC": "off", "GOMEMLIMIT": "1GiB"}
"""No garbage collection in Go programs, which run for minutes only."""
# Below Linux' ephemeral ports: no other process gets the port while its server is down.
_PORTS: Final = range(20000, 32000)
_taken: list[socket.socket] = []
"""An abstract socket per port of this process: no other test process can bind the same name."""


@dataclass(frozen=True)
class Network:
    """The addresses of an API server.

    Attributes:
        addresses: addresses in the server certificate.
        flags: flags of kube-apiserver; ``{folder}`` is the folder of the control plane.
    """

    addresses: tuple[str, ...]
    flags: tuple[str, ...]


LOOPBACK: Final = Network(
    addresses=("127.0.0.1", "localhost", "kubernetes.default.svc"),
    flags=(
        "--bind-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--authorization-mode=RBAC",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
    ),
)
"""No node, and only clients on this machine."""


class ReaperClient:
    """The reaper process of one control plane, or of other servers that must not outlive the test.

    Attributes:
        folder: folder of all files of the servers; removed when the reaper ends.
        pid: process id of the reaper.
        pids: process ids of the servers that run.
    """

    def __init__(self, prefix: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _REAPER, str(os.getpid()), prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **_UNCOLLECTED},
        )
        self.pid = self._process.pid
        self.pids: dict[str, int] = {}
        self.folder = Path(self._answer()["folder"])

    def start(self, name: str, command: list[str]) -> None:
        """Start a server that logs into the folder."""
        log = str(self.log(name))
        self.pids[name] = int(self._ask({"start": name, "command": command, "log": log})["pid"])

    def adopt(self, group: int, folder: Path) -> None:
        """Kill a process group that was started elsewhere and remove its folder, at the end."""
        self._ask({"adopt": group, "folder": str(folder)})

    def stop(self, name: str, number: int, grace: float) -> int | None:
        """Send a signal and wait; after `grace` seconds the server is killed.

        Returns the status as subprocess reports it, or None if there was no such server.
        """
        self.pids.pop(name, None)
        status: int | None = self._ask({"stop": name, "signal": number, "grace": grace})["status"]
        return status

    def ended(self, name: str) -> bool:
        """Whether a started server has ended."""
        return self._ask({"status_of": name})["status"] is not None

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def close(self) -> None:
        """Kill the servers and remove the folder."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the reaper of test servers is gone (pid {self.pid})")
        answer: dict[str, Any] = json.loads(line)
        return answer


def free_port() -> int:
    """Return a free port on loopback that no test process has been given."""
    while True:
        port = random.choice(_PORTS)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0feature-lineage-tests-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _taken.append(claim)
        return port


def wait_for_end(pid: int, seconds: float = 20) -> None:
    """Return when the process has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([process], [], [], seconds)[0], f"process {pid} is still there"
    finally:
        os.close(process)


def etcd(folder: Path, client: int, peer: int) -> list[str]:
    """etcd without fsync: its data is not needed after a test."""
    return [
        str(binary("etcd")),
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
    ]


def kube_apiserver(
    folder: Path, port: int, etcd_port: int, audit_log: Path, network: Network
) -> list[str]:
    """The API server with RBAC, and with the admission plugin that checks blockOwnerDeletion."""
    return [
        str(binary("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={folder / 'apiserver.crt'}",
        f"--tls-private-key-file={folder / 'apiserver.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/24",
        f"--audit-policy-file={folder / 'audit-policy.yaml'}",
        f"--audit-log-path={audit_log}",
        "--audit-log-maxsize=1000",
        "--shutdown-watch-termination-grace-period=5s",  # otherwise a stop waits 60 s for watches
        *(flag.format(folder=folder) for flag in network.flags),
    ]


def kube_controller_manager(folder: Path) -> list[str]:
    """The controllers, each with its own account, and with shorter intervals than usual."""
    kubeconfig = folder / "kube-controller-manager.kubeconfig"
    return [
        str(binary("kube-controller-manager")),
        f"--kubeconfig={kubeconfig}",
        f"--service-account-private-key-file={folder / 'sa.key'}",
        f"--root-ca-file={folder / 'ca.crt'}",
        "--use-service-account-credentials=true",
        "--secure-port=0",
        "--leader-elect=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]
