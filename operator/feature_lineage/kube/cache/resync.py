"""Names compared: finds what watching missed, above all deletions, which kopf loses in a relist.

A listing of metadata costs a tenth of one of whole objects. What was known before it began and is
not in it is gone; what is in it and not known, or known as something else, is read anew.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from feature_lineage.decide.facts import Key
from feature_lineage.errors import NotFound
from feature_lineage.kube.cache.resource_cache import ResourceCache, newer
from feature_lineage.kube.client import Api
from feature_lineage.kube.kinds import CUSTOM

_log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 300.0
"""The longest that a lost deletion stays unseen where nothing hints at it."""


async def sweep(
    api: Api, resources: ResourceCache, namespaces: tuple[str, ...], *, whole: bool = False
) -> AsyncIterator[Key]:
    """Bring the store to what the API server lists.

    Yields each key that is not what it was: no longer there, new, or another than was known. What
    was found before an error is in the store, so it is told at once.

    Args:
        namespaces: to look at; empty: all.
        whole: list whole objects: for a store that knows nothing yet.

    Raises:
        FeatureLineageError: the listing failed; what was known stays.
    """
    gone = 0
    for kind in CUSTOM.values():
        before = resources.versions(kind.kind)
        listed: dict[Key, tuple[str, str]] = {}
        for namespace in namespaces or ("",):
            async for item in api.list(kind, namespace, metadata_only=not whole):
                metadata = item["metadata"]
                key = Key(kind.kind, metadata["namespace"], metadata["name"])  # type: ignore[arg-type]
                listed[key] = (str(metadata["uid"]), str(metadata["resourceVersion"]))
                if whole:
                    # Items of a list do not say what they are.
                    item |= {"apiVersion": kind.api_version, "kind": kind.kind}
                    if resources.take(item) is not None:
                        yield key
                    await asyncio.sleep(0)
        for key, (uid, _) in before.items():
            if key not in listed and resources.drop(key, uid):
                gone += 1
                yield key
        known = resources.versions(kind.kind)
        for key, (uid, version) in listed.items():
            had = known.get(key)
            if had is not None and had[0] == uid and not newer(version, had[1]):
                continue
            try:
                body = await api.get(kind, key.namespace, key.name)
            except NotFound:
                continue
            if resources.take(body, read=True) is not None:
                yield key
    if gone:
        _log.info("%d deleted objects were found by their names", gone)
