"""The operator as a platform installs it: by its chart, as pods on the node."""

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import Any, Final

import yaml
from tests.access import EVERYTHING
from tests.cluster.chart.helm import CHART, NAMESPACE, RELEASE, Helm
from tests.e2e.environment import MLFLOW_URL, OPERATOR, POISONED_URL, E2eEnvironment
from tests.e2e.images import TAG
from tests.e2e.log_check import LogCheck
from tests.e2e.logs import ContainerLogs

SELECTOR: Final = f"app.kubernetes.io/instance={RELEASE}"
LEADER_SECONDS: Final = 90.0
LEASE_LOST: Final = "LeaseLost: "
"""The log message of a process whose node was frozen: another process may have the Lease."""


@dataclass(frozen=True)
class Leader:
    """The leader: its pod, and the first process of its container."""

    pod: str
    pid: int


class InstalledOperator:
    """A release with two replicas.

    Attributes:
        helm: Helm with the kubeconfig of the cluster.
        judge: check of all log lines of its pods.
    """

    def __init__(self, environment: E2eEnvironment, helm: Helm) -> None:
        self.helm = helm
        self._environment = environment
        self._kubectl = environment.plane.kubectl
        self._logs = ContainerLogs(environment.node.pod_logs, NAMESPACE)
        self.log_check = LogCheck(self._logs)

    def values(self) -> dict[str, Any]:
        images = self._environment.images
        imported = {"registry": "localhost", "tag": TAG, "pullPolicy": "Never"}
        return {
            "image": {**imported, "repository": images.operator.name},
            "runner": {"image": {**imported, "repository": images.runner.name}},
            "mlflowServers": [
                {
                    "name": "prod",
                    "trackingUri": MLFLOW_URL,
                    "secretName": "mlflow-prod",
                    "access": [{**EVERYTHING, "namespaces": ["test-*"]}],
                }
            ],
            "allowedTrackingUris": [MLFLOW_URL, f"{POISONED_URL}/*"],
            "allowAnyGitHost": True,
        }

    def install(self) -> None:
        """Install as docs/install.md says: a namespace, the credential of MLflow, one command."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        login = dict(zip(("username", "password"), OPERATOR, strict=True))
        self._apply(
            {"kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
            self.mlflow_secret(**login),
            # For Prometheus: each pod has its own name here, ready or not.
            {
                "kind": "Service",
                "metadata": {"name": "pods", "namespace": NAMESPACE},
                "spec": {
                    "clusterIP": "None",
                    "publishNotReadyAddresses": True,
                    "selector": {"app.kubernetes.io/instance": RELEASE},
                    "ports": [{"name": "http", "port": 8080}],
                },
            },
        )
        self.helm(
            *("install", RELEASE, str(CHART), "--namespace", NAMESPACE),
            *("--wait", "--timeout", "120s"),
            values=self.values(),
        )

    def mlflow_secret(self, username: str, password: str) -> dict[str, Any]:
        return {
            "kind": "Secret",
            "metadata": {"name": "mlflow-prod", "namespace": NAMESPACE},
            "stringData": {"username": username, "password": password},
        }

    def rotate(self, username: str, password: str) -> None:
        self._apply(self.mlflow_secret(username, password))

    def uninstall(self) -> None:
        """Uninstall as docs/uninstall.md says, while both replicas run."""
        self._logs.open_new_files()
        self.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")

    def leader(self) -> Leader:
        """Return the replica that holds the Lease, if the test has not killed that replica.

        Raises:
            AssertionError: there is no leader for `LEADER_SECONDS`.
        """
        watch = self._kubectl.command(
            *("-n", NAMESPACE, "get", "leases", f"--field-selector=metadata.name={RELEASE}"),
            *("--watch", f"--request-timeout={LEADER_SECONDS:.0f}s"),
            *("-o", 'jsonpath={.spec.holderIdentity}{"\\n"}'),
        )
        with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdout is not None
            try:
                for line in watcher.stdout:  # one for each renewal
                    if (holder := line.strip()) and holder not in self.log_check.killed:
                        for pid in self._environment.node.pids(holder, NAMESPACE):
                            return Leader(holder, pid)
            finally:
                watcher.kill()
        raise AssertionError(f"nobody leads after {LEADER_SECONDS:.0f} s: {list(self.pods())}")

    def kill(self, leader: Leader) -> None:
        """Send SIGKILL immediately; another pod replaces the pod.

        Without a new pod, the kubelet would delay the start of a container that is killed
        repeatedly.
        """
        self.log_check.kills(leader.pod)
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader.pid, signal.SIGKILL)
        delete = ("delete", "pod", leader.pod, "--force", "--grace-period=0", "--wait=false")
        self._kubectl("-n", NAMESPACE, *delete)

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return the pods of the release by name."""
        listed = json.loads(
            self._kubectl("-n", NAMESPACE, "get", "pods", "-l", SELECTOR, "-o", "json")
        )
        return {each["metadata"]["name"]: each for each in listed["items"]}

    def scale(self, replicas: int) -> None:
        """Scale to this number of replicas, and return when they run or are deleted."""
        name = f"deployment/{RELEASE}"
        self._logs.open_new_files()
        self._kubectl("-n", NAMESPACE, "scale", name, f"--replicas={replicas}")
        if replicas:
            self._kubectl("-n", NAMESPACE, "rollout", "status", name, seconds=120)
        else:
            wait = ("wait", "--for=delete", "pod", "-l", SELECTOR, "--timeout=60s")
            self._kubectl("-n", NAMESPACE, *wait, seconds=70)

    def close(self) -> None:
        self._logs.close()

    def _apply(self, *objects: dict[str, Any]) -> None:
        whole = [{"apiVersion": "v1", **each} for each in objects]
        self._kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(whole))
