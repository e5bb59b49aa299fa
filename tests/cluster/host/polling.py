"""Waiting for what the API server says, by watching it: no polling, no pauses."""

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
    """What was waited for did not come; the message tells the last state."""


def condition(body: Object | None, type_: str) -> Condition:
    """A condition of an object, {} where it has none of this type."""
    conditions = (body or {}).get("status", {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == type_), {})


def says(type_: str, status: str, reason: str = "") -> Callable[[Object | None], bool]:
    """Holds once a condition has this status, and this reason where one is given."""

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
    """The object once `holds` is true of it; {} where that means that it is gone.

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
                    await asyncio.sleep(0.2)  # a server that is being started again
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
    """Each new state of an object, None when it is deleted, until the stream ends."""
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
        del error  # the server went away: look again
        await asyncio.sleep(0.2)
