"""Finds changes that the watch has lost, mainly deletions: kopf loses them when it lists again.

A list of metadata costs a tenth of one of whole objects. An object that was cached before the list
and is not in it was deleted; an object that is new, or newer than the cached one, is read.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from feature_lineage.decide.facts import Key
from feature_lineage.errors import NotFound
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.cache.cache_entry import newer
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.kinds import CUSTOM

_log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 300.0
"""The longest time that a lost deletion stays unknown."""


async def relist(
    api: Api, resources: ResourceCache, namespaces: tuple[str, ...], *, whole: bool = False
) -> AsyncIterator[Key]:
    """Make the cache equal to what the API server lists.

    Yields each key that has changed: deleted, new or newer. A key is yielded as soon as the cache
    has its change, so an error later in the list loses no key.

    Args:
        namespaces: to list; empty: all.
        whole: list whole objects; for a cache that is empty.

    Raises:
        FeatureLineageError: the list failed; the cache keeps what it has.
    """
    deleted = 0
    for kind in CUSTOM.values():
        before = resources.versions(kind.kind)
        listed: dict[Key, tuple[str, str]] = {}
        for namespace in namespaces or ("",):
            async for item in api.list(kind, namespace, metadata_only=not whole):
                metadata = item["metadata"]
                key = Key(kind.kind, metadata["namespace"], metadata["name"])  # type: ignore[arg-type]
                listed[key] = (str(metadata["uid"]), str(metadata["resourceVersion"]))
                if whole:
                    # The items of a list have no kind.
                    item |= {"apiVersion": kind.api_version, "kind": kind.kind}
                    if resources.take(item) is not None:
                        yield key
                    await asyncio.sleep(0)
        for key, (uid, _) in before.items():
            if key not in listed and resources.drop(key, uid):
                deleted += 1
                yield key
        cached = resources.versions(kind.kind)
        for key, (uid, version) in listed.items():
            had = cached.get(key)
            if had is not None and had[0] == uid and not newer(version, had[1]):
                continue
            try:
                body = await api.get(kind, key.namespace, key.name)
            except NotFound:
                continue
            if resources.take(body, read=True) is not None:
                yield key
    if deleted:
        _log.info("the relist found %d deleted objects", deleted)
