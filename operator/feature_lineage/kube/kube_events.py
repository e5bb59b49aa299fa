"""Kubernetes Events, through ``events.k8s.io/v1``: what `kubectl describe` shows below a resource.

A repeated event is one Event with a series: its name is a hash of its content, so the next process
continues the count. Only the series of an Event may change after its creation. An Event that cannot
be written is logged and counted; the reconcile does not fail, because status and metrics have the
same information.
"""

import hashlib
import logging
from collections.abc import Callable
from typing import Final

from feature_lineage.decide.facts import Event, Key
from feature_lineage.errors import AccessRefused, FeatureLineageError, NotFound
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.api_errors import Conflict, Forbidden
from feature_lineage.kube.kinds import CUSTOM, EVENTS
from feature_lineage.kube.microtime import micro_time
from feature_lineage.ports import Clock

CONTROLLER: Final = "featurelineage.io/operator"
ACTION: Final = "Reconcile"
NOTE_BYTES: Final = 1024
REASON_CHARS: Final = 128
INSTANCE_CHARS: Final = 128
TRIES: Final = 3

_log = logging.getLogger(__name__)


class KubeEvents:
    """The `Events` port.

    Args:
        identity: the name of this process's pod.
        lookup: uid of a resource, "" if it is unknown; `kubectl describe` finds Events by uid.

    Attributes:
        unwritten: how many Events could not be written.
    """

    def __init__(self, api: Api, clock: Clock, identity: str, lookup: Callable[[Key], str]) -> None:
        self._api = api
        self._clock = clock
        self._identity = identity[:INSTANCE_CHARS]
        self._lookup = lookup
        self._refused = False
        self.unwritten = 0

    async def emit(self, event: Event) -> None:
        body = self._body(event)
        try:
            await self._write(event.key.namespace, body)
        except (NotFound, Forbidden) as error:
            if isinstance(error, NotFound) or error.namespace_terminating:
                _log.debug("no event for %s: its namespace is being deleted", event.key)
                return
            self._not_written(event, error)
        except FeatureLineageError as error:
            self._not_written(event, error)
        else:
            self._refused = False

    def _not_written(self, event: Event, error: FeatureLineageError) -> None:
        self.unwritten += 1
        refused = isinstance(error, AccessRefused)
        if not (refused and self._refused):  # a missing permission is logged once
            _log.warning("no event %s for %s: %s", event.reason, event.key, error)
        self._refused = refused

    def _body(self, event: Event) -> Object:
        kind, key = CUSTOM[event.key.kind], event.key
        uid = self._lookup(key)
        note = shortened(event.message)
        content = "\0".join((uid, key.kind, event.kind, event.reason, note)).encode(
            errors="replace"
        )
        digest = hashlib.sha256(content).hexdigest()[:16]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {
                "name": f"{key.name}.{digest}",
                "namespace": key.namespace,
            },
            "eventTime": micro_time(self._clock.now()),
            "type": event.kind,
            "reason": event.reason[:REASON_CHARS],
            "action": ACTION,
            "note": note,
            "reportingController": CONTROLLER,
            "reportingInstance": self._identity,
            "regarding": {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "namespace": key.namespace,
                "name": key.name,
                **({"uid": uid} if uid else {}),
            },
        }

    async def _write(self, namespace: str, body: Object) -> None:
        """Create the Event, or count one more; an Event that expires meanwhile is created again."""
        for tries_left in reversed(range(TRIES)):
            try:
                await self._api.create(EVENTS, namespace, body)
            except Conflict:
                try:
                    await self._count(namespace, body)
                except (Conflict, NotFound):
                    if not tries_left:
                        raise
                    continue
            return

    async def _count(self, namespace: str, body: Object) -> None:
        name = body["metadata"]["name"]
        known = await self._api.get(EVENTS, namespace, name)
        count = int((known.get("series") or {}).get("count") or 1)
        patch = {
            "metadata": {"resourceVersion": known["metadata"]["resourceVersion"]},
            "series": {"count": count + 1, "lastObservedTime": body["eventTime"]},
        }
        await self._api.patch(EVENTS, namespace, name, patch)


def shortened(text: str) -> str:
    """A text, truncated to the size of a note in bytes of UTF-8."""
    data = text.encode(errors="replace")
    if len(data) <= NOTE_BYTES:
        return data.decode()
    return data[: NOTE_BYTES - len("…".encode())].decode(errors="ignore") + "…"
