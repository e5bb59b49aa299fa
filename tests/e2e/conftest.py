"""One world for all scenes of a session, with the operator installed; a tenant for each."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.chart.helm import Helm
from tests.cluster.kubectl import Kubectl
from tests.e2e.environment import World
from tests.e2e.images import images, sizes
from tests.e2e.node_files import CGROUP
from tests.e2e.operator import InstalledOperator
from tests.e2e.recovery import RECOVERY_SECONDS, taken
from tests.e2e.tenant import Tenant
from tests.e2e.uninstall_check import leave, there

from feature_lineage.kube.api_client import Api, connect

SettleTenant = Callable[..., Tenant]

_worlds: list[World] = []
_told: list[str] = []
"""By other processes' worlds."""


def pytest_configure(config: pytest.Config) -> None:
    told = "errors(*beginnings): errors that the operator may log in this scene"
    config.addinivalue_line("markers", told)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needing = [item for item in items if "world" in getattr(item, "fixturenames", ())]
    if needing and CGROUP not in os.environ:
        raise pytest.UsageError("scenes on a node play in a sandbox: run make e2e")
    # The others fill the time that is left beside them.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Each world is of another process, where there are several; one tells of them all."""
    getattr(session.config, "workeroutput", {})["told"] = list(_summary())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _told.extend(getattr(node, "workeroutput", {}).get("told", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in dict.fromkeys((*_told, *_summary())):
        terminalreporter.write_line(line)


def _summary() -> Iterator[str]:
    """What is to be told of the world of this process, and of what happened there."""
    for world in _worlds:
        parts = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in world.seconds.items())
        yield f"world: {parts}"
    if taken:
        slowest = f"{max(taken):.1f} s of {RECOVERY_SECONDS:.0f}"
        yield f"recovery: the slowest of {len(taken)} took {slowest}"
    if images.cache_info().currsize:
        yield f"images: {sizes()}"


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Cluster, node and servers, without the operator."""
    # The sandbox's own memory. (What is under pytest's folder, the next pytest shuts to others.)
    folder = Path(tempfile.mkdtemp(prefix="world-", dir="/dev/shm"))
    with World(folder, images()) as started:
        _worlds.append(started)
        yield started


@pytest.fixture(scope="session")
def operator(
    world: World, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InstalledOperator]:
    """The operator, installed by its chart; scenes leave it running. It is uninstalled at last."""
    installed = InstalledOperator(
        world, Helm(tmp_path_factory.mktemp("helm"), world.plane.kubeconfig)
    )
    before = there(kubectl)
    with world.timed("helm install"):
        installed.install()
    yield installed
    with world.timed("helm uninstall, and what it leaves"):
        leave(kubectl, installed, before)
    installed.close()


@pytest.fixture(autouse=True)
def judged(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a scene is about, it fails by an error that the operator logs, or a restart."""
    if "operator" not in request.fixturenames:
        yield
        return
    operator: InstalledOperator = request.getfixturevalue("operator")
    yield
    expected = [each for mark in request.node.iter_markers("errors") for each in mark.args]

    assert operator.judge.mistakes(*expected) == []


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
