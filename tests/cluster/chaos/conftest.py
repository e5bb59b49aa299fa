"""Operators behind a bad network, and what they must end up with."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.cluster.chaos import world
from tests.cluster.chaos.proxy import FaultProxy
from tests.cluster.host.conftest import (
    StartOperator,
    chart_objects,
    operator_kubeconfig,
    start_operator,
)
from tests.cluster.kubectl import Kubectl

from feature_lineage.kube.client import Api

__all__ = ["chart_objects", "operator_kubeconfig", "start_operator"]

_undisturbed: dict[str, world.State] = {}


@pytest.fixture
async def proxy(operator_kubeconfig: Path, tmp_path: Path) -> AsyncIterator[FaultProxy]:
    """The way of the test's operator to the API server."""
    async with FaultProxy(operator_kubeconfig, tmp_path) as way:
        yield way


@pytest.fixture
async def undisturbed(admin: Api, kubectl: Kubectl, start_operator: StartOperator) -> world.State:
    """What comes of `world` where nothing goes wrong; played once, in a namespace of its own."""
    if not _undisturbed:
        calm = f"calm-{uuid.uuid4().hex[:10]}"
        kubectl("create", "namespace", calm)
        operator = await start_operator(namespaces=[calm])
        await world.begin(admin, calm)
        await world.begun(admin, calm)
        await world.change(admin, calm)
        _undisturbed.update(await world.settled(admin, calm))
        assert await operator.end() == 0
        assert operator.errors() == []
        kubectl("delete", "namespace", calm, "--wait=false")
    return _undisturbed
