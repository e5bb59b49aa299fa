"""The cluster host: a follower until it holds the Lease, then the leader.

    informer ──► resource cache ──► work queue ──► workers ──► reconciler
    Lease ──► leader elector ──────────┘

A follower runs the informer, too, so its cache is current when it becomes the leader. When one of
the tasks ends with an error, the process ends; the next one starts from what the API server holds.
"""

import asyncio
import logging
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.clock import UtcClock
from feature_lineage.decide.facts import Key
from feature_lineage.http.health import Heartbeat, probe_routes
from feature_lineage.http.server import HttpServer
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.api_server import ApiServer
from feature_lineage.kube.cache.informer import Informer
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.config import ApiConfig, OperatorConfig
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.kube_events import KubeEvents
from feature_lineage.kube.kube_objects import KubeObjects
from feature_lineage.kube.leader_tasks import LeaderTasks
from feature_lineage.kube.lease import LeaderElector
from feature_lineage.kube.logs import FailureLog
from feature_lineage.kube.probes import KubeProbes
from feature_lineage.kube.reconcile_hooks import RECONCILE_SECONDS, ClusterHooks
from feature_lineage.kube.snapshots import KubeSnapshots
from feature_lineage.lineage.query import LineageQuery
from feature_lineage.metrics.metrics_listener import MetricsListener
from feature_lineage.metrics.process import ProcessMetrics
from feature_lineage.metrics.routes import metrics_routes
from feature_lineage.ports import Ports
from feature_lineage.reconcile.listener import Listeners
from feature_lineage.reconcile.reconciler import Reconciler
from feature_lineage.sources.project_sources import cluster_sources
from feature_lineage.tracking.client_pool import ModelRegistryPool
from feature_lineage.workqueue.reconcile_worker import ReconcileWorker

DRAIN_SECONDS: Final = 20.0
"""Longest wait for reconciles in progress after SIGTERM."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of this process.

    Attributes:
        name: unique among the replicas: the pod's name.
        namespace: of the Lease.
        service_account: name of the pod's ServiceAccount.
    """

    name: str
    namespace: str
    service_account: str


class Manager:
    """Reconciles the custom resources of a cluster, or of some of its namespaces."""

    def __init__(self, api: Api, config: OperatorConfig, identity: Identity) -> None:
        self._heartbeat = Heartbeat()
        lease_api, api = api, api.fenced(lambda: self.elector.leading)
        self.resources = ResourceCache(api, self._enqueue_named)
        clock = UtcClock()
        objects = KubeObjects(api, f"{identity.namespace}/{identity.service_account}")
        self._registries = ModelRegistryPool(
            objects,
            clock.now,
            platform_servers=config.named_servers,
            allowed=config.tracking_uris.allows,
            on_change=self._enqueue_named,
        )
        self._snapshots = KubeSnapshots(api, self._project)
        runner = config.runner
        jobs = KubeJobs(
            api,
            RunnerDefaults(
                runner.image, runner.image_pull_policy, runner.image_pull_secrets, runner.resources
            ),
        )
        events = KubeEvents(api, clock, identity.name, self._uid)
        self.reconciler = Reconciler(
            Ports(
                clock=clock,
                resources=self.resources,
                source=cluster_sources(objects, runner.image, config.git_hosts.allows),
                jobs=jobs,
                registries=self._registries,
                snapshots=self._snapshots,
                probes=KubeProbes(api, self._project),
                events=events,
                allows_feature_server=config.feature_servers.allows,
            ),
            may_act=lambda: self.elector.leading,
        )
        self._informer = Informer(api, self.resources, config.namespaces, self)
        self.metrics = MetricsListener()
        probes = {"/healthz": self._heartbeat.check, "/readyz": self.readiness}
        self.server = HttpServer(  # from here on, probes are answered
            [*metrics_routes(self.metrics.registry), *probe_routes(probes)],
            config.port,
            "0.0.0.0",  # noqa: S104 - Prometheus and the kubelet come from outside the pod
        )
        self._worker = ReconcileWorker(
            ClusterHooks(
                api,
                self.resources,
                self.forget,
                self.enqueue_after,
            ),
            self.resources,
            self.reconciler,
            Listeners(self.metrics, FailureLog()),
            workers=config.workers,
            deadline=RECONCILE_SECONDS,
        )
        self.queue = self._worker.queue
        self._leader_tasks = LeaderTasks(config, self.resources, self._informer, jobs, self.queue)
        self.elector = LeaderElector(
            lease_api,
            identity.namespace,
            config.leader_election.lease_name,
            identity.name,
            on_outage_end=self._informer.request_relist,
        )

        self.api = self._api_server(api, config.api) if config.api.enabled else None
        self.metrics.registry.register(
            ProcessMetrics(
                {
                    "feature_lineage_leader": lambda: self.elector.leading,
                    "feature_lineage_queue_depth": lambda: self.queue.depth,
                    "feature_lineage_queue_failing": lambda: self.queue.failing,
                    "feature_lineage_events_unwritten_total": lambda: events.unwritten,
                }
            )
        )

    def _api_server(self, api: Api, config: ApiConfig) -> ApiServer:
        query = LineageQuery(self.reconciler.ports, self.reconciler.cache)
        return ApiServer(config, api, self.resources, query, self._unavailable)

    def _unavailable(self) -> str:
        return "" if self.elector.leading else "this replica is not the leader, and only it answers"

    def readiness(self) -> str:
        """Why this process is not ready; "" if it is. A follower can be ready, too."""
        return self._informer.problem

    def enqueue(self, key: Key, spec_hash: object = None) -> None:
        """Enqueue a resource that exists, if this process is the leader."""
        if self.elector.leading and self.resources.entry(key) is not None:
            self.queue.enqueue(key, spec_hash)

    def enqueue_after(self, key: Key, seconds: float) -> None:
        """Enqueue a resource in this number of seconds."""
        self.queue.enqueue_after(key, seconds)

    def forget(self, key: Key) -> None:
        """Remove all data about a deleted resource."""
        self._worker.forget(key)
        self._snapshots.forget(key)
        self.metrics.removed(key)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`.

        Raises:
            LeaseLost: another process may be the leader already.
            WatchingEnded: events of the API server are not received any more.
        """
        works = {
            "heartbeat": self._heartbeat.run(),
            "relist": self._informer.keep_relisting(),
            "watch": self._informer.watch(),
            "lead": self._lead(),
        }
        if self.api is not None:
            works["api"] = self.api.run()
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
                await self.elector.release()
            await asyncio.to_thread(self._informer.stop)
            await self._registries.close()
            if self.api is not None:
                await asyncio.to_thread(self.api.stop)
            self.server.stop()

    async def _lead(self) -> None:
        await self._informer.synced.wait()
        await self.elector.acquire()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.elector.hold(), name="lease")
            group.create_task(self._act(), name="act")

    async def _act(self) -> None:
        await self._leader_tasks.release_orphaned_jobs()
        self.metrics.show(self.resources, self.reconciler)
        await self._leader_tasks.run()

    def _enqueue_named(self, models: Set[str]) -> None:
        """Enqueue the TrainedModels of these registered models, once all were enqueued."""
        if self._leader_tasks.models_enqueued:
            for key in self.resources.keys_named(models):
                self.enqueue(key)

    async def _drain(self) -> None:
        """Wait for reconciles in progress; the next leader does the rest."""
        _log.info("stopping; waiting for the reconciles in progress")
        self.queue.stop()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.queue.idle()
        except TimeoutError:
            _log.warning("a reconcile did not end in %.0f s; it is cancelled", DRAIN_SECONDS)

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
