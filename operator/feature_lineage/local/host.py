"""The local host: the reconciler of both hosts, on a folder of manifests.

A changed file, an ended job, a due time, or a change in MLflow enqueues a resource. One worker
reconciles the resources, one after another.
"""

import asyncio
from collections.abc import Callable, Set
from pathlib import Path
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.conditions import find_condition
from feature_lineage.api.enums import DeletionPolicy
from feature_lineage.clock import UtcClock
from feature_lineage.decide.facts import Key, Resource, key_of
from feature_lineage.errors import InvalidManifest, StateUnusable
from feature_lineage.local.event_log import FileEvents
from feature_lineage.local.file_probes import FileProbes
from feature_lineage.local.file_snapshots import FileSnapshots
from feature_lineage.local.folder import LocalResources, Manifests, check_is_folder, read_folder
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.local.state_folder import StateFolder
from feature_lineage.local.subprocess_jobs import SubprocessJobs
from feature_lineage.local.watch import FileWatch
from feature_lineage.ports import Ports
from feature_lineage.reconcile.listener import Listener
from feature_lineage.reconcile.orphaned_jobs import release_orphaned_jobs
from feature_lineage.reconcile.reconciler import Reconciler
from feature_lineage.sources.project_sources import local_sources
from feature_lineage.tracking.client_pool import ModelRegistryPool
from feature_lineage.workqueue.reconcile_worker import ReconcileWorker, Recovery

WATCH_SECONDS: Final = 1.0


class LocalHost:
    """Reconciles the manifests of a folder.

    Args:
        folder: of manifests; relative paths in the manifests start from it.
        state: the folder for statuses, snapshots and jobs.
        listener: receives what the host does.
        delete_removed: whether a project with deletionPolicy Delete is deleted, with its objects
            in Feast, if its manifest is removed. A mistyped path would delete them otherwise.
        wrap: lets tests wrap the ports of the reconciler.

    Raises:
        InvalidManifest: the folder does not exist, or is a file.
    """

    def __init__(
        self,
        folder: Path,
        state: Path,
        listener: Listener,
        *,
        delete_removed: bool = False,
        wrap: Callable[[Ports], Ports] = lambda ports: ports,
    ) -> None:
        check_is_folder(folder)
        self.folder = folder
        self.state = StateFolder(state)
        self.resources = LocalResources(self.state)
        self._listener = listener
        self._delete_removed = delete_removed
        self._retained: frozenset[Key] = frozenset()
        self.objects = FolderObjects()
        clock = UtcClock()
        source = local_sources(self.objects, folder.resolve(), self.state.repos)
        self.source = source
        self.jobs = SubprocessJobs(self.state.jobs, self._job_changed, self.objects, source)
        self.registries = ModelRegistryPool(self.objects, clock.now, on_change=self._enqueue_named)
        self._probes = FileProbes(self.state)
        self.ports = wrap(
            Ports(
                clock=clock,
                resources=self.resources,
                source=source,
                jobs=self.jobs,
                registries=self.registries,
                snapshots=FileSnapshots(self.state),
                probes=self._probes,
                events=FileEvents(self.state, clock.now, listener.event),
                allows_feature_server=lambda _url: True,
            )
        )
        self.reconciler = Reconciler(self.ports)
        self._worker = ReconcileWorker(self, self.resources, self.reconciler, listener)
        self._queue = self._worker.queue
        self._edits = 0
        """The number of file changes by the user; as a spec hash, a new number ends a back-off."""

    async def __aenter__(self) -> "LocalHost":
        self.state.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        self.state.release()

    async def close(self) -> None:
        """Stop running jobs and close connections; the state folder stays."""
        await self.jobs.stop_all()
        await self.registries.close()

    def load(self, *, keep: bool = True) -> Manifests:
        """Read the folder; when a resource is new or changed, enqueue all resources.

        Another resource may refer to it, or compete with it.

        Args:
            keep: write new and changed resources to the state folder.

        Raises:
            InvalidManifest: with every error of every file; the resources stay as they were.
        """
        manifests = read_folder(self.folder, self.state.root)
        self.objects.replace(manifests.objects)
        retained = frozenset(map(key_of, filter(self._retains, self.resources.removed(manifests))))
        for key in sorted(retained - self._retained, key=str):
            self._listener.manifest_removed(key)
        self._retained = retained
        now = self.ports.clock.now()
        if self.resources.load(manifests, now, keep=keep, retained=retained):
            self._edits += 1
            self._enqueue_all()
        return manifests

    def _retains(self, resource: Resource) -> bool:
        """Whether a resource stays although its manifest was removed."""
        return (
            isinstance(resource, FeatureStoreProject)
            and resource.spec.deletion_policy is DeletionPolicy.DELETE
            and resource.metadata.deletion_timestamp is None
            and not self._delete_removed
        )

    async def run_once(self) -> bool:
        """Reconcile until no key is due and no job runs; whether all resources are Ready.

        The end of a back-off is not awaited: a failed reconcile makes the result False, unless the
        resource was enqueued again, or while another job ran.
        """
        self.load()
        if not self.resources.all_keys():
            raise InvalidManifest(
                f"{self.folder} contains no FeatureStoreProject and no TrainedModel; add a manifest"
            )
        await self._release_orphaned_jobs()
        self._queue.keys.hold_backoff = False
        self._worker.requested.update(self.resources.all_keys())
        self._enqueue_all()
        await self._queue.drain()
        while self.jobs.watching:
            await self._queue.wait()
            await self._queue.drain()
        return not self._queue.failing and not self.unready()

    async def run(self, stop: asyncio.Event) -> None:
        """Reconcile until `stop`, reading changed files again."""
        self.load()
        await self._release_orphaned_jobs()
        self._enqueue_all()
        works = (self._queue.run_one(), self._watch(), stop.wait())
        tasks = [asyncio.create_task(work) for work in works]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            await task

    async def prepare(self, key: Key) -> Resource | None:
        """See `Hooks`: nothing is prepared."""
        return self.resources.get(key)

    async def finish(self, key: Key, resource: Resource) -> None:
        """See `Hooks`: remove the resource, to which any other may have referred."""
        self.resources.drop(key)
        if isinstance(resource, FeatureStoreProject):
            self._probes.delete(key)
        self._worker.forget(key)
        self._enqueue_all()

    async def recover(self, key: Key, error: Exception) -> Recovery:
        """See `Hooks`: an unusable state folder ends the host."""
        del key
        if isinstance(error, StateUnusable):
            raise error
        return Recovery.FAILED

    async def _watch(self) -> None:
        """Compare times and sizes of manifests and repos once a second."""
        watch = FileWatch(self.folder, self.state.root)
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if watch.manifests_changed():
                try:
                    self.load()
                except InvalidManifest as error:
                    self._listener.invalid(error)
            for project in self.resources.projects():
                folder = self.source.watched(project)
                if folder is not None and watch.repo_changed(folder):
                    self._edits += 1
                    self._queue.enqueue(key_of(project), self._edits)

    def unready(self) -> list[Resource]:
        """The resources that are not Ready."""
        found = map(self.resources.get, self.resources.all_keys())
        return [resource for resource in found if resource is not None and not is_ready(resource)]

    def _enqueue_all(self) -> None:
        for key in self.resources.all_keys():
            self._queue.enqueue(key, self._edits)

    def _enqueue_named(self, names: Set[str]) -> None:
        """Enqueue the TrainedModels of these registered models."""
        for name in names:
            for model in self.resources.models_named(name):
                self._queue.enqueue(key_of(model))

    def _job_changed(self, job: str) -> None:
        for project in self.resources.projects():
            if job in {operation.job for operation in project.status.in_flight}:
                self._queue.enqueue(key_of(project))

    async def _release_orphaned_jobs(self) -> None:
        found = self.jobs.unreleased()
        await release_orphaned_jobs(
            found, self.resources.projects(), lambda _, job: job, self.jobs.release
        )


def is_ready(resource: Resource) -> bool:
    """Whether the resource's Ready condition is True."""
    ready = find_condition(resource.status.conditions, "Ready")
    return ready is not None and ready.status == "True"
