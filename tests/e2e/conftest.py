"""One world for all scenes of a session, with the operator installed; a tenant for each."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.chart.helm import Helm
from tests.cluster.kubectl import Kubectl
from tests.e2e.images import images
from tests.e2e.node_files import CGROUP
from tests.e2e.operator import InstalledOperator
from tests.e2e.tenant import Tenant
from tests.e2e.world import World

from feature_lineage.kube.client import Api, connect

SettleTenant = Callable[..., Tenant]

_worlds: list[World] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needing = [item for item in items if "world" in getattr(item, "fixturenames", ())]
    if needing and CGROUP not in os.environ:
        raise pytest.UsageError("scenes on a node play in a sandbox: run make e2e")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for world in _worlds:
        parts = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in world.seconds.items())
        terminalreporter.write_line(f"world: {parts}")


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Cluster, node and servers, without the operator."""
    # The sandbox's own memory. (What is under pytest's folder, the next pytest shuts to others.)
    folder = Path(tempfile.mkdtemp(prefix="world-", dir="/dev/shm"))
    with World(folder, images()) as started:
        _worlds.append(started)
        yield started


@pytest.fixture(scope="session")
def operator(world: World, tmp_path_factory: pytest.TempPathFactory) -> InstalledOperator:
    """The operator, installed by its chart; scenes leave it running."""
    installed = InstalledOperator(
        world, Helm(tmp_path_factory.mktemp("helm"), world.plane.kubeconfig)
    )
    with world.timed("helm install"):
        installed.install()
    return installed


@pytest.fixture(scope="session")
def kubectl(world: World) -> Kubectl:
    return world.plane.kubectl


@pytest.fixture
async def admin(world: World) -> AsyncIterator[Api]:
    """The operator's own client, as the administrator."""
    async with await connect(str(world.plane.kubeconfig)) as api:
        yield api


@pytest.fixture
def settle(
    world: World, operator: InstalledOperator, admin: Api, kubectl: Kubectl
) -> Iterator[SettleTenant]:
    """Makes a tenant with a namespace of its own; shows what happened there if the test fails."""
    settled: list[Tenant] = []

    def make(name: str = "driver") -> Tenant:
        namespace = f"test-{uuid.uuid4().hex[:8]}"
        labels = ("pod-security.kubernetes.io/enforce=restricted",)
        kubectl("create", "namespace", namespace)
        kubectl("label", "namespace", namespace, *labels)
        tenant = Tenant(admin, kubectl, namespace, world.mlflow, name, world=world)
        settled.append(tenant)
        tenant.settle()
        return tenant

    yield make
    for tenant in settled:
        kubectl("delete", "namespace", tenant.namespace, "--wait=false")


@pytest.fixture(autouse=True)
def evidence(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test that failed leaves for whoever has to find out why."""
    yield
    report = getattr(request.node, "report", None)
    if report is None or not report.failed or not _worlds:
        return
    kubectl = _worlds[-1].plane.kubectl
    print(kubectl("get", "fsp,ftm,jobs,pods", "-A", "-o", "wide"))
    print(kubectl("get", "events.v1.events.k8s.io", "-A", "--sort-by=.metadata.creationTimestamp"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.report = report  # type: ignore[attr-defined]
