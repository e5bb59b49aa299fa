"""Keeps the cache equal to the API server, and enqueues each resource that has changed.

    first list ─► watch (kopf) ─┐
    relist, periodically ───────┴─► resource cache ─► event handler

The first list is the informer's own, so that `synced` is set when the cache is complete. Then kopf
starts; the list that kopf starts with has nothing new.
"""

import asyncio
import logging
import random
from typing import Final, Protocol

from feature_lineage.decide.facts import Key
from feature_lineage.errors import FeatureLineageError
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.cache.kopf_watch import KopfWatch, WatchEvent
from feature_lineage.kube.cache.relist import EVERY_SECONDS, relist
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.kinds import JOBS, PROJECT_LABEL

RELIST_RETRY_SECONDS: Final = 5.0
RELIST_AGAIN_SECONDS: Final = 10.0
"""After an outage, kopf may connect later than the relist, so a second relist follows the first."""
KOPF_LIST_SECONDS: Final = 1.0
"""kopf reports a list object by object; the relist follows when no object came for this time."""

_log = logging.getLogger(__name__)


class ResourceEventHandler(Protocol):
    """Receives changes of resources."""

    def enqueue(self, key: Key, spec_hash: object = None) -> None:
        """A resource was created or changed; `spec_hash` changes with spec and annotations."""
        ...

    def forget(self, key: Key) -> None:
        """A resource was deleted."""
        ...


class Informer:
    """Fills the cache.

    Args:
        namespaces: to watch; empty: all.
        handler: receives every change.
        every: seconds, about, between two relists.
        retry: seconds until a relist after one that failed.

    Attributes:
        problem: why the cache is not complete; "" if it is.
        synced: set after everything was listed.
    """

    def __init__(
        self,
        api: Api,
        resources: ResourceCache,
        namespaces: tuple[str, ...],
        handler: ResourceEventHandler,
        *,
        every: float = EVERY_SECONDS,
        retry: float = RELIST_RETRY_SECONDS,
    ) -> None:
        self._api = api
        self._resources = resources
        self._namespaces = namespaces
        self._handler = handler
        self._every = every
        self._retry = retry
        self._watch = KopfWatch(api.configuration, namespaces, self._on_event, self._on_kopf_list)
        self._relist_now = asyncio.Event()
        self._relist_timer: asyncio.TimerHandle | None = None
        self.problem = "featurestoreprojects and trainedmodels were not listed yet"
        self.synced = asyncio.Event()

    async def watch(self) -> None:
        """Receive events, from the first list on; returns once `stop` was called.

        Raises:
            WatchingEnded: events are not received any more.
        """
        await self.synced.wait()
        await self._watch.start()

    def stop(self) -> None:
        """Stop receiving events; waits for kopf's thread."""
        self._watch.stop()

    def request_relist(self) -> None:
        """Relist soon: events may have been lost."""
        self._relist_now.set()

    async def relist(self) -> None:
        """Make the cache equal to what the API server lists now.

        Raises:
            FeatureLineageError: the list failed; the cache stays as it was.
        """
        whole = not self.synced.is_set()
        async for key in relist(self._api, self._resources, self._namespaces, whole=whole):
            entry = self._resources.entry(key)
            if entry is None:
                self._handler.forget(key)
            else:
                self._handler.enqueue(key, entry.spec_hash)
        self.problem = ""
        self.synced.set()

    async def keep_relisting(self) -> None:
        """Relist at the start, on request, and every few minutes."""
        logged, requested = "", False
        while True:
            pause = RELIST_AGAIN_SECONDS
            if not requested:
                pause = self._every * random.uniform(0.8, 1.2)  # noqa: S311 - spread
            self._relist_now.clear()
            try:
                await self.relist()
                logged = ""
            except FeatureLineageError as error:
                if logged != error.message:
                    _log.warning("the resources cannot be listed: %s", error.message)
                logged = error.message
                if not self.synced.is_set():
                    self.problem = error.message
                pause = self._retry
            try:
                async with asyncio.timeout(pause):
                    await self._relist_now.wait()
                requested = True
            except TimeoutError:
                requested = False

    def _on_event(self, event: WatchEvent) -> None:
        metadata = event.body["metadata"]
        if event.kind is JOBS:
            project = metadata.get("labels", {}).get(PROJECT_LABEL)
            if project:
                self._handler.enqueue(Key("FeatureStoreProject", metadata["namespace"], project))
            return
        key = Key(event.kind.kind, metadata["namespace"], metadata["name"])  # type: ignore[arg-type]
        if event.deleted:
            if self._resources.drop(key, str(metadata["uid"])):
                self._handler.forget(key)
            return
        if event.listed:
            self._on_kopf_list()
        before = self._resources.entry(key)
        if self._resources.take(event.body) is None:
            return
        after = self._resources.entry(key)
        assert after is not None
        # The event of a status that this operator wrote changes neither.
        if before is None or (before.uid, before.spec_hash) != (after.uid, after.spec_hash):
            self._handler.enqueue(key, after.spec_hash)

    def _on_kopf_list(self) -> None:
        """Relist when kopf's list has ended: kopf does not report what was deleted before it."""
        if self._relist_timer is not None:
            self._relist_timer.cancel()
        loop = asyncio.get_running_loop()
        self._relist_timer = loop.call_later(KOPF_LIST_SECONDS, self._relist_now.set)
