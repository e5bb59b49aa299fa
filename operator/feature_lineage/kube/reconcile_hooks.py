"""The steps of the cluster host around a reconcile: finalizers, invalid and outdated objects."""

import logging
from collections.abc import Callable
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.annotations import FINALIZER
from feature_lineage.api.enums import DeletionPolicy
from feature_lineage.api.meta import ObjectMeta
from feature_lineage.decide.facts import Key, Resource, key_of
from feature_lineage.errors import FeatureLineageError, NotFound
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.api_errors import Conflict, Forbidden
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.invalid_statuses import InvalidStatuses
from feature_lineage.kube.kinds import CONFIG_MAPS, CUSTOM, PROJECTS
from feature_lineage.workqueue.reconcile_worker import Recovery

RECONCILE_SECONDS: Final = 180.0
"""A reconcile makes a few requests, each with a deadline of its own: a longer one hangs."""
DELETED_SECONDS: Final = 30.0
"""Interval for a project that is being deleted: no event reports the end of its namespace."""

_log = logging.getLogger(__name__)


class ClusterHooks:
    """`Hooks` of the cluster host.

    Args:
        forget: removes the data about a resource that was found to be deleted before the watch
            reported the deletion.
        enqueue_after: enqueues a key after so many seconds.
    """

    def __init__(
        self,
        api: Api,
        resources: ResourceCache,
        forget: Callable[[Key], None],
        enqueue_after: Callable[[Key, float], None],
    ) -> None:
        self._api = api
        self._resources = resources
        self._forget = forget
        self._enqueue_after = enqueue_after
        self._invalid = InvalidStatuses(api)

    async def prepare(self, key: Key) -> Resource | None:
        """The resource, with its finalizer as the deletion policy needs it."""
        problem = self._resources.invalid(key)
        if problem is not None:
            body = await self._invalid.write(key, problem)
            metadata = ObjectMeta.model_validate(body["metadata"])
            await self._released_with_namespace(metadata, key)
            return None
        resource = self._resources.get(key)
        if resource is None:
            self._forget(key)
            return None
        if isinstance(resource, FeatureStoreProject):
            if await self._released_with_namespace(resource.metadata, key):
                return None
            resource = await self._with_finalizer(resource)
        if resource.metadata.deletion_timestamp is not None:
            self._enqueue_after(key, DELETED_SECONDS)
        return resource

    async def finish(self, key: Key, resource: Resource) -> None:
        """Remove the finalizer, so that the API server deletes the resource."""
        await self._release(resource.metadata, key)

    async def recover(self, key: Key, error: Exception) -> Recovery:
        """Read the resource again after a conflict, or if it may have been deleted."""
        if isinstance(error, Conflict):
            _log.debug("%s", error)
            await self._read_again(key)
            return Recovery.CONFLICT
        if isinstance(error, NotFound) and await self._read_again(key):
            return Recovery.GONE
        return Recovery.FAILED

    async def _read_again(self, key: Key) -> bool:
        """Read a change that the watch has not reported; whether the resource was deleted."""
        try:
            body = await self._api.get(CUSTOM[key.kind], key.namespace, key.name)
        except NotFound:
            if self._resources.drop(key):
                self._forget(key)
            return True
        except FeatureLineageError as error:
            _log.debug("%s", error)
            return False
        self._resources.take(body, read=True)
        return False

    async def _with_finalizer(self, project: FeatureStoreProject) -> FeatureStoreProject:
        """The project, which has the finalizer exactly while the deletion policy needs it."""
        metadata = project.metadata
        if metadata.deletion_timestamp is not None:
            return project
        needed = project.spec.deletion_policy is DeletionPolicy.DELETE
        if needed == (FINALIZER in metadata.finalizers):
            return project
        others = [each for each in metadata.finalizers if each != FINALIZER]
        key, finalizers = key_of(project), [*others, FINALIZER] if needed else others
        body = await self._set_finalizers(key, metadata.resource_version, finalizers)
        if (entry := self._resources.entry(key)) is not None and entry.uid == metadata.uid:
            self._resources.take(body)
        found = self._resources.project(key.namespace, key.name)
        if found is None:
            raise NotFound(f"{key} is deleted")
        return found

    async def _released_with_namespace(self, metadata: ObjectMeta, key: Key) -> bool:
        """Release a deleted project if its namespace is being deleted; return whether it is.

        Nothing can be created in such a namespace, so a deletion job cannot run.
        """
        if not _held(metadata):
            return False
        probe = {"metadata": {"generateName": "feature-lineage-"}}
        try:
            await self._api.create(CONFIG_MAPS, key.namespace, probe, dry_run=True)
        except Forbidden as error:
            if not error.namespace_terminating:
                return False
        else:
            return False
        _log.warning("the namespace is being deleted; Feast's objects of this project remain")
        await self._release(metadata, key)
        return True

    async def _release(self, metadata: ObjectMeta, key: Key) -> None:
        if not _held(metadata):
            return
        others = [each for each in metadata.finalizers if each != FINALIZER]
        try:
            await self._set_finalizers(key, metadata.resource_version, others)
        except NotFound:
            return
        _log.info("the finalizer is removed; the API server deletes the resource")

    async def _set_finalizers(self, key: Key, version: str, finalizers: list[str]) -> Object:
        return await self._api.patch(
            PROJECTS,
            key.namespace,
            key.name,
            {"metadata": {"resourceVersion": version, "finalizers": finalizers or None}},
        )


def _held(metadata: ObjectMeta) -> bool:
    """Whether only finalizers, ours among them, delay the deletion of an object."""
    return metadata.deletion_timestamp is not None and FINALIZER in metadata.finalizers
