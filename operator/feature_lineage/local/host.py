"""The local host: the same core as in a cluster, on a folder of manifests.

It builds the object graph once, reads manifests, and reconciles whatever is woken: by a changed
file, an ended job, a due time, or a project whose status changed under its models.
"""

import asyncio
import time
from collections.abc import Callable, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.conditions import find_condition
from feature_lineage.decide.facts import Event, Key, key_of
from feature_lineage.decide.project.history import job_id, needed_jobs, records_operations
from feature_lineage.errors import (
    InvalidManifest,
    StateUnusable,
)
from feature_lineage.local.agenda import Agenda
from feature_lineage.local.folder import LocalResources, Manifests, Resource, read_folder
from feature_lineage.local.jobs import SubprocessJobs
from feature_lineage.local.objects import FolderObjects
from feature_lineage.local.state import FileEvents, FileSnapshots, StateFolder
from feature_lineage.local.watch import Watch
from feature_lineage.ports import Ports
from feature_lineage.reconcile.dependents import competing_projects
from feature_lineage.reconcile.reconciler import Reconciler, ReconcileResult
from feature_lineage.sources.project_sources import local_sources
from feature_lineage.tracking.client_pool import ModelRegistryPool

WATCH_SECONDS: Final = 1.0
AFTER_FAILURE: Final = timedelta(seconds=30)


class UtcClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Listener(Protocol):
    """Who is told what happens; the terminal, the metrics, or a test."""

    def told(self, event: Event) -> None: ...

    def passed(
        self, key: Key, before: Resource, result: ReconcileResult, seconds: float
    ) -> None: ...

    def failed(self, key: Key, error: Exception) -> None: ...

    def invalid(self, error: InvalidManifest) -> None: ...


class LocalHost:
    """Reconciles the manifests of a folder.

    Args:
        folder: of manifests; relative paths in them start from it.
        state: where status, snapshots and jobs are kept.
        listener: who is told.
        wrap: lets tests stand between the core and its ports.
    """

    def __init__(
        self,
        folder: Path,
        state: Path,
        listener: Listener,
        *,
        wrap: Callable[[Ports], Ports] = lambda ports: ports,
    ) -> None:
        self.folder = folder
        self.state = StateFolder(state)
        self.resources = LocalResources(self.state)
        self._listener = listener
        self.objects = FolderObjects()
        self._agenda = Agenda()
        clock = UtcClock()
        base = folder if folder.is_dir() else folder.parent
        source = local_sources(self.objects, base.resolve(), self.state.repos)
        self.source = source
        self.jobs = SubprocessJobs(self.state.jobs, self._job_ended, self.objects, source)
        self.registries = ModelRegistryPool(self.objects, clock.now, on_change=self._wake_named)
        self.ports = wrap(
            Ports(
                clock=clock,
                resources=self.resources,
                source=source,
                jobs=self.jobs,
                registries=self.registries,
                snapshots=FileSnapshots(self.state),
                events=FileEvents(self.state, clock.now, listener.told),
            )
        )
        self.controller = Reconciler(self.ports)
        self._requested: set[Key] = set()
        self._failed: set[Key] = set()

    async def __aenter__(self) -> "LocalHost":
        self.state.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        self.state.release()

    async def close(self) -> None:
        """End what runs and close what is open; what is kept stays."""
        await self.jobs.stop_all()
        await self.registries.close()

    def load(self, *, keep: bool = True) -> Manifests:
        """Read the folder; whatever is new or changed is woken.

        Args:
            keep: write new and changed resources to the state folder.

        Raises:
            InvalidManifest: with every error of every file; the last good state stays in force.
        """
        manifests = read_folder(self.folder, self.state.root)
        self.objects.replace(manifests.objects)
        changed = self.resources.load(manifests, self.ports.clock.now(), keep=keep)
        for key in self.resources.all_keys() if changed else ():
            self._agenda.wake(key)  # one may be what another refers to, or stands beside
        return manifests

    async def run_once(self) -> bool:
        """Reconcile until nothing more can be done now; whether all are Ready."""
        self.load()
        if not self.resources.all_keys():
            raise InvalidManifest(
                f"{self.folder} holds no FeatureStoreProject and no TrainedModel; add a manifest"
            )
        await self._sweep_jobs()
        for key in self.resources.all_keys():
            self._requested.add(key)
            self._agenda.wake(key)
        while True:
            for key in self._agenda.woken():
                await self._reconcile(key)
            if self._agenda.idle:
                if not self._in_flight():
                    return not self._failed and not self.unready()
                await self._agenda.wait(self.ports.clock.now())
                self._agenda.ripen(self.ports.clock.now())

    async def run(self, stop: asyncio.Event) -> None:
        """Reconcile until `stop`, reading changed files again."""
        self.load()
        await self._sweep_jobs()
        for key in self.resources.all_keys():
            self._agenda.wake(key)
        tasks = [asyncio.create_task(do) for do in (self._work(), self._watch(), stop.wait())]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            await task

    async def _work(self) -> None:
        while True:
            self._agenda.ripen(self.ports.clock.now())
            for key in self._agenda.woken():
                await self._reconcile(key)
            await self._agenda.wait(self.ports.clock.now())

    async def _watch(self) -> None:
        """Manifests and repos are ordinary files: look at their times once a second."""
        watch = Watch(self.folder, self.state.root)
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
                    self._agenda.wake(key_of(project))

    async def _reconcile(self, key: Key) -> None:
        resource = self.resources.get(key)
        if resource is None:
            return
        began = time.perf_counter()
        requested = key in self._requested
        self._requested.discard(key)
        try:
            if isinstance(resource, FeatureStoreProject):
                result = await self.controller.reconcile_project(resource, requested=requested)
            else:
                result = await self.controller.reconcile_model(resource)
        except StateUnusable:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: one resource stops no other
            self._failed.add(key)
            self._listener.failed(key, error)
            self._agenda.schedule(key, self.ports.clock.now() + AFTER_FAILURE)
            return
        half_done = key in self._failed  # its first write may have been told to nobody
        self._failed.discard(key)
        self._listener.passed(key, resource, result, time.perf_counter() - began)
        if result.finished:
            self.resources.drop(key)
            self._agenda.forget([key])
            for other in self.resources.all_keys():
                self._agenda.wake(other)
            return
        if (result.wrote or half_done) and isinstance(resource, FeatureStoreProject):
            assert isinstance(result.resource, FeatureStoreProject)
            self._wake_models(resource)
            for twin in competing_projects(self.resources, resource, result.resource):
                self._agenda.wake(twin)
        if result.again:
            self._agenda.wake(key)
        self._agenda.schedule(key, result.requeue_at)

    def unready(self) -> list[Resource]:
        """The resources that are not Ready."""
        found = map(self.resources.get, self.resources.all_keys())
        return [resource for resource in found if resource is not None and not is_ready(resource)]

    def _wake_models(self, project: FeatureStoreProject) -> None:
        for model in self.resources.models():
            namespace = model.spec.project_ref.namespace or model.metadata.namespace
            if (namespace, model.spec.project_ref.name) == (
                project.metadata.namespace,
                project.metadata.name,
            ):
                self._agenda.wake(key_of(model))

    def _wake_named(self, names: Set[str]) -> None:
        """Look at the resources on registered models of these names."""
        for name in names:
            for model in self.resources.models_named(name):
                self._agenda.wake(key_of(model))

    def _job_ended(self, job: str) -> None:
        for project in self.resources.projects():
            operation = project.status.operation
            if operation is not None and job_id(operation) == job:
                self._agenda.wake(key_of(project))

    def _in_flight(self) -> bool:
        """Whether a job runs; an intent that is held (suspended, MLflow out) is not awaited."""
        return self.jobs.watching

    async def _sweep_jobs(self) -> None:
        """Forget jobs that a host before this one was about to forget when it died."""
        needed: set[str] = set()
        for project in self.resources.projects():
            needed |= needed_jobs(project.status, recorded=records_operations(project.spec))
        for job in self.jobs.unreleased() - needed:
            await self.jobs.release(job)


def is_ready(resource: Resource) -> bool:
    """Whether the resource's Ready condition is True."""
    ready = find_condition(resource.status.conditions, "Ready")
    return ready is not None and ready.status == "True"
