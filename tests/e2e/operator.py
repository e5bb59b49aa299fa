"""The operator as a platform installs it: by its chart, as pods on the node."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml
from tests.cluster.chart.helm import CHART, NAMESPACE, RELEASE, Helm
from tests.cluster.host.process import Line
from tests.e2e.world import MLFLOW_URL, OPERATOR, World

SELECTOR: Final = f"app.kubernetes.io/instance={RELEASE}"
LEADER_SECONDS: Final = 90.0


@dataclass(frozen=True)
class Leader:
    """A replica that leads: its pod, and the first process of its container."""

    pod: str
    pid: int


@dataclass(frozen=True)
class Told:
    """How often containers were started again, and the errors that were logged, each by its key."""

    restarts: int
    errors: frozenset[tuple[str, str]]


class InstalledOperator:
    """A release, with two replicas.

    Attributes:
        helm: with the cluster's kubeconfig.
    """

    def __init__(self, world: World, helm: Helm) -> None:
        self.helm = helm
        self._world = world
        self._kubectl = world.plane.kubectl
        self._killed: dict[str, list[Line]] = {}

    def values(self) -> dict[str, Any]:
        images = self._world.images
        operator, runner = (
            dict(zip(("repository", "tag"), tag.removeprefix("localhost/").split(":"), strict=True))
            for tag in (images.operator_tag, images.runner_tag)
        )
        own = {"registry": "localhost", "pullPolicy": "Never"}
        return {
            "image": {**own, **operator},
            "runner": {"image": {**own, **runner}},
            "mlflowServers": [
                {"name": "prod", "trackingUri": MLFLOW_URL, "secretName": "mlflow-prod"}
            ],
            "allowedTrackingUris": [MLFLOW_URL],
        }

    def install(self) -> None:
        """As docs/install.md does: a namespace, the credential of MLflow, one command."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        login = dict(zip(("username", "password"), OPERATOR, strict=True))
        self._apply(
            {"kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
            self.mlflow_secret(**login),
            # For Prometheus: each pod has a name of its own here, ready or not.
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
        self.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")

    def leader(self) -> Leader:
        """The replica that holds the Lease, once it is one that was not killed here.

        Raises:
            AssertionError: nobody leads for `LEADER_SECONDS`.
        """
        deadline = time.monotonic() + LEADER_SECONDS
        while time.monotonic() < deadline:
            holder = self._kubectl(
                *("-n", NAMESPACE, "get", "lease", RELEASE),
                *("-o", "jsonpath={.spec.holderIdentity}"),
            )
            if holder and holder not in self._killed:
                for pid in self._world.node.pids(holder, NAMESPACE):
                    return Leader(holder, pid)
            time.sleep(0.1)  # neither a Lease nor a container tells when it has begun
        raise AssertionError(f"nobody leads after {LEADER_SECONDS:.0f} s: {list(self.pods())}")

    def kill(self, leader: Leader) -> None:
        """SIGKILL, this very moment; another pod takes the place of its pod.

        A container that is killed again and again would be started later each time.
        """
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader.pid, signal.SIGKILL)
        self._killed[leader.pod] = list(self._lines_of(leader.pod))
        delete = ("delete", "pod", leader.pod, "--force", "--grace-period=0", "--wait=false")
        self._kubectl("-n", NAMESPACE, *delete)

    def pods(self) -> dict[str, dict[str, Any]]:
        """The pods of the release by name."""
        listed = json.loads(
            self._kubectl("-n", NAMESPACE, "get", "pods", "-l", SELECTOR, "-o", "json")
        )
        return {each["metadata"]["name"]: each for each in listed["items"]}

    def scale(self, replicas: int) -> None:
        """Have that many replicas, and return once they are there, or gone."""
        name = f"deployment/{RELEASE}"
        self._kubectl("-n", NAMESPACE, "scale", name, f"--replicas={replicas}")
        if replicas:
            self._kubectl("-n", NAMESPACE, "rollout", "status", name, seconds=120)
        else:
            wait = ("wait", "--for=delete", "pod", "-l", SELECTOR, "--timeout=60s")
            self._kubectl("-n", NAMESPACE, *wait, seconds=70)

    def so_far(self) -> Told:
        """What it has told up to now, for `mistakes` to leave out."""
        return Told(self._restarts(), frozenset(_key(line) for line in self._errors()))

    def mistakes(self, before: Told) -> list[Line]:
        """What it logged as errors since, and restarts that none of it explains.

        A Lease that is lost is none, where it is followed by a restart as it should be: that is
        how a replica takes a node that stood still, or a machine that is too busy.
        """
        since = [line for line in self._errors() if _key(line) not in before.errors]
        lost = [line for line in since if line["message"].startswith("LeaseLost")]
        unexplained = self._restarts() - before.restarts - len(lost)
        told = [line for line in since if line not in lost]
        return told if unexplained <= 0 else [*told, {"message": f"{unexplained} restarts"}]

    def _restarts(self) -> int:
        return sum(
            status["restartCount"]
            for pod in self.pods().values()
            for status in pod["status"].get("containerStatuses", ())
        )

    def lines(self) -> Iterator[Line]:
        """What its containers logged, those included that were killed or started again."""
        for lines in self._killed.values():
            yield from lines
        for pod, body in self.pods().items():
            containers = body["status"].get("containerStatuses", ())
            if any(each["restartCount"] for each in containers):
                yield from self._lines_of(pod, "--previous")
            if any("waiting" not in each["state"] for each in containers):
                yield from self._lines_of(pod)

    def _lines_of(self, pod: str, *which: str) -> Iterator[Line]:
        for line in self._kubectl("-n", NAMESPACE, "logs", pod, *which).splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                yield {"level": "error", "message": line}

    def _errors(self) -> list[Line]:
        return [line for line in self.lines() if line["level"] in ("error", "critical")]

    def _apply(self, *objects: dict[str, Any]) -> None:
        whole = [{"apiVersion": "v1", **each} for each in objects]
        self._kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(whole))


def _key(line: Line) -> tuple[str, str]:
    return str(line.get("time")), str(line["message"])
