"""A client of the API server for objects as plain dicts; every request has a deadline.

`kubernetes.aio` provides connections, TLS and the rotation of tokens. Its models are not used,
because they cost more than the request.
"""

import asyncio
import copy
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from feature_lineage.errors import NotFound, TerminalError
from feature_lineage.kube.api_errors import ApiUnavailable, NotLeading, error_of
from feature_lineage.kube.kinds import MANAGER, Kind
from feature_lineage.reasons import Reason
from feature_lineage.untrusted import TooLarge, check_json

Object = dict[str, Any]
PatchType = Literal["merge", "apply", "json"]

REQUEST_SECONDS: Final = 15.0
PAGE: Final = 500
PAGE_BYTES: Final = 8 * 1024 * 1024
"""A larger page is requested again with half of the objects: one object may have a megabyte."""
CONNECTIONS: Final = 32

_PATCHES: Final[Mapping[str, str]] = {
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",
    "json": "application/json-patch+json",
}
_METADATA_ONLY: Final = (
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)

_log = logging.getLogger(__name__)


async def connect(kubeconfig: str = "") -> "Api":
    """Connect with a given kubeconfig, else as the pod's account, else as kubectl does.

    Raises:
        TerminalError: there is no configuration.
    """
    configuration = Configuration()
    try:
        if kubeconfig:
            await load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            try:
                load_incluster_config(client_configuration=configuration)
            except ConfigException:
                await load_kube_config(client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise TerminalError(
            f"no API server configured: {error}; run in a pod, set KUBECONFIG or use --kubeconfig",
            reason=Reason.NO_CLUSTER,
        ) from error
    configuration.connection_pool_maxsize = CONNECTIONS
    configuration.retries = None
    configuration.proxy = configuration.proxy or _proxy_to(configuration.host)
    # By default, aiohttp looks for a proxy and a .netrc file in two threads, at each request.
    configuration.client_session_kwargs = {"trust_env": False}
    return Api(configuration)


def _proxy_to(server: str) -> str | None:
    """The proxy for a server, from the environment."""
    address = urlsplit(server)
    return None if proxy_bypass(address.netloc) else getproxies().get(address.scheme)


class Api:
    """Requests to one API server.

    Args:
        configuration: of `kubernetes.aio`: host, certificates, token.
        deadline: seconds until the answer must be complete.
    """

    def __init__(self, configuration: Configuration, deadline: float = REQUEST_SECONDS) -> None:
        self.configuration = configuration
        self._client = ApiClient(configuration)
        self._client.user_agent = MANAGER
        self._deadline = deadline
        self._may_write: Callable[[], bool] = lambda: True

    def fenced(self, may_write: Callable[[], bool]) -> "Api":
        """A client on the same connections that refuses to write while `may_write` is False.

        A process that was suspended continues where it was, when another process may have become
        the leader.
        """
        fenced = copy.copy(self)
        fenced._may_write = may_write  # noqa: SLF001 - of the same class
        return fenced

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """One object.

        Raises:
            NotFound: there is no object of that name.
        """
        return await self._request("GET", kind.path(namespace, name))

    async def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, None if there is none of that name."""
        try:
            return await self.get(kind, namespace, name)
        except NotFound:
            return None

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[Object]:
        """Objects of a namespace, or of all; in pages of at most `PAGE` objects.

        The memory of a page is bounded, unless it has one object.

        Args:
            labels: label selector.
            fields: field selector.
            metadata_only: the objects have only ``metadata``.
        """
        query: dict[str, str] = {}
        size = PAGE
        if labels:
            query["labelSelector"] = labels
        if fields:
            query["fieldSelector"] = fields
        headers = {"Accept": _METADATA_ONLY} if metadata_only else {}
        while True:
            query["limit"] = str(size)
            try:
                page = await self._request(
                    "GET", kind.path(namespace), query=query, headers=headers, paged=size > 1
                )
            except TooLarge:
                size //= 2
                continue
            size = min(2 * size, PAGE)
            for item in page.get("items") or ():
                yield item
            following = page.get("metadata", {}).get("continue")
            if not following:
                return
            query["continue"] = following

    async def create(
        self, kind: Kind, namespace: str, body: Object, *, dry_run: bool = False
    ) -> Object:
        """Create an object.

        Args:
            dry_run: only check whether the object could be created.

        Raises:
            Conflict: an object of that name exists.
        """
        query = {"dryRun": "All"} if dry_run else None
        return await self._request("POST", kind.path(namespace), body=body, query=query)

    async def apply(self, kind: Kind, namespace: str, body: Object) -> Object:
        """Server-side apply: set the fields of `body`, and own them."""
        query = {"fieldManager": MANAGER, "force": "true"}
        name = body["metadata"]["name"]
        return await self._request(
            "PATCH", kind.path(namespace, name), body=body, patch="apply", query=query
        )

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Any,
        *,
        subresource: str = "",
        patch: PatchType = "merge",
    ) -> Object:
        """Patch an object or its subresource.

        Raises:
            Conflict: `body` has a ``resourceVersion``, and the object has another one.
        """
        path = kind.path(namespace, name, subresource)
        return await self._request("PATCH", path, body=body, patch=patch)

    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object, if it exists, and in the background what it owns."""
        try:
            await self._request(
                "DELETE", kind.path(namespace, name), body={"propagationPolicy": "Background"}
            )
        except NotFound:
            return

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        patch: PatchType | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        paged: bool = False,
    ) -> Object:
        """The answer; with `paged`, raises `TooLarge` if it needs more memory than a page may."""
        if method != "GET" and not self._may_write():
            raise NotLeading(f"{method} {path} is not sent: this process does not hold the Lease")
        url = self.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        sent = {"Accept": "application/json", **self._client.default_headers, **(headers or {})}
        if patch is not None:
            sent["Content-Type"] = _PATCHES[patch]
        await self._client.update_params_for_auth(sent, [], ["BearerToken"], path, method, body)
        request = f"{method} {path}"
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._client.rest_client.request(
                    method, url, headers=sent, body=body, _request_timeout=self._deadline
                )
                data = (
                    await _body(response.response, PAGE_BYTES) if paged else await response.read()
                )
        except TimeoutError as error:
            raise ApiUnavailable(f"{request}: no answer in {self._deadline:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ApiUnavailable(f"{request}: {error}") from error
        if 200 <= response.status < 300:
            if paged:
                check_json(data)
            return _parsed(data, request)
        raise error_of(response.status, data, request)


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body of an answer; raises `TooLarge` if it has more bytes."""
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            response.close()
            raise TooLarge(f"more than {most} bytes")
    return b"".join(pieces)


def _parsed(data: bytes, request: str) -> Object:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ApiUnavailable(f"{request}: the answer is not JSON") from error
    if not isinstance(value, dict):
        raise ApiUnavailable(f"{request}: the answer is not an object")
    return value
