"""Plain requests to an API server: the baseline cost of any client.

No retries, no cache, no validation: aiohttp, 32 connections, JSON.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from feature_lineage.kube.api_client import CONNECTIONS, connect
from feature_lineage.kube.kinds import Kind

Object = dict[str, Any]

LINE_BYTES = 4 * 2**20
"""Longest event of a watch."""


@dataclass(frozen=True)
class RawClient:
    """One user's connections to an API server."""

    http: aiohttp.ClientSession

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        return await self._send("POST", kind.path(namespace), body, "application/json")

    async def patch(
        self, kind: Kind, namespace: str, name: str, body: Object, subresource: str = ""
    ) -> Object:
        path = kind.path(namespace, name, subresource)
        return await self._send("PATCH", path, body, "application/merge-patch+json")

    async def list(self, kind: Kind, namespace: str) -> Object:
        """Send all requests concurrently."""
        async with self.http.get(kind.path(namespace)) as answer:
            answer.raise_for_status()
            return json.loads(await answer.read())  # type: ignore[no-any-return]

    async def _send(self, method: str, path: str, body: Object, content: str) -> Object:
        async with self.http.request(
            method, path, data=json.dumps(body), headers={"Content-Type": content}
        ) as answer:
            data = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {data.decode()[:500]}")
            return json.loads(data)  # type: ignore[no-any-return]

    @asynccontextmanager
    async def watch(
        self, kind: Kind, namespace: str, since: str = ""
    ) -> AsyncIterator[AsyncIterator[Object]]:
        """Yield each new state of any object of the namespace, from a version or now on."""
        since = since or (await self.list(kind, namespace))["metadata"]["resourceVersion"]
        query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "7200"}
        async with self.http.get(kind.path(namespace), params=query) as answer:
            answer.raise_for_status()
            yield _bodies(answer)


@asynccontextmanager
async def raw_client(kubeconfig: Path) -> AsyncIterator[RawClient]:
    """A client with the user of a kubeconfig."""
    async with await connect(str(kubeconfig)) as api:
        configuration = api.configuration
        tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        token = await configuration.get_api_key_with_prefix("BearerToken")
    async with aiohttp.ClientSession(
        configuration.host,
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls),
        headers={"Authorization": token} if token else {},
        read_bufsize=LINE_BYTES,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
    ) as http:
        yield RawClient(http)


async def in_bulk(
    work: Callable[[Any], Coroutine[Any, Any, Object]], items: Iterable[Any]
) -> list[Object]:
    """Run everything concurrently, limited by the connections."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(item)) for item in items]
    return [task.result() for task in tasks]


async def _bodies(answer: aiohttp.ClientResponse) -> AsyncIterator[Object]:
    async for line in answer.content:
        event = json.loads(line)
        if event["type"] == "ERROR":
            raise RuntimeError(f"the watch ended: {event['object']}")
        yield event["object"]
    raise RuntimeError("the watch ended")
