"""Operators with the permissions of the chart; each test stops the operators that it started."""

import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.chart.helm import NAMESPACE, RELEASE, Helm, Object
from tests.cluster.existing import Cluster
from tests.cluster.host.process import Operator, grant_lease, grant_permissions

StartOperator = Callable[..., Awaitable[Operator]]


@pytest.fixture(scope="session")
def chart_objects(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """The objects that the chart renders with its default values."""
    return Helm(tmp_path_factory.mktemp("helm")).render()


@pytest.fixture(scope="session")
def operator_kubeconfig(cluster: Cluster, chart_objects: list[Object]) -> Path:
    """Kubeconfig of the operator's ServiceAccount, with the chart's permissions everywhere."""
    grant_permissions(cluster, chart_objects)
    return cluster.service_account_kubeconfig(NAMESPACE, RELEASE)


@pytest.fixture
async def start_operator(
    operator_kubeconfig: Path,
    chart_objects: list[Object],
    cluster: Cluster,
    namespace: str,
    tmp_path: Path,
) -> AsyncIterator[StartOperator]:
    """Start a replica that watches the namespace of the test, with its own Lease.

    Arguments: `ready` (wait until the replica is ready; default True), `kubeconfig`, `environment`,
    `program` (runs instead of the command), and fields of the configuration, such as
    ``namespaces``.
    """
    started: list[Operator] = []
    grant_lease(cluster, copy.deepcopy(chart_objects), namespace)

    async def start(
        *,
        ready: bool = True,
        kubeconfig: Path = operator_kubeconfig,
        environment: dict[str, str] | None = None,
        program: tuple[str, ...] = (),
        **config: Any,
    ) -> Operator:
        given = {"namespaces": [namespace], **config}
        operator = Operator(kubeconfig, given, tmp_path, namespace, environment or {})
        operator.program = program or operator.program
        started.append(operator)
        await operator.start()
        if ready:
            await operator.ready()
        return operator

    yield start
    for operator in started:
        if operator.process is not None and operator.process.returncode is None:
            await operator.end()
