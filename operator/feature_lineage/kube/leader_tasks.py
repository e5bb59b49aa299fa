"""The tasks of the leader: enqueues every resource, and releases jobs that are not needed."""

import asyncio
import contextlib
import logging
import random
from typing import Final

from feature_lineage.decide.facts import Key
from feature_lineage.errors import FeatureLineageError
from feature_lineage.kube.cache.informer import Informer
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.config import OperatorConfig
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.reconcile.orphaned_jobs import release_orphaned_jobs
from feature_lineage.workqueue.workers import WorkerPool

PROJECTS_FIRST_SECONDS: Final = 10.0
"""Longest wait of models for the first reconciles of projects, which a slow server may delay."""

_log = logging.getLogger(__name__)


class LeaderTasks:
    """The tasks of the leader besides the Lease.

    Attributes:
        models_enqueued: all TrainedModels were enqueued once, so single ones may be.
    """

    def __init__(
        self,
        config: OperatorConfig,
        resources: ResourceCache,
        informer: Informer,
        jobs: KubeJobs,
        queue: WorkerPool,
    ) -> None:
        self._config = config
        self._resources = resources
        self._informer = informer
        self._jobs = jobs
        self._queue = queue
        self.models_enqueued = False

    async def run(self) -> None:
        """Run the workers, enqueue every resource, and again in each resync interval."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run(), name="queue")
            group.create_task(self._enqueue_all(), name="enqueue")
            group.create_task(self.resync(), name="resync")

    async def resync(self) -> None:
        """Enqueue every resource once in each interval, at random times."""
        interval = self._config.resync_interval.total_seconds()
        while True:
            await asyncio.sleep(interval)
            await self.release_orphaned_jobs()
            for key in self._resources.all_keys():
                self._queue.enqueue_after(key, random.uniform(0, interval))  # noqa: S311 - spread

    async def release_orphaned_jobs(self) -> None:
        """Release the jobs that no project needs, except those of an invalid project.

        Jobs are listed before the statuses are read, so a job that starts meanwhile is not listed;
        a status that the watch has not reported yet is read by the relist.
        """
        try:
            found: set[tuple[str, str, str]] = set()
            for namespace in self._config.namespaces or ("",):
                found |= await self._jobs.unreleased(namespace)
            if not found:
                return
            await self._informer.relist()
            await release_orphaned_jobs(
                {job for job in found if self._is_valid(job)},
                self._resources.projects(),
                lambda project, job: (project.metadata.namespace, project.metadata.name, job),
                lambda job: self._jobs.release_named(job[0], job[2]),
            )
        except FeatureLineageError as error:
            _log.warning("jobs of earlier processes are not released yet: %s", error.message)

    async def _enqueue_all(self) -> None:
        """Projects first: their models then use what the reconciles of the projects have read."""
        self._enqueue_kind("FeatureStoreProject")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROJECTS_FIRST_SECONDS):
                await self._queue.quiet()
        self.models_enqueued = True
        self._enqueue_kind("TrainedModel")

    def _enqueue_kind(self, kind: str) -> None:
        for key in self._resources.all_keys(kind):
            entry = self._resources.entry(key)
            self._queue.enqueue(key, entry.spec_hash if entry else None)

    def _is_valid(self, job: tuple[str, str, str]) -> bool:
        """Whether the project of a job can be read."""
        namespace, project, _ = job
        return self._resources.invalid(Key("FeatureStoreProject", namespace, project)) is None
