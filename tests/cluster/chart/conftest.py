"""Helm without a cluster, and with one that has none of our CRDs."""

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
    """Helm that knows no cluster."""
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A control plane of the chart's own, without CRDs: releases are as wide as the cluster."""
    with ControlPlane() as started:
        yield started


@pytest.fixture(scope="session")
def prometheus_crds() -> Path:
    """Folder of the Prometheus Operator's CRDs, from its pinned module."""
    tools = Path(__file__).with_name("prometheus")
    return module_folder(tools, PROMETHEUS) / "example/prometheus-operator-crd"


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """kubectl as the administrator; what the test made is gone afterwards.

    A test's namespaces and the roles of a release bear `MINE`; CRDs may be somebody else's.
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
    """A namespace of the test's own."""
    return new_namespace(kubectl, f"chart-{zlib.crc32(request.node.nodeid.encode()):08x}")


@pytest.fixture
def releases(control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> Helm:
    """Helm on the cluster."""
    return Helm(tmp_path, control_plane.kubeconfig)
