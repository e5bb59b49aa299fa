"""Fixtures: one control plane for all tests of a session, and a namespace for each test.

Tests that use `cluster`, `namespace`, `kubectl` and `admin` run on any cluster. Tests that use
`control_plane` or `start_control_plane` stop servers or read audit logs, so they are not selected
if an existing cluster is named.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.controlplane import CRDS, ControlPlane
from tests.cluster.existing import VARIABLE, Cluster, ExistingCluster, existing_cluster
from tests.cluster.kubectl import Kubectl
from tests.cluster.record import Recorder

from feature_lineage.kube.api_client import Api, connect
from feature_lineage.kube.kinds import Kind

_NAMESPACES = Kind("", "v1", "namespaces", "Namespace")
_OWN = {"control_plane", "start_control_plane"}

collect_ignore = ["rbac_coverage"]  # checks a finished run: only if it is named


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if existing_cluster() is None:
        return
    own = [item for item in items if _OWN & set(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=own)
    items[:] = [item for item in items if item not in own]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    existing = existing_cluster()
    if existing is not None:
        terminalreporter.write_line(
            f"ran on {existing.kubeconfig}, named by {VARIABLE}: tests that stop servers or read"
            " audit logs were not selected"
        )


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """The control plane of the session, with the CRDs; a test must not stop its servers."""
    with ControlPlane().start(CRDS) as plane:
        yield plane


@pytest.fixture
def start_control_plane() -> Iterator[Callable[..., ControlPlane]]:
    """Start control planes that only this test uses; the arguments are those of `start`."""
    started: list[ControlPlane] = []

    def start(crds: Path | None = None) -> ControlPlane:
        plane = ControlPlane()
        started.append(plane)
        return plane.start(crds)

    yield start
    for plane in started:
        plane.stop()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The existing cluster, if one is named, else the session's control plane; with the CRDs."""
    existing = existing_cluster()
    if existing is None:
        plane: ControlPlane = request.getfixturevalue("control_plane")
        return plane
    existing.establish(CRDS)
    return existing


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """kubectl as the administrator; a failure raises an error with its stderr."""
    return cluster.kubectl


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A new namespace; the test does not wait for its deletion.

    A namespace of a control plane that is removed as a whole is not deleted: its deletion would
    list every kind.
    """
    name = f"test-{uuid.uuid4().hex[:10]}"

    async def create() -> None:
        async with await connect(str(cluster.kubeconfig)) as api:
            await api.create(_NAMESPACES, "", {"metadata": {"name": name}})

    asyncio.run(create())
    yield name
    if isinstance(cluster, ExistingCluster):
        cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncIterator[Api]:
    """The client of the operator, as the administrator."""
    async with await connect(str(cluster.kubeconfig)) as api:
        yield api
