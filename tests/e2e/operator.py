"""The operator as a platform installs it: by its chart, as pods on the node."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import yaml
from tests.cluster.chart.helm import CHART, NAMESPACE, RELEASE, Helm
from tests.cluster.host.process import Line
from tests.e2e.world import MLFLOW_URL, OPERATOR, World

SELECTOR: Final = f"app.kubernetes.io/instance={RELEASE}"
LEASE: Final = RELEASE


class InstalledOperator:
    """A release, with two replicas.

    Attributes:
        helm: with the cluster's kubeconfig.
    """

    def __init__(self, world: World, helm: Helm) -> None:
        self.helm = helm
        self._world = world
        self._kubectl = world.plane.kubectl

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

    def leader(self) -> str:
        """Name of the pod that holds the Lease, "" where nobody does."""
        holder = self._kubectl(
            *("-n", NAMESPACE, "get", "lease", LEASE),
            *("-o", "jsonpath={.spec.holderIdentity}"),
        )
        return next((pod for pod in self.pods() if holder.startswith(pod)), "")

    def pods(self) -> dict[str, dict[str, Any]]:
        """The pods of the release by name."""
        listed = json.loads(
            self._kubectl("-n", NAMESPACE, "get", "pods", "-l", SELECTOR, "-o", "json")
        )
        return {each["metadata"]["name"]: each for each in listed["items"]}

    def kill_leader(self) -> str:
        """SIGKILL to the leader's container, which its kubelet starts again; the pod's name."""
        deadline = time.monotonic() + 60
        while not (leader := self.leader()):
            assert time.monotonic() < deadline, "nobody leads"
            time.sleep(0.1)
        self._world.node.kill_containers(leader, NAMESPACE)
        return leader

    def restarts(self) -> int:
        return sum(
            status["restartCount"]
            for pod in self.pods().values()
            for status in pod["status"].get("containerStatuses", ())
        )

    def lines(self) -> Iterator[Line]:
        """What its containers logged, those that were started again included."""
        for pod, body in self.pods().items():
            again = any(each["restartCount"] for each in body["status"]["containerStatuses"])
            for which in (("--previous",) if again else (), ()):
                text = self._kubectl("-n", NAMESPACE, "logs", pod, *which)
                for line in text.splitlines():
                    try:
                        yield json.loads(line)
                    except ValueError:
                        yield {"level": "error", "message": line}

    def errors(self) -> list[Line]:
        return [line for line in self.lines() if line["level"] in ("error", "critical")]

    def _apply(self, *objects: dict[str, Any]) -> None:
        whole = [{"apiVersion": "v1", **each} for each in objects]
        self._kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(whole))
