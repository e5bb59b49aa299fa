"""A real node for a control plane: containerd, kubelet, kube-proxy, CoreDNS and a scheduler.

The node runs in the sandbox (`tests/e2e/sandbox`). The network of the sandbox contains nothing
else, so addresses and ports are fixed. The end of the sandbox stops everything that is started
here.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.cluster.binaries import binary
from tests.cluster.controlplane import ControlPlane
from tests.cluster.pki import certificate_user, kubeconfig, write_private
from tests.cluster.servers import Network
from tests.e2e.node_files import (
    ADDRESS,
    CGROUP,
    DNS,
    NODE,
    POD_LOGS,
    pause_archive,
    write_files,
)
from tests.e2e.services import Ports, host_service

READY_SECONDS: Final = 60.0

NETWORK: Final = Network(
    addresses=("127.0.0.1", ADDRESS, "10.96.0.1", "localhost", "kubernetes.default.svc"),
    flags=(
        f"--advertise-address={ADDRESS}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
        "--allow-privileged=true",
        "--kubelet-client-certificate={folder}/admin.crt",
        "--kubelet-client-key={folder}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
    ),
)
"""Network of a control plane that has a node."""

_PROCESSES: Final = ("kubelet", "kube-proxy", "containerd")


class Node:
    """The one node of a control plane.

    Args:
        plane: the control plane, started with `NETWORK`.

    Attributes:
        started_in: duration of `start` in seconds.
        pod_logs: folder of the output of containers.
    """

    started_in: float = 0.0

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._folder = plane.folder / "node"
        self.pod_logs = self._folder / POD_LOGS
        self._socket = self._folder / "containerd.sock"

    def start(self) -> None:
        """Start the node, and return when it is ready and DNS names resolve.

        Raises:
            RuntimeError: the node does not become ready; with the output of its kubelet.
        """
        began = time.monotonic()
        self._write_files()
        run, programs = self._plane.run, self._folder
        run("containerd", ["containerd", "-c", str(programs / "containerd.toml")])
        self._wait_for_containerd()
        self.load(pause_archive(self._folder))
        scheduler = self._kubeconfig("kube-scheduler", "system:kube-scheduler")
        run(
            "kube-scheduler",
            [
                *(str(binary("kube-scheduler")), f"--kubeconfig={scheduler}"),
                *("--leader-elect=false", "--secure-port=0"),
            ],
        )
        kubelet = self._kubeconfig("kubelet", f"system:node:{NODE}", ("system:nodes",))
        run(
            "kubelet",
            [
                *(str(binary("kubelet")), f"--kubeconfig={kubelet}"),
                f"--config={programs / 'kubelet.yaml'}",
                f"--root-dir={programs / 'kubelet'}",
                *(f"--hostname-override={NODE}", f"--node-ip={ADDRESS}"),
            ],
        )
        run("kube-proxy", [str(binary("kube-proxy")), f"--config={programs / 'kube-proxy.yaml'}"])
        run(
            "coredns", [str(binary("coredns")), f"-conf={programs / 'Corefile'}", "-dns.port", "53"]
        )
        self._serve_names()
        try:
            self._wait("create")
            self._wait("condition=Ready")
        except BaseException:
            print(self._plane.log("kubelet")[-3000:])
            raise
        self.started_in = time.monotonic() - began

    def load(self, archive: Path) -> None:
        """Import an image archive, instead of a pull from a registry."""
        self._ctr("image", "import", str(archive))

    def pids(self, pod: str, namespace: str) -> list[int]:
        """Return the first processes of the running containers of a pod."""
        labels = (
            f'labels."io.kubernetes.pod.name"=={pod}',
            f'labels."io.kubernetes.pod.namespace"=={namespace}',
            'labels."io.cri-containerd.kind"==container',
        )
        containers = set(self._ctr("container", "ls", "-q", ",".join(labels)).split())
        tasks = (line.split() for line in self._ctr("task", "ls").splitlines()[1:])
        return [int(pid) for name, pid, state in tasks if name in containers and state == "RUNNING"]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Freeze the node: its pods are frozen, its kubelet and containerd stopped."""
        freezer = Path("/sys/fs/cgroup/freezer", os.environ[CGROUP], "freezer.state")
        pids = [self._plane.pids[name] for name in _PROCESSES]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        freezer.write_text("FROZEN")
        try:
            yield
        finally:
            freezer.write_text("THAWED")
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _ctr(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["ctr", "-a", str(self._socket), "-n", "k8s.io", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"ctr {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def _wait_for_containerd(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._ctr("version")
            except RuntimeError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{error}\n{self._plane.log('containerd')[-3000:]}") from (
                        error
                    )
                time.sleep(0.05)
            else:
                return

    def _wait(self, state: str) -> None:
        wait = ("wait", f"--for={state}", f"node/{NODE}", f"--timeout={READY_SECONDS:.0f}s")
        self._plane.kubectl(*wait, seconds=READY_SECONDS + 10)

    def _kubeconfig(self, name: str, user: str, groups: tuple[str, ...] = ()) -> Path:
        credential = certificate_user(self._plane.issue(user, groups))
        authority = (self._plane.folder / "ca.crt").read_bytes()
        return kubeconfig(
            self._folder / f"{name}.kubeconfig", self._plane.url, authority, credential
        )

    def _write_files(self) -> None:
        write_files(self._folder, self._plane.folder, self._plane.kubeconfig)
        serving = self._plane.issue("kubelet", addresses=(NODE, ADDRESS))
        write_private(self._folder / "kubelet.crt", serving.certificate)
        write_private(self._folder / "kubelet.key", serving.key)

    def _serve_names(self) -> None:
        """The DNS service refers to CoreDNS, which runs next to the node."""
        ports: Ports = {"dns": ("UDP", 53, 53), "dns-tcp": ("TCP", 53, 53)}
        host_service(self._plane, "kube-system", "kube-dns", ports, ADDRESS, DNS)
