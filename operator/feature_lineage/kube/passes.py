"""What is done with one key: a pass of the core, and what the API server wants besides.

The one broad ``except`` of the host is here: one resource stops no other.
"""

import logging
import time
from typing import Final

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.annotations import FINALIZER
from feature_lineage.api.enums import DeletionPolicy
from feature_lineage.errors import FeatureLineageError, NotFound
from feature_lineage.kube.client import Api, Conflict
from feature_lineage.kube.invalid import InvalidStatuses
from feature_lineage.kube.kinds import CUSTOM
from feature_lineage.kube.logs import about
from feature_lineage.kube.queue import WorkQueue
from feature_lineage.kube.store import KubeResources, Resource, key_of
from feature_lineage.metrics.scrape import Scrape
from feature_lineage.ports import Key
from feature_lineage.reconcile.controller import Controller, Pass
from feature_lineage.reconcile.ownership import twins

NAMESPACE_GOES: Final = "NamespaceTerminating"

_log = logging.getLogger(__name__)


class Passes:
    """Works on the keys of a queue.

    Args:
        scrape: counts what happens.
    """

    def __init__(
        self, api: Api, resources: KubeResources, controller: Controller, scrape: Scrape
    ) -> None:
        self._api = api
        self._resources = resources
        self._controller = controller
        self._scrape = scrape
        self._invalid = InvalidStatuses(api)
        self.queue: WorkQueue

    async def work(self, key: Key) -> None:
        """One pass; the queue is told how it went."""
        with about(key):
            try:
                await self._pass(key)
            except Conflict as error:
                _log.debug("%s", error)
                await self._read_again(key)
                self.queue.failed(key)
            except FeatureLineageError as error:
                self._scrape.failed(key, error)
                pause = self.queue.failed(key)
                _log.warning("%s: %s; tried again in %.0f s", error.reason, error.message, pause)
            except Exception as error:  # noqa: BLE001 - the boundary
                self._scrape.failed(key, error)
                self.queue.failed(key)
                _log.exception("a pass failed in a way nobody thought of; please report it")

    async def _pass(self, key: Key) -> None:
        began = time.perf_counter()
        complaint = self._resources.complaint(key)
        if complaint is not None:
            await self._invalid.tell(key, self._resources.entry(key), complaint)
            self.queue.done(key)
            return
        resource = self._resources.get(key)
        if resource is None:
            self.queue.done(key)
            return
        if isinstance(resource, FeatureStoreProject):
            resource = await self._with_finalizer(resource)
            result = await self._controller.reconcile_project(resource)
        else:
            result = await self._controller.reconcile_model(resource)
        self._scrape.passed(key, resource, result, time.perf_counter() - began)
        if result.finished or _namespace_goes(result.resource):
            await self._let_go(result.resource)
        self.queue.done(key)
        self._follow(key, resource, result)

    def _follow(self, key: Key, before: Resource, result: Pass) -> None:
        """Whoever depends on what this pass wrote is looked at next."""
        after = result.resource
        if result.wrote and isinstance(after, FeatureStoreProject):
            assert isinstance(before, FeatureStoreProject)
            if _matters_to_models(before, after):
                for model in self._resources.models_of(key):
                    self.queue.wake(model)
            for twin in twins(self._resources, before, after):
                self.queue.wake(twin)
        if result.again:
            self.queue.wake(key)
        if result.next_look is not None:
            now = self._controller.now()
            self.queue.look(key, (result.next_look - now).total_seconds())

    async def _read_again(self, key: Key) -> None:
        """After a conflict: what the watch has not told yet."""
        try:
            body = await self._api.get(CUSTOM[key.kind], key.namespace, key.name)
        except NotFound:
            self._resources.drop(key)
            return
        except FeatureLineageError as error:
            _log.debug("%s", error)
            return
        self._resources.take(body, read=True)

    async def _with_finalizer(self, project: FeatureStoreProject) -> FeatureStoreProject:
        """The finalizer is there exactly while the deletion policy needs it."""
        metadata = project.metadata
        if metadata.deletion_timestamp is not None:
            return project
        wanted = project.spec.deletion_policy is DeletionPolicy.DELETE
        if wanted == (FINALIZER in metadata.finalizers):
            return project
        others = [each for each in metadata.finalizers if each != FINALIZER]
        return await self._set_finalizers(project, [*others, FINALIZER] if wanted else others)

    async def _let_go(self, resource: Resource) -> None:
        metadata = resource.metadata
        if metadata.deletion_timestamp is None or FINALIZER not in metadata.finalizers:
            return
        others = [each for each in metadata.finalizers if each != FINALIZER]
        assert isinstance(resource, FeatureStoreProject)
        try:
            await self._set_finalizers(resource, others)
        except NotFound:
            return
        _log.info("nothing is left to do for this resource; it may go")

    async def _set_finalizers(
        self, project: FeatureStoreProject, finalizers: list[str]
    ) -> FeatureStoreProject:
        key = key_of(project)
        version = project.metadata.resource_version
        body = await self._api.patch(
            CUSTOM[key.kind],
            key.namespace,
            key.name,
            {"metadata": {"resourceVersion": version, "finalizers": finalizers or None}},
        )
        self._resources.take(body)
        found = self._resources.project(key.namespace, key.name)
        if found is None:
            raise NotFound(f"{key} is gone")
        return found


def _matters_to_models(before: FeatureStoreProject, after: FeatureStoreProject) -> bool:
    """Whether a project's new status can change what its models' statuses say."""
    was, now = before.status, after.status
    return (was.registry, was.applied, was.feature_views) != (
        now.registry,
        now.applied,
        now.feature_views,
    )


def _namespace_goes(resource: FeatureStoreProject | TrainedModel) -> bool:
    """Nothing can be made in a namespace that is being deleted: no job will ever clean up there."""
    if resource.metadata.deletion_timestamp is None or isinstance(resource, TrainedModel):
        return False
    operation = resource.status.operation
    return operation is not None and operation.reason == NAMESPACE_GOES
