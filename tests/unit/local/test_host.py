"""Failed reconciles of the local host: back-off, and the end of ``--once``."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.local.conftest import EventRecorder
from tests.local.scene import project_manifest, write_yaml

from feature_lineage.decide.facts import Key
from feature_lineage.errors import ServerUnavailable
from feature_lineage.local.host import LocalHost
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.ports import Ports

MANY = 1000
PROJECT = Key("FeatureStoreProject", "default", "driver")


class FailingResources:
    """Raises an error for this number of saves; the rest is that of the host."""

    def __init__(self, target: Any, failures: int) -> None:
        self._target = target
        self.failures = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    async def save(self, resource: Any) -> Any:
        if self.failures > 0:
            self.failures -= 1
            raise ServerUnavailable("away")
        return await self._target.save(resource)


class FailureRecorder(EventRecorder):
    """Records the back-off of each failure; `changed` is set at each outcome."""

    def __init__(self) -> None:
        super().__init__()
        self.backoffs: list[float] = []
        self.changed = asyncio.Event()

    def failed(self, key: Key, error: Exception, retry_after: float) -> None:
        super().failed(key, error, retry_after)
        self.backoffs.append(retry_after)
        self.changed.set()

    def reconciled(self, *outcome: Any) -> None:
        super().reconciled(*outcome)
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.changed.clear()
            await self.changed.wait()


def host(folder: Path, recorder: EventRecorder, failures: int) -> LocalHost:
    """A host of one suspended project, whose first saves fail."""
    write_manifest(folder)

    def wrap(ports: Ports) -> Ports:
        return replace(ports, resources=FailingResources(ports.resources, failures))  # type: ignore[arg-type]

    return LocalHost(folder, folder / ".feature-lineage", recorder, wrap=wrap)


def write_manifest(folder: Path, **spec: Any) -> None:
    write_yaml(folder / "manifests.yaml", project_manifest("suspended", suspend=True, **spec))


async def test_a_deleted_project_leaves_no_keys(tmp_path: Path) -> None:
    """The record of its probes has keys of entities."""
    write_manifest(tmp_path)
    record = tmp_path / ".feature-lineage" / "probes" / "default" / "driver.json"
    async with asyncio.timeout(60):
        async with LocalHost(tmp_path, tmp_path / ".feature-lineage", EventRecorder()) as local:
            await local.run_once()
            await local.ports.probes.keep(PROJECT, ProbeRecord())
        assert record.exists()
        (tmp_path / "manifests.yaml").unlink()
        async with LocalHost(tmp_path, tmp_path / ".feature-lineage", EventRecorder()) as local:
            await local.run_once()

    assert not record.exists()


async def test_once_ends_without_waiting_for_a_back_off(tmp_path: Path) -> None:
    recorder = FailureRecorder()
    async with asyncio.timeout(60), host(tmp_path, recorder, MANY) as local:
        assert not await local.run_once()

    assert len(recorder.backoffs) == 1


async def test_a_failure_is_retried_after_a_growing_back_off(tmp_path: Path) -> None:
    recorder, stop = FailureRecorder(), asyncio.Event()
    async with asyncio.timeout(60), host(tmp_path, recorder, 2) as local:
        running = asyncio.create_task(local.run(stop))
        await recorder.until(lambda: bool(recorder.reconciles))
        stop.set()
        await running

    first, second = recorder.backoffs
    assert 0.5 <= first <= 1.0 <= second <= 2.0


async def test_a_changed_manifest_ends_a_back_off(tmp_path: Path) -> None:
    recorder, stop = FailureRecorder(), asyncio.Event()
    async with asyncio.timeout(60), host(tmp_path, recorder, MANY) as local:
        running = asyncio.create_task(local.run(stop))
        await recorder.until(lambda: len(recorder.backoffs) == 3)
        write_manifest(tmp_path, freshness={"maxAge": "2h"})
        await recorder.until(lambda: len(recorder.backoffs) == 4)
        stop.set()
        await running

    assert recorder.backoffs[3] <= 1.0 < recorder.backoffs[2]
