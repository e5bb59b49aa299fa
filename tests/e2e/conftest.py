"""Fixtures: one environment per session, with the operator installed; a tenant for each test."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.chart.helm import Helm
from tests.cluster.kubectl import Kubectl
from tests.e2e.environment import E2eEnvironment
from tests.e2e.images import images, sizes
from tests.e2e.node_files import CGROUP
from tests.e2e.operator import InstalledOperator
from tests.e2e.recovery import RECOVERY_SECONDS, taken
from tests.e2e.tenant import Tenant
from tests.e2e.uninstall_check import check_uninstall, cluster_objects

from feature_lineage.kube.api_client import Api, connect

CreateTenant = Callable[..., Tenant]

_environments: list[E2eEnvironment] = []
_worker_summaries: list[str] = []
"""Sandboxes of the other test processes."""


def pytest_configure(config: pytest.Config) -> None:
    marker = "errors(*beginnings): errors that the operator may log in this test"
    config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    needing = [item for item in items if "environment" in getattr(item, "fixturenames", ())]
    if needing and CGROUP not in os.environ and not config.option.collectonly:
        raise pytest.UsageError("scenes on a node play in a sandbox: run make e2e")
    # The other tests use the time that remains.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With several processes, each has its own environment; one of them prints a summary of all."""
    getattr(session.config, "workeroutput", {})["summary"] = list(_summary())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _worker_summaries.extend(getattr(node, "workeroutput", {}).get("summary", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in dict.fromkeys((*_worker_summaries, *_summary())):
        terminalreporter.write_line(line)


def _summary() -> Iterator[str]:
    """The summary of this process: its environment and what happened in it."""
    for environment in _environments:
        parts = ", ".join(
            f"{what} {seconds:.1f} s" for what, seconds in environment.seconds.items()
        )
        yield f"environment: {parts}"
    if taken:
        slowest = f"{max(taken):.1f} s of {RECOVERY_SECONDS:.0f}"
        yield f"recovery: the slowest of {len(taken)} took {slowest}"
    if images.cache_info().currsize:
        yield f"images: {sizes()}"


@pytest.fixture(scope="session")
def environment() -> Iterator[E2eEnvironment]:
    """Cluster, node and servers, without the operator."""
    # A file system in the memory of the sandbox. (The next pytest process denies other users access
    # to pytest's folder.)
    folder = Path(tempfile.mkdtemp(prefix="environment-", dir="/dev/shm"))
    with E2eEnvironment(folder, images()) as started:
        _environments.append(started)
        yield started


@pytest.fixture(scope="session")
def operator(
    environment: E2eEnvironment, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InstalledOperator]:
    """The operator, installed by its chart; tests keep it running. It is uninstalled at the end."""
    installed = InstalledOperator(
        environment, Helm(tmp_path_factory.mktemp("helm"), environment.plane.kubeconfig)
    )
    before = cluster_objects(kubectl)
    with environment.timed("helm install"):
        installed.install()
    yield installed
    with environment.timed("helm uninstall, and what it leaves"):
        check_uninstall(kubectl, installed, before)
    installed.close()


@pytest.fixture(autouse=True)
def no_unexpected_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test fails if the operator logs an error or restarts."""
    if "operator" not in request.fixturenames:
        yield
        return
    operator: InstalledOperator = request.getfixturevalue("operator")
    yield
    expected = [each for mark in request.node.iter_markers("errors") for each in mark.args]

    assert operator.log_check.new_errors(*expected) == []


@pytest.fixture(scope="session")
def kubectl(environment: E2eEnvironment) -> Kubectl:
    return environment.plane.kubectl


@pytest.fixture
async def admin(environment: E2eEnvironment) -> AsyncIterator[Api]:
    """The client of the operator, as the administrator."""
    async with await connect(str(environment.plane.kubeconfig)) as api:
        yield api


@pytest.fixture
def create_tenant(
    environment: E2eEnvironment, operator: InstalledOperator, admin: Api, kubectl: Kubectl
) -> Iterator[CreateTenant]:
    """Create a tenant with its own namespace; print what happened there if the test fails."""
    tenants: list[Tenant] = []

    def make(name: str = "driver") -> Tenant:
        namespace = f"test-{uuid.uuid4().hex[:8]}"
        tenant = Tenant(
            admin, kubectl, namespace, environment.mlflow, name, environment=environment
        )
        tenants.append(tenant)
        tenant.prepare()
        return tenant

    yield make
    for tenant in tenants:
        kubectl("delete", "namespace", tenant.namespace, "--wait=false")


@pytest.fixture(autouse=True)
def evidence(request: pytest.FixtureRequest) -> Iterator[None]:
    """Return the state after a failed test, for the search for the cause."""
    yield
    report = getattr(request.node, "report", None)
    if report is None or not report.failed or not _environments:
        return
    kubectl = _environments[-1].plane.kubectl
    print(kubectl("get", "fsp,ftm,jobs,pods", "-A", "-o", "wide"))
    print(kubectl("get", "events.v1.events.k8s.io", "-A", "--sort-by=.metadata.creationTimestamp"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.report = report  # type: ignore[attr-defined]
