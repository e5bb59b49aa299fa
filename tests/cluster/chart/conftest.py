"""Helm without a cluster, and with a cluster that has none of our CRDs."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.chart.environment import MINE, new_namespace
from tests.cluster.chart.helm import Helm
from tests.cluster.controlplane import ControlPlane
from tests.cluster.kubectl import Kubectl
from tests.cluster.modules import module_folder

from feature_lineage.api.crd import crd_documents

PROMETHEUS = "github.com/prometheus-operator/prometheus-operator"


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A control plane without CRDs, only for the chart: releases contain cluster-scoped objects."""
    with ControlPlane() as started:
        yield started


@pytest.fixture(scope="session")
def prometheus_crds() -> Path:
    """Folder of the Prometheus Operator's CRDs, from its pinned module."""
    tools = Path(__file__).with_name("prometheus")
    return module_folder(tools, PROMETHEUS) / "example/prometheus-operator-crd"


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """kubectl as the administrator; deletes the objects of the test afterwards.

    The namespaces of a test and the roles of a release have the label `MINE`. Other CRDs of the
    cluster are not deleted.
    """
    yield control_plane.kubectl
    crds = [crd["metadata"]["name"] for crd in crd_documents()]
    mine = (f"--selector={MINE}", "--ignore-not-found")
    there = control_plane.kubectl("get", "crds", *crds, "--ignore-not-found", "-o", "name").split()
    control_plane.kubectl.wait_until_listed(there)
    if there:
        control_plane.kubectl("delete", *there)
    control_plane.kubectl("delete", "clusterroles,clusterrolebindings", *mine)
    control_plane.kubectl("delete", "namespaces", *mine, "--wait=false")


@pytest.fixture
def namespace(kubectl: Kubectl, request: pytest.FixtureRequest) -> str:
    """A namespace only for this test."""
    return new_namespace(kubectl, f"chart-{zlib.crc32(request.node.nodeid.encode()):08x}")


@pytest.fixture
def releases(control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> Helm:
    """Helm on the cluster."""
    return Helm(tmp_path, control_plane.kubeconfig)
