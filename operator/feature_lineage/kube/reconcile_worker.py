"""What is done with one key: a pass of the core, and what the API server wants besides.

The one broad ``except`` of the host is here: one resource stops no other.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.annotations import FINALIZER
from feature_lineage.api.conditions import ProjectCondition, find_condition
from feature_lineage.api.enums import DeletionPolicy
from feature_lineage.api.meta import ObjectMeta
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.errors import FeatureLineageError, NotFound, TransientError
from feature_lineage.kube.cache.resource_cache import Resource, ResourceCache
from feature_lineage.kube.client import Api, Conflict, Forbidden, Object
from feature_lineage.kube.invalid import InvalidStatuses
from feature_lineage.kube.kinds import CONFIG_MAPS, CUSTOM, PROJECTS
from feature_lineage.kube.logs import about
from feature_lineage.metrics.scrape import Scrape
from feature_lineage.reconcile.dependents import competing_projects
from feature_lineage.reconcile.reconciler import Reconciler, ReconcileResult
from feature_lineage.workqueue.queue import LONGEST_PAUSE
from feature_lineage.workqueue.workers import WorkerPool

PASS_SECONDS: Final = 180.0
"""A pass is a few requests, each with a deadline of its own: one that takes longer hangs."""
CONFLICT_PAUSE: Final = 2.0
TRANSIENT_PAUSE: Final = 30.0
"""Longest pauses, in seconds: after an outage all is right again within a minute."""
NAMESPACE_GOES: Final = "NamespaceTerminating"
DELETED_SECONDS: Final = 30.0
"""No event tells that a namespace is being deleted around a project that is already."""

_log = logging.getLogger(__name__)


class ReconcileWorker:
    """Works on the keys of a queue.

    Args:
        scrape: counts what happens.
        gone: told of a resource that was found to be gone before the watch said so.
    """

    def __init__(
        self,
        api: Api,
        resources: ResourceCache,
        controller: Reconciler,
        scrape: Scrape,
        gone: Callable[[Key], None],
    ) -> None:
        self._api = api
        self._resources = resources
        self._controller = controller
        self._scrape = scrape
        self._gone = gone
        self._invalid = InvalidStatuses(api)
        self._told: dict[Key, tuple[object, ...]] = {}
        self.queue: WorkerPool

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self._told.pop(key, None)

    async def work(self, key: Key) -> None:
        """One pass; the queue is told how it went."""
        with about(key):
            try:
                async with asyncio.timeout(PASS_SECONDS):
                    await self._pass(key)
            except TimeoutError as error:
                self._scrape.failed(key, error)
                pause = self.queue.failed(key, TRANSIENT_PAUSE)
                _log.warning(
                    "a pass did not end in %.0f s and was given up; tried again in %.0f s",
                    PASS_SECONDS,
                    pause,
                )
            except Conflict as error:
                _log.debug("%s", error)
                await self._read_again(key)
                self.queue.failed(key, longest=CONFLICT_PAUSE)
            except FeatureLineageError as error:
                if isinstance(error, NotFound) and await self._read_again(key):
                    self.queue.done(key)  # it was deleted meanwhile
                    return
                self._scrape.failed(key, error)
                transient = isinstance(error, TransientError)
                pause = self.queue.failed(key, TRANSIENT_PAUSE if transient else LONGEST_PAUSE)
                _log.warning("%s: %s; tried again in %.0f s", error.reason, error.message, pause)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Not this pass was cancelled, but something it shared with others.
                pause = self.queue.failed(key, TRANSIENT_PAUSE)
                _log.warning("what this pass waited for was given up; tried again in %.0f s", pause)
            except Exception as error:  # noqa: BLE001 - the boundary
                self._scrape.failed(key, error)
                self.queue.failed(key)
                _log.exception("a pass failed in a way nobody thought of; please report it")

    async def _pass(self, key: Key) -> None:
        began = time.perf_counter()
        complaint = self._resources.complaint(key)
        if complaint is not None:
            body = await self._invalid.tell(key, complaint)
            await self._gone_with_its_namespace(ObjectMeta.model_validate(body["metadata"]), key)
            self.queue.done(key)
            return
        resource = self._resources.get(key)
        if resource is None:
            self.queue.forget(key)
            self.queue.done(key)
            return
        if isinstance(resource, FeatureStoreProject):
            if await self._gone_with_its_namespace(resource.metadata, key):
                self.queue.done(key)
                return
            resource = await self._with_finalizer(resource)
            result = await self._controller.reconcile_project(resource)
        else:
            result = await self._controller.reconcile_model(resource)
        self._scrape.passed(key, resource, result, time.perf_counter() - began)
        if result.finished:
            await self._let_go(result.resource.metadata, key)
        self.queue.done(key)
        self._follow(key, resource, result)

    def _follow(self, key: Key, before: Resource, result: ReconcileResult) -> None:
        """Whoever depends on what this pass wrote is looked at next."""
        after = result.resource
        if isinstance(after, FeatureStoreProject):
            self._tell_models(key, after)
            if result.wrote:
                assert isinstance(before, FeatureStoreProject)
                for competing in competing_projects(self._resources, before, after):
                    self.queue.wake(competing)
        if self._resources.entry(key) is None:
            return
        if result.again:
            self.queue.wake(key)
        if result.requeue_at is not None:
            now = self._controller.now()
            self.queue.look(key, (result.requeue_at - now).total_seconds())
        if after.metadata.deletion_timestamp is not None:
            self.queue.look(key, DELETED_SECONDS)

    def _tell_models(self, key: Key, project: FeatureStoreProject) -> None:
        """Wake a project's models if it says what they were not told yet.

        What this pass has found is not the measure: one before it may have failed after its first
        write.
        """
        told = _told_by(project)
        if self._told.get(key) != told:
            self._told[key] = told
            for model in self._resources.models_of(key):
                self.queue.wake(model)

    async def _read_again(self, key: Key) -> bool:
        """After a conflict: what the watch has not told yet; whether the resource is gone."""
        try:
            body = await self._api.get(CUSTOM[key.kind], key.namespace, key.name)
        except NotFound:
            if self._resources.drop(key):
                self._gone(key)
            return True
        except FeatureLineageError as error:
            _log.debug("%s", error)
            return False
        self._resources.take(body, read=True)
        return False

    async def _with_finalizer(self, project: FeatureStoreProject) -> FeatureStoreProject:
        """The finalizer is there exactly while the deletion policy needs it."""
        metadata = project.metadata
        if metadata.deletion_timestamp is not None:
            return project
        wanted = project.spec.deletion_policy is DeletionPolicy.DELETE
        if wanted == (FINALIZER in metadata.finalizers):
            return project
        others = [each for each in metadata.finalizers if each != FINALIZER]
        key, finalizers = key_of(project), [*others, FINALIZER] if wanted else others
        body = await self._set_finalizers(key, metadata.resource_version, finalizers)
        if (entry := self._resources.entry(key)) is not None and entry.uid == metadata.uid:
            self._resources.take(body)
        found = self._resources.project(key.namespace, key.name)
        if found is None:
            raise NotFound(f"{key} is gone")
        return found

    async def _gone_with_its_namespace(self, metadata: ObjectMeta, key: Key) -> bool:
        """Nothing can be made in a namespace that is being deleted, so no job cleans up there."""
        if not _held(metadata):
            return False
        probe = {"metadata": {"generateName": "feature-lineage-"}}
        try:
            await self._api.create(CONFIG_MAPS, key.namespace, probe, dry_run=True)
        except Forbidden as error:
            if NAMESPACE_GOES not in error.causes:
                return False
        else:
            return False
        _log.warning("the namespace is being deleted: what Feast has of this project stays there")
        await self._let_go(metadata, key)
        return True

    async def _let_go(self, metadata: ObjectMeta, key: Key) -> None:
        if not _held(metadata):
            return
        others = [each for each in metadata.finalizers if each != FINALIZER]
        try:
            await self._set_finalizers(key, metadata.resource_version, others)
        except NotFound:
            return
        _log.info("nothing is left to do for this resource; it may go")

    async def _set_finalizers(self, key: Key, version: str, finalizers: list[str]) -> Object:
        return await self._api.patch(
            PROJECTS,
            key.namespace,
            key.name,
            {"metadata": {"resourceVersion": version, "finalizers": finalizers or None}},
        )


def _held(metadata: ObjectMeta) -> bool:
    """Whether an object would be gone but for our finalizer."""
    return metadata.deletion_timestamp is not None and FINALIZER in metadata.finalizers


def _told_by(project: FeatureStoreProject) -> tuple[object, ...]:
    """What of a project's status its models go by; that MLflow does not answer is a condition."""
    status = project.status
    facts = find_condition(status.conditions, ProjectCondition.FACTS_CURRENT)
    return status.registry, status.applied, status.feature_views, facts
