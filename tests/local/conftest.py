"""Real Feast and real MLflow without a cluster: shared fixtures of the tests of the local host."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.forks.client import forked_jobs
from tests.local import state_reader
from tests.local.scene import MLflow
from tests.local.state_reader import files_of
from tests.servers.fixtures import mlflow_server
from tests.servers.mlflow import Server

from feature_lineage.decide.facts import Event, Key, Resource
from feature_lineage.errors import InvalidManifest
from feature_lineage.local.host import LocalHost
from feature_lineage.reconcile.listener import Listener
from feature_lineage.reconcile.reconciler import ReconcileResult

__all__ = ["mlflow_server"]

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _forked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Jobs and commands are forked from a process with Feast, unless they are a test's subject."""
    real = request.node.get_closest_marker("real_processes") is not None
    with contextlib.nullcontext() if real else forked_jobs(), state_reader.commands(fork=not real):
        yield


@pytest.fixture
def mlflow(mlflow_server: Server) -> MLflow:
    return MLflow(mlflow_server.url)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test uses on the shared server."""
    return lambda stem: f"{stem}_{next(_numbers)}"


class EventRecorder(Listener):
    """Records the actions of a host."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.failures: list[tuple[Key, Exception]] = []
        self.rejected: list[InvalidManifest] = []
        self.reconciles: list[tuple[Key, ReconcileResult]] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def reconciled(
        self, key: Key, before: Resource, result: ReconcileResult, seconds: float
    ) -> None:
        self.reconciles.append((key, result))

    def failed(self, key: Key, error: Exception, retry_after: float) -> None:
        self.failures.append((key, error))

    def invalid(self, error: InvalidManifest) -> None:
        self.rejected.append(error)


async def run_once(
    folder: Path, recorder: EventRecorder | None = None, *, deadline: float = 300
) -> bool:
    """Run ``feature-lineage local FOLDER --once``."""
    async with (
        asyncio.timeout(deadline),
        LocalHost(folder, folder / ".feature-lineage", recorder or EventRecorder()) as host,
    ):
        return await host.run_once()


async def assert_quiet(folder: Path) -> None:
    """Nothing changed: two more passes start no operation, and write and report nothing."""
    files = files_of(folder)
    for _ in range(2):
        recorder = EventRecorder()
        await run_once(folder, recorder)
        assert recorder.events == recorder.failures == []
        assert not any(result.wrote or result.requeue for _, result in recorder.reconciles)
        assert files_of(folder) == files
