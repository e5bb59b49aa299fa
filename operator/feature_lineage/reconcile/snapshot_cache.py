"""Registry snapshots by digest: cached in memory, else read from the host or from MLflow."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.errors import FeatureLineageError
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.large_parses import LARGE_BYTES, NeedsTurn, may_parse_large
from feature_lineage.ports import ModelRegistry, Ports

MAX_SNAPSHOTS: Final = 64
MAX_MEMORY: Final = 128 * 1024 * 1024
"""Bytes of all snapshots together, as `RegistrySnapshot.memory` estimates them."""
RETRY_MISSING: Final = timedelta(minutes=10)
"""How long a snapshot that MLflow did not have is not requested again."""

_log = logging.getLogger(__name__)

_Read = tuple[Key, ModelRegistry | None, str]
"""Identifies one read: the project, the MLflow server, and the digest."""
_Shared = tuple[_Read, bool]
"""A read, and whether a large snapshot is parsed; who has no turn must not fail who has one."""


class SnapshotCache:
    """The most recently used snapshots, shared by all projects.

    Concurrent reads of the same snapshot are one read: a large registry takes 50 ms and 5 MB.
    """

    def __init__(self) -> None:
        self._snapshots: dict[str, RegistrySnapshot] = {}
        self._alive: WeakValueDictionary[int, RegistrySnapshot] = WeakValueDictionary()
        self._missing: dict[_Read, datetime] = {}
        self._pending: dict[_Shared, asyncio.Future[RegistrySnapshot | None]] = {}

    def get(self, digest: str) -> RegistrySnapshot | None:
        """The snapshot if it is in memory."""
        return self._snapshots.get(digest)

    async def current(self, ports: Ports, project: FeatureStoreProject) -> RegistrySnapshot | None:
        """The snapshot in the project's status; None if the status names none, or it is lost."""
        registry = project.status.registry
        if registry is None or registry.digest is None:
            return None
        found = await self.read(ports, project, None, {registry.digest})
        return found.get(registry.digest)

    async def read(
        self,
        ports: Ports,
        project: FeatureStoreProject,
        registry: ModelRegistry | None,
        digests: Iterable[str],
    ) -> dict[str, RegistrySnapshot]:
        """Snapshots by digest: from memory, from the host's store, else from the ops runs.

        Args:
            registry: where the ops runs are; None: do not request anything of MLflow.

        Returns:
            The snapshots that were found.

        Raises:
            NeedsTurn: a large one is not in memory, or those that reconciles use take more than
                `MAX_MEMORY`.
        """
        found: dict[str, RegistrySnapshot] = {}
        for digest in digests:
            snapshot = self._snapshots.get(digest)
            if snapshot is None:
                snapshot = await self._read_once(ports, project, registry, digest)
            elif not may_parse_large() and snapshot.memory > LARGE_BYTES:
                self._check_memory()
            if snapshot is not None:
                found[digest] = snapshot
                self._keep(digest, snapshot)
        return found

    def forget(self, key: Key) -> None:
        """Remove the entries of a deleted project; other projects may use the same snapshots."""
        self._missing = {read: at for read, at in self._missing.items() if read[0] != key}

    def _check_memory(self) -> None:
        """Who has no turn may not use a snapshot that others then replace here, and so on."""
        if sum(each.memory for each in self._alive.values()) > MAX_MEMORY:
            raise NeedsTurn

    def _keep(self, digest: str, snapshot: RegistrySnapshot) -> None:
        self._snapshots.pop(digest, None)
        self._snapshots[digest] = self._alive[id(snapshot)] = snapshot
        kept, size = 0, 0
        for each in reversed(self._snapshots.values()):
            size += each.memory
            if kept and (kept == MAX_SNAPSHOTS or size > MAX_MEMORY):
                break
            kept += 1
        for oldest in list(self._snapshots)[:-kept]:
            del self._snapshots[oldest]

    async def _read_once(
        self,
        ports: Ports,
        project: FeatureStoreProject,
        registry: ModelRegistry | None,
        digest: str,
    ) -> RegistrySnapshot | None:
        read = ((key_of(project), registry, digest), may_parse_large())
        pending = self._pending.get(read)
        if pending is None:
            pending = asyncio.ensure_future(self._read(ports, project, registry, digest))
            self._pending[read] = pending
            pending.add_done_callback(partial(self._ended, read))
        return await asyncio.shield(pending)

    def _ended(self, read: _Shared, pending: "asyncio.Future[RegistrySnapshot | None]") -> None:
        """Retrieve the error: asyncio logs one without a waiter."""
        self._pending.pop(read, None)
        if not pending.cancelled():
            pending.exception()

    async def _read(
        self,
        ports: Ports,
        project: FeatureStoreProject,
        registry: ModelRegistry | None,
        digest: str,
    ) -> RegistrySnapshot | None:
        snapshot = await ports.snapshots.get(key_of(project), digest)
        if snapshot is not None or registry is None:
            return snapshot
        read, now = (key_of(project), registry, digest), ports.clock.now()
        if self._was_missing(read, now):
            return None
        try:
            snapshot = await registry.snapshot(experiment_of(project), digest)
        except FeatureLineageError as error:
            # Only the versions that are compared with this snapshot lose their verdict.
            _log.warning("snapshot %s of %s: %s", digest[:12], key_of(project), error.message)
        if snapshot is None:
            self._missing.pop(read, None)
            self._missing[read] = now
        return snapshot

    def _was_missing(self, read: _Read, now: datetime) -> bool:
        """Whether the read failed within `RETRY_MISSING`; older entries are dropped."""
        while self._missing:
            oldest = next(iter(self._missing))
            if timedelta(0) <= now - self._missing[oldest] < RETRY_MISSING:
                break
            del self._missing[oldest]
        return read in self._missing


def experiment_of(project: FeatureStoreProject) -> str:
    """The MLflow experiment of a project's ops runs."""
    suffix = project.spec.mlflow.ops_experiment_suffix if project.spec.mlflow else "-feast-ops"
    return f"{project.spec.project}{suffix}"
