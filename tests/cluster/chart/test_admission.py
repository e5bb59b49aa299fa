"""A real API server accepts the rendered chart, and checks each field."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.chart.helm import NAMESPACE, Helm, only
from tests.cluster.chart.values import SETS
from tests.cluster.controlplane import ControlPlane
from tests.cluster.kubectl import Kubectl, KubectlFailed, manifest_list

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
STRICT = ("--dry-run=server", "--validate=strict", "-o", "name", "-f", "-")


@pytest.fixture(scope="module", autouse=True)
def namespaces(control_plane: ControlPlane) -> None:
    """Namespaces that the values name; they admit restricted pods only."""
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
        for name in (NAMESPACE, "team-a", "team-b")
    ]
    # A process that took tests of this module from another process runs this more than once.
    control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=manifest_list(objects))


@pytest.fixture
def prometheus(kubectl: Kubectl, prometheus_crds: Path) -> Iterator[None]:
    """The kinds of the Prometheus Operator."""
    files = [
        part
        for kind in ("servicemonitors", "prometheusrules")
        for part in ("-f", str(prometheus_crds / f"monitoring.coreos.com_{kind}.yaml"))
    ]
    kubectl("create", *files)
    kubectl("wait", "--for=condition=Established", *files, "--timeout=30s")
    yield
    kubectl("delete", *files)


@pytest.mark.usefixtures("prometheus")
def test_every_object_of_every_set_of_values_is_accepted(helm: Helm, kubectl: Kubectl) -> None:
    for values in SETS.values():
        objects = helm.render(values)

        accepted = kubectl("create", *STRICT, stdin=manifest_list(objects)).split()

        assert len(accepted) == len(objects)


def test_a_field_that_no_kind_has_is_noticed(helm: Helm, kubectl: Kubectl) -> None:
    service = only(helm.render(), "Service")
    service["spec"]["portz"] = []

    with pytest.raises(KubectlFailed, match='unknown field "portz"'):
        kubectl("create", *STRICT, stdin=manifest_list([service]))


@pytest.mark.parametrize("name", ["defaults", "everything"])
def test_pods_are_admitted_where_only_restricted_ones_are(
    helm: Helm, kubectl: Kubectl, name: str
) -> None:
    assert kubectl("create", *STRICT, stdin=manifest_list(pod_and_account(helm, SETS[name])))


def test_a_security_context_that_is_weakened_is_refused_there(helm: Helm, kubectl: Kubectl) -> None:
    weak = {"securityContext": {"allowPrivilegeEscalation": True}}

    with pytest.raises(KubectlFailed, match='violates PodSecurity "restricted'):
        kubectl("create", *STRICT, stdin=manifest_list(pod_and_account(helm, weak)))


def pod_and_account(helm: Helm, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Create a pod as the controller of the Deployment would, with an existing service account."""
    template = only(helm.render(values), "Deployment")["spec"]["template"]
    spec = {**template["spec"], "serviceAccountName": "default"}
    metadata = {**template["metadata"], "name": "operator", "namespace": NAMESPACE}
    return [{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]
