"""The cluster host: follows until it leads, then works; ends when it is told to, or when it must.

    intake ──► store ──► queue ──► passes ──► Controller
    lease ──► leads: everything ──┘

A follower takes everything in as well, so that it knows all when its turn comes. Whatever ends
here without being asked to ends the process: a new one starts from what the API server holds.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key
from feature_lineage.decide.project.history import needed_jobs, records_operations
from feature_lineage.errors import FeatureLineageError
from feature_lineage.kube.cache.informer import Informer
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.client import Api
from feature_lineage.kube.config import OperatorConfig
from feature_lineage.kube.events import KubeEvents
from feature_lineage.kube.health import Heartbeat
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.jobs.runner import KubeJobs
from feature_lineage.kube.lease import LeaderElector
from feature_lineage.kube.objects import KubeObjects
from feature_lineage.kube.reconcile_worker import ReconcileWorker
from feature_lineage.kube.snapshots import KubeSnapshots
from feature_lineage.metrics.process import ProcessMetrics
from feature_lineage.metrics.scrape import Scrape
from feature_lineage.ports import Ports
from feature_lineage.reconcile.reconciler import Reconciler
from feature_lineage.sources.project_sources import cluster_sources
from feature_lineage.tracking.client_pool import ModelRegistryPool
from feature_lineage.workqueue.workers import WorkerPool

DRAIN_SECONDS: Final = 20.0
"""Longest wait for passes under way when the process is asked to end."""

PROJECTS_FIRST_SECONDS: Final = 10.0
"""Longest wait of models for the first passes of projects: one may hang on a slow server."""

_log = logging.getLogger(__name__)


class UtcClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is.

    Attributes:
        name: unique among the replicas: the pod's name.
        namespace: where the Lease is.
        service_account: name of the pod's ServiceAccount.
    """

    name: str
    namespace: str
    service_account: str


class Manager:
    """Reconciles the custom resources of a cluster, or of some of its namespaces."""

    def __init__(self, api: Api, config: OperatorConfig, identity: Identity) -> None:
        self._config = config
        self._heartbeat = Heartbeat()
        self._begun = False
        lease, api = api, api.behind(lambda: self.leadership.leading)
        self.resources = ResourceCache(api, self._wake_named)
        clock = UtcClock()
        objects = KubeObjects(api, f"{identity.namespace}/{identity.service_account}")
        self._registries = ModelRegistryPool(
            objects,
            clock.now,
            platform_server=config.named,
            allowed=config.allows,
            on_change=self._wake_named,
        )
        self._snapshots = KubeSnapshots(api, self._project)
        runner = config.runner
        self._jobs = KubeJobs(
            api,
            RunnerDefaults(
                runner.image, runner.image_pull_policy, runner.image_pull_secrets, runner.resources
            ),
        )
        events = KubeEvents(api, clock, identity.name, self._uid)
        self.controller = Reconciler(
            Ports(
                clock=clock,
                resources=self.resources,
                source=cluster_sources(objects, runner.image, config.allows_git),
                jobs=self._jobs,
                registries=self._registries,
                snapshots=self._snapshots,
                events=events,
            ),
            may_act=lambda: self.leadership.leading,
        )
        self._intake = Informer(api, self.resources, config.namespaces, self)
        self.scrape = Scrape(  # probes are answered from here on
            config.port,
            "0.0.0.0",  # noqa: S104 - Prometheus and the kubelet come from outside the pod
            {"/healthz": self._heartbeat.check, "/readyz": self.readiness},
        )
        self._passes = ReconcileWorker(
            api, self.resources, self.controller, self.scrape, self.forget
        )
        self.queue = self._passes.queue = WorkerPool(self._passes.work, config.workers)
        self.leadership = LeaderElector(
            lease,
            identity.namespace,
            config.leader_election.lease_name,
            identity.name,
            on_outage_end=self._intake.compare_names,
        )

        self.scrape.instruments.registry.register(
            ProcessMetrics(
                {
                    "feature_lineage_leader": lambda: self.leadership.leading,
                    "feature_lineage_queue_depth": lambda: self.queue.depth,
                    "feature_lineage_queue_failing": lambda: self.queue.failing,
                    "feature_lineage_events_unwritten_total": lambda: events.unwritten,
                }
            )
        )

    def readiness(self) -> str:
        """What stands against being ready; a follower is ready, too."""
        return self._intake.trouble

    def wake(self, key: Key, cause: object = None) -> None:
        """Look at a resource, where this process is the one to do so."""
        if self.leadership.leading and self.resources.entry(key) is not None:
            self.queue.wake(key, cause)

    def forget(self, key: Key) -> None:
        """A resource is gone, with all that was remembered of it."""
        self.queue.forget(key)
        self.controller.forget(key)
        self._passes.forget(key)
        self._snapshots.forget(key)
        self.scrape.gone(key)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`.

        Raises:
            LeaseLost: another process may be acting already.
            WatchingEnded: nothing is noticed any more.
        """
        works = {
            "heartbeat": self._heartbeat.run(),
            "sweep": self._intake.keep_sweeping(),
            "watch": self._intake.watch(),
            "lead": self._lead(),
        }
        tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
        stopped = asyncio.create_task(_until(stop), name="stop")
        try:
            done, _ = await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if stopped in done:
                await self._drain()
            for task in done:
                task.result()
        finally:
            self.queue.stop()
            await _cancelled([*tasks, stopped])
            if stop.is_set():
                await self.leadership.release()
            await asyncio.to_thread(self._intake.stop)
            await self._registries.close()
            self.scrape.stop()

    async def _lead(self) -> None:
        await self._intake.synced.wait()
        await self.leadership.acquire()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.leadership.hold(), name="lease")
            group.create_task(self._act(), name="act")

    async def _act(self) -> None:
        await self._forget_jobs()
        self.scrape.show(self.resources, self.controller)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.queue.run(), name="queue")
            group.create_task(self._wake_all(), name="begin")
            group.create_task(self._resync(), name="resync")

    async def _wake_all(self) -> None:
        """Projects first: what their passes find out, those of their models need not."""
        self._wake_kind("FeatureStoreProject")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROJECTS_FIRST_SECONDS):
                await self.queue.quiet()
        self._begun = True
        self._wake_kind("TrainedModel")

    def _wake_named(self, models: Set[str]) -> None:
        """Look at the resources on registered models of these names, once all were looked at."""
        for key in self.resources.keys_named(models) if self._begun else ():
            self.wake(key)

    def _wake_kind(self, kind: str) -> None:
        for key in self.resources.all_keys(kind):
            entry = self.resources.entry(key)
            self.queue.wake(key, entry.wish if entry else None)

    async def _drain(self) -> None:
        """Let passes under way end; what they have not done is done by whoever leads next."""
        _log.info("asked to end; finishing what is under way")
        self.queue.stop()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.queue.idle()
        except TimeoutError:
            _log.warning("a pass did not end in %.0f s; it is given up", DRAIN_SECONDS)

    async def _resync(self) -> None:
        """Look at every resource now and then, spread over the interval."""
        interval = self._config.resync_interval.total_seconds()
        while True:
            await asyncio.sleep(interval)
            await self._forget_jobs()
            for key in self.resources.all_keys():
                self.queue.look(key, random.uniform(0, interval))  # noqa: S311 - spread

    async def _forget_jobs(self) -> None:
        """Jobs that a leader before this one was about to let go when it ended.

        They are listed before the statuses are read: a job that is started in between is then
        neither, and what the watch has not told yet is read by the sweep.
        """
        try:
            known: set[tuple[str, str, str]] = set()
            for namespace in self._config.namespaces or ("",):
                known |= await self._jobs.unreleased(namespace)
            if not known:
                return
            await self._intake.sweep()
            for namespace, project, job in sorted(known):
                needed = self._needed_jobs(Key("FeatureStoreProject", namespace, project))
                if needed is not None and job not in needed:
                    await self._jobs.release_named(namespace, job)
        except FeatureLineageError as error:
            _log.warning("jobs of the past are left alone for now: %s", error.message)

    def _needed_jobs(self, key: Key) -> frozenset[str] | None:
        """Jobs of a project whose result somebody needs; None of one that cannot be read."""
        if self.resources.complaint(key) is not None:
            return None
        project = self.resources.project(key.namespace, key.name)
        if project is None:
            return frozenset()
        return needed_jobs(project.status, recorded=records_operations(project.spec))

    def _project(self, key: Key) -> FeatureStoreProject | None:
        return self.resources.project(key.namespace, key.name)

    def _uid(self, key: Key) -> str:
        entry = self.resources.entry(key)
        return entry.uid if entry is not None else ""


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


async def _cancelled(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
