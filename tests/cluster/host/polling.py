"""Waits for a state on the API server with a watch, without polling or sleeping."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from feature_lineage.errors import NotFound
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.api_errors import ApiUnavailable
from feature_lineage.kube.kinds import Kind

SECONDS = 60.0

Condition = dict[str, Any]


class NeverHappened(AssertionError):
    """The awaited state did not come; the message contains the last state."""


def condition(body: Object | None, type_: str) -> Condition:
    """Return the condition of an object, or {} if there is none of this type."""
    conditions = (body or {}).get("status", {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == type_), {})


def says(type_: str, status: str, reason: str = "") -> Callable[[Object | None], bool]:
    """Return a check: the condition has this status, and this reason if one is given."""

    def holds(body: Object | None) -> bool:
        found = condition(body, type_)
        return found.get("status") == status and reason in ("", found.get("reason"))

    return holds


def gone(body: Object | None) -> bool:
    return body is None


async def until(
    api: Api,
    kind: Kind,
    namespace: str,
    name: str,
    holds: Callable[[Object | None], bool],
    seconds: float = SECONDS,
) -> Object:
    """Return the object when `holds` is true of it; {} if the object is deleted by then.

    Raises:
        NeverHappened: not within `seconds`.
    """
    last: Object | None = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    last = await api.get(kind, namespace, name)
                except NotFound:
                    last = None
                except ApiUnavailable:
                    await asyncio.sleep(0.2)  # the server is being started again
                    continue
                if holds(last):
                    return last or {}
                since = last["metadata"]["resourceVersion"] if last else None
                async for body in _changes(api, kind, namespace, name, since):
                    last = body
                    if holds(last):
                        return last or {}
    except TimeoutError:
        shown = json.dumps((last or {}).get("status", last), indent=1)
        raise NeverHappened(f"{kind.kind} {namespace}/{name} after {seconds:.0f} s: {shown}") from (
            None
        )


async def _changes(api: Api, kind: Kind, namespace: str, name: str, since: str | None) -> Any:
    """Yield each new state of an object, and None after its deletion, until the stream ends."""
    query = {"watch": "true", "fieldSelector": f"metadata.name={name}", "timeoutSeconds": "30"}
    if since is not None:
        query["resourceVersion"] = since
    path = kind.path(namespace)
    headers = dict(api._client.default_headers)
    await api._client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
    url = f"{api.configuration.host}{path}?{urlencode(query)}"
    try:
        answer = await api._client.rest_client.request(
            "GET", url, headers=headers, _request_timeout=60
        )
        async for line in answer.response.content:
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            yield None if event["type"] == "DELETED" else event["object"]
    except (OSError, asyncio.IncompleteReadError) as error:
        del error  # the connection was lost: watch again
        await asyncio.sleep(0.2)
