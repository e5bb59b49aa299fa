"""A Kubernetes control plane without a node: etcd, kube-apiserver and kube-controller-manager.

Everything that an operator uses is real: CRDs, CEL, RBAC, admission, server-side apply, watches,
Leases, Jobs as objects, garbage collection, deletion of namespaces. Several control planes can run
at the same time. All processes end when the test process ends, for whatever reason: see
`process_reaper`.
"""

import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Final, Self

from tests.cluster.audit import POLICY, AuditRecord, read_audit
from tests.cluster.kubectl import Kubectl
from tests.cluster.pki import (
    Authority,
    Credential,
    certificate_user,
    key_pair,
    kubeconfig,
    write_private,
)
from tests.cluster.servers import (
    LOOPBACK,
    Network,
    ReaperClient,
    etcd,
    free_port,
    kube_apiserver,
    kube_controller_manager,
)

CRDS: Final = Path(__file__).parents[2] / "crds"
START_SECONDS: Final = 90.0
"""Seconds until a server that does not become ready has failed; an idle machine needs 3 to 5."""

_PREFIX: Final = "feature-lineage-control-plane-"
_ATTEMPTS: Final = 3
_BUSY: Final = "address already in use"

control_planes_started: "list[ControlPlane]" = []
"""All control planes of this process, also stopped ones, whose audit logs stay readable."""


class NotReady(RuntimeError):
    """A server did not become ready; the message ends with the end of its log."""


class _PortTaken(NotReady):
    """Another process took the port first."""


class ControlPlane:
    """One control plane, and the actions of a test on it.

    Args:
        network: the addresses of the API server.

    Attributes:
        kubeconfig: kubeconfig of the administrator; needs no other file.
        kubectl: kubectl as the administrator.
        started_in: duration of `start` in seconds.
    """

    kubeconfig: Path
    kubectl: Kubectl
    started_in: float = 0.0

    def __init__(self, network: Network = LOOPBACK) -> None:
        self._network = network
        self._authority = Authority()
        self._reaper: ReaperClient | None = None
        self._port = self._etcd_port = 0
        self._apiserver_starts = 0
        self._records: list[AuditRecord] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    @property
    def folder(self) -> Path:
        """Folder of all files; removed by `stop`."""
        return self._running_reaper.folder

    @property
    def reaper_pid(self) -> int:
        return self._running_reaper.pid

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by the name of the server, such as ``kube-apiserver``."""
        return dict(self._running_reaper.pids)

    def start(self, crds: Path | None = None) -> Self:
        """Start the servers and wait until they are ready.

        Args:
            crds: folder of CRDs that are established before the controllers start, so that the
                garbage collector knows them from the start. It finds later CRDs within 30 s.

        Raises:
            NotReady: a server does not become ready.
        """
        began = time.monotonic()
        control_planes_started.append(self)
        for _ in range(_ATTEMPTS):
            try:
                self._start_servers()
                break
            except _PortTaken:
                self._close()
            except BaseException:
                self._close()
                raise
        else:
            raise NotReady(f"{_ATTEMPTS} times, a port that was free was taken a moment later")
        try:
            if crds is not None:
                self.establish(crds)
            self._running_reaper.start(
                "kube-controller-manager", kube_controller_manager(self.folder)
            )
            account = ("serviceaccount/default", "--namespace=default")
            self.kubectl("wait", "--for=create", *account, "--timeout=60s", seconds=90)
        except BaseException:
            self._close()
            raise
        self.started_in = time.monotonic() - began
        return self

    def stop(self) -> None:
        """Kill the servers and remove their data, except the audit log."""
        if self._reaper is not None:
            self._records = [r for r in self.audit() if "system:masters" not in r.groups]
            self._close()

    def __enter__(self) -> Self:
        return self if self._reaper is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def kill_apiserver(self) -> None:
        """Send SIGKILL: connections break without a close."""
        self._running_reaper.stop("kube-apiserver", SIGKILL, 10)

    def stop_apiserver(self, *, graceful: bool = True) -> None:
        """Send SIGTERM, as an upgrade of the control plane does."""
        if graceful:
            self._running_reaper.stop("kube-apiserver", SIGTERM, 60)
        else:
            self.kill_apiserver()

    def start_apiserver(self) -> None:
        """Start the API server again: same port, same objects.

        Raises:
            NotReady: the API server does not become ready.
        """
        self._launch_apiserver()
        self._wait_until_ready("kube-apiserver", f"{self.url}/readyz")

    def establish(self, crds: Path) -> None:
        """Apply a file or folder of CRDs and wait until they are served."""
        self.kubectl.establish(crds)

    def run(self, name: str, command: list[str]) -> None:
        """Start another server of the cluster; it is stopped with the control plane."""
        self._running_reaper.start(name, command)

    def end(self, name: str, number: int = SIGTERM, grace: float = 10.0) -> None:
        """Stop a server that `run` started."""
        self._running_reaper.stop(name, number, grace)

    def log(self, name: str) -> str:
        """Return the log of a server."""
        return self._running_reaper.log(name).read_text(errors="replace")

    def issue(
        self, name: str, groups: tuple[str, ...] = (), addresses: tuple[str, ...] = ()
    ) -> Credential:
        """Create a certificate, signed by the authority of the cluster, for a user or a server."""
        return self._authority.issue(name, groups=groups, addresses=addresses)

    def user_kubeconfig(self, name: str, groups: tuple[str, ...] = ()) -> Path:
        """Create a kubeconfig for a user with a certificate; RBAC grants the only permissions."""
        credential = self._authority.issue(name, groups=groups)
        return self._write_kubeconfig(f"user-{name}", certificate_user(credential))

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Create a kubeconfig with a token of an existing service account, valid for a day."""
        request = ("create", "token", name, f"--namespace={namespace}", "--duration=24h")
        token = self.kubectl(*request).strip()
        file = f"account-{namespace}-{name}"
        return self._write_kubeconfig(file, {"token": token}, namespace)

    def audit(self) -> list[AuditRecord]:
        """Return the requests up to now, without those of the servers."""
        if self._reaper is None:
            return self._records
        files = self.folder.glob("audit-*.log")
        return read_audit(sorted(files, key=lambda file: int(file.stem.removeprefix("audit-"))))

    @property
    def _running_reaper(self) -> ReaperClient:
        if self._reaper is None:
            raise NotReady("this control plane is not running: call start()")
        return self._reaper

    def _close(self) -> None:
        if self._reaper is not None:
            self._reaper.close()
            self._reaper = None

    def _start_servers(self) -> None:
        self._reaper = ReaperClient(_PREFIX)
        self._apiserver_starts = 0
        self._port, self._etcd_port, peer_port = free_port(), free_port(), free_port()
        self._write_files()
        self._reaper.start("etcd", etcd(self.folder, self._etcd_port, peer_port))
        self._wait_until_ready("etcd", f"http://127.0.0.1:{self._etcd_port}/readyz")
        self.start_apiserver()

    def _write_files(self) -> None:
        serving = self._authority.issue("kube-apiserver", addresses=self._network.addresses)
        admin = self._authority.issue("admin", groups=("system:masters",))
        private, public = key_pair()
        for name, content in (
            ("ca.crt", self._authority.certificate),
            ("apiserver.crt", serving.certificate),
            ("apiserver.key", serving.key),
            ("admin.crt", admin.certificate),
            ("admin.key", admin.key),
            ("sa.key", private),
            ("sa.pub", public),
            ("audit-policy.yaml", POLICY.encode()),
        ):
            write_private(self.folder / name, content)
        manager = self._authority.issue("system:kube-controller-manager")
        self._write_kubeconfig("kube-controller-manager", certificate_user(manager))
        self.kubeconfig = self._write_kubeconfig("admin", certificate_user(admin))
        self.kubectl = Kubectl(self.kubeconfig, self.folder / "kubectl-cache")

    def _write_kubeconfig(
        self, name: str, user: dict[str, str], namespace: str = "default"
    ) -> Path:
        path = self.folder / f"{name}.kubeconfig".replace(":", "_").replace("/", "_")
        return kubeconfig(path, self.url, self._authority.certificate, user, namespace)

    def _launch_apiserver(self) -> None:
        self._apiserver_starts += 1
        log = self.folder / f"audit-{self._apiserver_starts}.log"
        command = kube_apiserver(self.folder, self._port, self._etcd_port, log, self._network)
        self._running_reaper.start("kube-apiserver", command)

    def _wait_until_ready(self, server: str, url: str) -> None:
        trusted = ssl.create_default_context(cadata=self._authority.certificate.decode())
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                opener.open(url, timeout=5).close()
            except (urllib.error.URLError, OSError) as error:
                if self._running_reaper.ended(server) or time.monotonic() > deadline:
                    log = self._running_reaper.log(server).read_text(errors="replace")
                    if _BUSY in log:
                        raise _PortTaken(f"{server}: its port was taken meanwhile") from error
                    raise NotReady(f"{server} is not ready: {error}\n{log[-3000:]}") from error
                time.sleep(0.05)
            else:
                return
