"""The cluster host: follows until it leads, then works; ends when it is told to, or when it must.

    watch (kopf) ──► store ──► queue ──► passes ──► Controller
    sweep ─────────┘             ▲
    lease ── leads ── everything ┘

A follower watches as well, so that it knows everything when its turn comes. Whatever ends here
without being asked to ends the process: a new one starts from what the API server holds.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import FeatureLineageError
from feature_lineage.kube.client import Api
from feature_lineage.kube.config import OperatorConfig
from feature_lineage.kube.events import KubeEvents
from feature_lineage.kube.health import Heartbeat
from feature_lineage.kube.jobs import KubeJobs
from feature_lineage.kube.kinds import JOBS, PROJECT_LABEL
from feature_lineage.kube.lease import Leadership
from feature_lineage.kube.objects import KubeObjects
from feature_lineage.kube.passes import Passes
from feature_lineage.kube.pod_manifest import RunnerDefaults
from feature_lineage.kube.queue import WorkQueue
from feature_lineage.kube.snapshots import KubeSnapshots
from feature_lineage.kube.source import KubeSource
from feature_lineage.kube.store import KubeResources
from feature_lineage.kube.sweep import EVERY_SECONDS, sweep
from feature_lineage.kube.watching import Change, Watcher
from feature_lineage.metrics.scrape import Scrape
from feature_lineage.ports import Key, Ports
from feature_lineage.reconcile.controller import Controller
from feature_lineage.reconcile.listing import needed_jobs, records_operations
from feature_lineage.tracking.registries import SharedRegistries

DRAIN_SECONDS: Final = 20.0
"""Longest wait for passes under way when the process is asked to end."""
SWEEP_RETRY_SECONDS: Final = 5.0
RELIST_SECONDS: Final = 1.0
"""A relist is told object by object; names are compared once it is through."""

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


class KubeHost:
    """Reconciles the custom resources of a cluster, or of some of its namespaces."""

    def __init__(self, api: Api, config: OperatorConfig, identity: Identity) -> None:
        self._api = api
        self._config = config
        self._heartbeat = Heartbeat()
        self._trouble = "the resources were not listed yet"
        self._sweep_now = asyncio.Event()
        self._relist: asyncio.TimerHandle | None = None
        self._synced = asyncio.Event()
        self.scrape = Scrape(
            config.port,
            "0.0.0.0",  # noqa: S104 - Prometheus and the kubelet come from outside the pod
            {"/healthz": self._heartbeat.check, "/readyz": self.readiness},
        )
        self.resources = KubeResources(api)
        clock = UtcClock()
        objects = KubeObjects(api, f"{identity.namespace}/{identity.service_account}")
        self._registries = SharedRegistries(
            objects, clock.now, named=config.server, allowed=config.allows
        )
        self._snapshots = KubeSnapshots(api, self._project)
        runner = config.runner
        self._jobs = KubeJobs(
            api,
            RunnerDefaults(
                runner.image, runner.image_pull_policy, runner.image_pull_secrets, runner.resources
            ),
        )
        self.controller = Controller(
            Ports(
                clock=clock,
                resources=self.resources,
                source=KubeSource(objects, runner.image),
                jobs=self._jobs,
                registries=self._registries,
                snapshots=self._snapshots,
                events=KubeEvents(api, clock, identity.name, self._uid),
            )
        )
        self._passes = Passes(api, self.resources, self.controller, self.scrape)
        self.queue = self._passes.queue = WorkQueue(self._passes.work, config.workers)
        self._watcher = Watcher(api.configuration, config.namespaces, self._noticed)
        self.leadership = Leadership(
            api,
            identity.namespace,
            config.leader_election.lease_name,
            identity.name,
            on_outage_end=self._sweep_now.set,
        )

    def readiness(self) -> str:
        """What stands against being ready; a follower is ready, too."""
        return self._trouble

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`.

        Raises:
            LeaseLost: another process may be acting already.
            WatchingEnded: nothing is noticed any more.
        """
        works = {
            "heartbeat": self._heartbeat.run(),
            "sweep": self._sweep(),
            "watch": self._watch(),
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
            await asyncio.to_thread(self._watcher.stop)
            await self._registries.close()
            self.scrape.stop()

    async def _watch(self) -> None:
        await self._synced.wait()  # kopf tells all of it again, which is no news by then
        await self._watcher.start()

    async def _lead(self) -> None:
        await self._synced.wait()
        await self.leadership.acquire()
        self.scrape.show(self.resources, self.controller)
        await self._forget_jobs()
        for key in self.resources.all_keys():
            self.queue.wake(key)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.leadership.hold(), name="lease")
            group.create_task(self.queue.run(), name="queue")
            group.create_task(self._resync(), name="resync")

    async def _drain(self) -> None:
        """Let passes under way end; what they have not done is done by whoever leads next."""
        _log.info("asked to end; finishing what is under way")
        self.queue.stop()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.queue.idle()
        except TimeoutError:
            _log.warning("a pass did not end in %.0f s; it is given up", DRAIN_SECONDS)

    def _noticed(self, change: Change) -> None:
        metadata = change.body["metadata"]
        if change.kind is JOBS:
            project = metadata.get("labels", {}).get(PROJECT_LABEL)
            if project:
                self._wake(Key("FeatureStoreProject", metadata["namespace"], project))
            return
        key = Key(change.kind.kind, metadata["namespace"], metadata["name"])  # type: ignore[arg-type]
        if change.gone:
            if self.resources.drop(key, str(metadata["uid"])):
                self._forget(key)
            return
        if change.replayed:
            self._relisted()
        before = self.resources.entry(key)
        if self.resources.take(change.body) is None:
            return
        after = self.resources.entry(key)
        assert after is not None
        # Our own status comes back as an event, and is no news.
        if before is None or (before.uid, before.wish) != (after.uid, after.wish):
            self._wake(key, after.wish)
            self._wake_dependents(key)

    def _relisted(self) -> None:
        """kopf lists anew, one object after another: names are compared when it is through."""
        loop = asyncio.get_running_loop()
        if self._relist is not None:
            self._relist.cancel()
        self._relist = loop.call_later(RELIST_SECONDS, self._sweep_now.set)

    def _wake(self, key: Key, cause: object = None) -> None:
        if self.leadership.leading and self.resources.entry(key) is not None:
            self.queue.wake(key, cause)

    def _wake_dependents(self, key: Key) -> None:
        """A project's spec, or that it came or went, is its models' business."""
        if key.kind == "FeatureStoreProject":
            for model in self.resources.models_of(key):
                self._wake(model)

    def _forget(self, key: Key) -> None:
        self.queue.forget(key)
        self.controller.forget(key)
        self._snapshots.forget(key)
        self.scrape.gone(key)
        self._wake_dependents(key)

    async def _sweep(self) -> None:
        """Compare names at the start, after an outage or a relist, and every few minutes."""
        said = ""
        while True:
            pause = EVERY_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - spread
            self._sweep_now.clear()
            try:
                swept = await sweep(
                    self._api,
                    self.resources,
                    self._config.namespaces,
                    whole=not self._synced.is_set(),
                )
            except FeatureLineageError as error:
                if said != error.message:
                    _log.warning("the resources cannot be listed: %s", error.message)
                said = error.message
                if not self._synced.is_set():
                    self._trouble = error.message
                pause = SWEEP_RETRY_SECONDS
            else:
                self._trouble = said = ""
                self._synced.set()
                for key in swept.gone:
                    self._forget(key)
                for key in swept.news:
                    entry = self.resources.entry(key)
                    self._wake(key, entry.wish if entry else None)
                    self._wake_dependents(key)
            try:
                async with asyncio.timeout(pause):
                    await self._sweep_now.wait()
            except TimeoutError:
                continue

    async def _resync(self) -> None:
        """Look at every resource now and then, spread over the interval."""
        interval = self._config.resync_interval.total_seconds()
        while True:
            await asyncio.sleep(interval)
            for key in self.resources.all_keys():
                self.queue.look(key, random.uniform(0, interval))  # noqa: S311 - spread

    async def _forget_jobs(self) -> None:
        """Jobs that a leader before this one was about to let go when it ended.

        They are listed before the statuses are read: a job that is started in between is then
        neither, and what the watch has not told yet is read by the sweep.
        """
        namespaces = self._config.namespaces or ("",)
        try:
            known: set[tuple[str, str]] = set()
            for namespace in namespaces:
                known |= await self._jobs.known(namespace)
            await sweep(self._api, self.resources, self._config.namespaces)
            needed: set[tuple[str, str]] = set()
            for project in self.resources.projects():
                jobs = needed_jobs(project.status, recorded=records_operations(project.spec))
                needed |= {(project.metadata.namespace, job) for job in jobs}
            for owner, name in sorted(known - needed):
                await self._jobs.let_go(owner, name)
        except FeatureLineageError as error:
            _log.warning("jobs of the past are left alone for now: %s", error.message)

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
