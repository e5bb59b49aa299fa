"""What the API server holds, brought into the store and kept there; whoever it concerns is woken.

    first listing ─► watch (kopf) ─┐
    names, now and then ─► sweep ──┴─► store ─► wake

The first listing is our own, so that there is a moment at which all is known; kopf lists again
when it begins, and by then that is no news.
"""

import asyncio
import logging
import random
from typing import Final, Protocol

from feature_lineage.decide.facts import Key
from feature_lineage.errors import FeatureLineageError
from feature_lineage.kube.cache.kopf_watch import Change, KopfWatch
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.cache.resync import EVERY_SECONDS, sweep
from feature_lineage.kube.client import Api
from feature_lineage.kube.kinds import JOBS, PROJECT_LABEL

SWEEP_RETRY_SECONDS: Final = 5.0
SWEEP_AGAIN_SECONDS: Final = 10.0
"""After an outage kopf may come back later than the sweep; a listing of nothing tells nothing."""
RELIST_SECONDS: Final = 1.0
"""A relist is told object by object; names are compared once it is through."""

_log = logging.getLogger(__name__)


class Told(Protocol):
    """Who is told what came in."""

    def wake(self, key: Key, cause: object = None) -> None:
        """Look at this resource; `cause` changes with what its user wants."""
        ...

    def forget(self, key: Key) -> None:
        """This resource is gone."""
        ...


class Informer:
    """Fills the store.

    Args:
        namespaces: to watch; empty: all.
        told: of everything that comes in.
        every: seconds, about, between two comparisons of names where nothing hints at a loss.
        retry: seconds after a listing that failed.

    Attributes:
        trouble: what stands against knowing everything, "" once it is known.
        synced: set once everything was listed.
    """

    def __init__(
        self,
        api: Api,
        resources: ResourceCache,
        namespaces: tuple[str, ...],
        told: Told,
        *,
        every: float = EVERY_SECONDS,
        retry: float = SWEEP_RETRY_SECONDS,
    ) -> None:
        self._api = api
        self._resources = resources
        self._namespaces = namespaces
        self._told = told
        self._every = every
        self._retry = retry
        self._watcher = KopfWatch(api.configuration, namespaces, self._noticed, self._relisted)
        self._sweep_now = asyncio.Event()
        self._relist: asyncio.TimerHandle | None = None
        self.trouble = "the resources were not listed yet"
        self.synced = asyncio.Event()

    async def watch(self) -> None:
        """Notice what happens, from the first listing on; returns once `stop` was called.

        Raises:
            WatchingEnded: nothing is noticed any more.
        """
        await self.synced.wait()
        await self._watcher.start()

    def stop(self) -> None:
        """Notice nothing any more; waits for kopf's thread."""
        self._watcher.stop()

    def compare_names(self) -> None:
        """Something may have been missed: have the names compared soon."""
        self._sweep_now.set()

    async def sweep(self) -> None:
        """Bring the store to what is listed now.

        Raises:
            FeatureLineageError: the listing failed; what was known stays.
        """
        whole = not self.synced.is_set()
        async for key in sweep(self._api, self._resources, self._namespaces, whole=whole):
            entry = self._resources.entry(key)
            if entry is None:
                self._told.forget(key)
            else:
                self._told.wake(key, entry.wish)
        self.trouble = ""
        self.synced.set()

    async def keep_sweeping(self) -> None:
        """Compare names at the start, after an outage or a relist, and every few minutes."""
        said, hinted = "", False
        while True:
            pause = SWEEP_AGAIN_SECONDS
            if not hinted:
                pause = self._every * random.uniform(0.8, 1.2)  # noqa: S311 - spread
            self._sweep_now.clear()
            try:
                await self.sweep()
                said = ""
            except FeatureLineageError as error:
                if said != error.message:
                    _log.warning("the resources cannot be listed: %s", error.message)
                said = error.message
                if not self.synced.is_set():
                    self.trouble = error.message
                pause = self._retry
            try:
                async with asyncio.timeout(pause):
                    await self._sweep_now.wait()
                hinted = True
            except TimeoutError:
                hinted = False

    def _noticed(self, change: Change) -> None:
        metadata = change.body["metadata"]
        if change.kind is JOBS:
            project = metadata.get("labels", {}).get(PROJECT_LABEL)
            if project:
                self._told.wake(Key("FeatureStoreProject", metadata["namespace"], project))
            return
        key = Key(change.kind.kind, metadata["namespace"], metadata["name"])  # type: ignore[arg-type]
        if change.gone:
            if self._resources.drop(key, str(metadata["uid"])):
                self._told.forget(key)
            return
        if change.replayed:
            self._relisted()
        before = self._resources.entry(key)
        if self._resources.take(change.body) is None:
            return
        after = self._resources.entry(key)
        assert after is not None
        # Our own status comes back as an event, and is no news.
        if before is None or (before.uid, before.wish) != (after.uid, after.wish):
            self._told.wake(key, after.wish)

    def _relisted(self) -> None:
        """kopf lists anew, one object after another: names are compared when it is through."""
        if self._relist is not None:
            self._relist.cancel()
        loop = asyncio.get_running_loop()
        self._relist = loop.call_later(RELIST_SECONDS, self._sweep_now.set)
