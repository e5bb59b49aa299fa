"""Fixtures: operators with a faulty network, and the state that they must reach."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.chaos import environment
from tests.cluster.chaos.pod import READY_SECONDS
from tests.cluster.chaos.proxy import FaultProxy
from tests.cluster.host.conftest import StartOperator, chart_objects, operator_kubeconfig
from tests.cluster.host.conftest import start_operator as start_at_once
from tests.cluster.host.process import Operator
from tests.cluster.kubectl import Kubectl

from feature_lineage.kube.api_client import Api

__all__ = ["chart_objects", "operator_kubeconfig", "start_at_once"]

_undisturbed: dict[str, environment.State] = {}


@pytest.fixture
def start_operator(start_at_once: StartOperator) -> StartOperator:
    """Start replicas with longer timeouts, because other processes use the same machine."""

    async def start(**given: Any) -> Operator:
        operator = await start_at_once(ready=False, **given)
        await operator.ready(READY_SECONDS)
        return operator

    return start


@pytest.fixture
async def proxy(operator_kubeconfig: Path, tmp_path: Path) -> AsyncIterator[FaultProxy]:
    """The proxy between the operator of the test and the API server."""
    async with FaultProxy(operator_kubeconfig, tmp_path) as way:
        yield way


@pytest.fixture
async def undisturbed(
    admin: Api, kubectl: Kubectl, start_operator: StartOperator
) -> environment.State:
    """The final state without any fault; computed once, in its own namespace."""
    if not _undisturbed:
        calm = f"calm-{uuid.uuid4().hex[:10]}"
        kubectl("create", "namespace", calm)
        operator = await start_operator(namespaces=[calm])
        await environment.begin(admin, calm)
        await environment.begun(admin, calm)
        await environment.change(admin, calm)
        _undisturbed.update(await environment.quiet_state(admin, calm))
        assert await operator.end() == 0
        assert operator.errors() == []
        kubectl("delete", "namespace", calm, "--wait=false")
    return _undisturbed
