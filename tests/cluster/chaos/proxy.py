"""A proxy with faults between one operator and a real API server; each test orders the faults.

The proxy forwards requests unchanged and serves plain HTTP on loopback, so an operator needs only
its own kubeconfig: the proxy forwards the bearer token. Only the faults are artificial: an answer
that a test orders, a connection that breaks, an event of a watch that is lost, repeated or delayed.
"""

import asyncio
import base64
import json
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web

_HOP_BY_HOP = {"host", "connection", "keep-alive", "transfer-encoding", "content-length"}
_REASONS = {
    401: "Unauthorized",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
HOLD_SECONDS = 2.0
"""A held event is sent alone if no later event of its object comes within this time."""

Event = dict[str, Any]


class Fault(Enum):
    """A fault other than an error status."""

    HANG = "it reaches nobody, and no answer ever comes"
    HELD = "it waits until the test lets it go, and is then passed on"
    CUT = "its connection breaks before it reaches the API server"
    LOST = "it is carried out, and the connection breaks before the answer"


@dataclass
class Rule:
    """A fault for the next requests that match.

    Attributes:
        method: regular expression for the whole method.
        path: regular expression, searched in path and query.
        fault: the HTTP status to answer with, or a `Fault`.
        left: number of requests that still get the fault.
        hits: number of requests that got the fault.
        spent: set when no request is left.
        let_go: a test sets this event to release requests that are held.
    """

    method: str
    path: str
    fault: int | Fault
    left: int
    hits: int = 0
    spent: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, method: str, path: str) -> bool:
        if not self.left or not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        self.left -= 1
        self.hits += 1
        if not self.left:
            self.spent.set()
        return True


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request.

    Attributes:
        at: `time.monotonic` at which the request arrived.
        status: status of the answer; 0: there was no answer.
    """

    method: str
    path: str
    at: float
    status: int

    @property
    def writes(self) -> bool:
        """Whether the request changes an object other than the Lease."""
        return self.method != "GET" and "/leases" not in self.path

    @property
    def watches(self) -> bool:
        return "watch=true" in self.path


class _Broken(Exception):
    """Raised to close the connection to the operator."""


class FaultProxy:
    """The connection between one operator and the API server.

    Args:
        kubeconfig: kubeconfig of the operator with a token, for the direct connection.
        folder: folder for the kubeconfig that uses this proxy.

    Attributes:
        asked: requests that were answered or broken off, ordered by their ends; a watch is added
            when it ends.
        lose: decides which events of watches are lost.
        twice: whether each event is sent twice.
        late: whether an event is held until the next event of its object was sent.
        told_late: set when an event was sent late.
        revoked: tokens that are rejected.
    """

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._given = yaml.safe_load(kubeconfig.read_text())
        cluster = self._given["clusters"][0]["cluster"]
        self._server: str = cluster["server"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._trusted = ssl.create_default_context(cadata=authority)
        self._folder = folder
        self.asked: list[RecordedRequest] = []
        self.rules: list[Rule] = []
        self.lose: Callable[[Event], bool] = lambda _: False
        self.twice = False
        self.late = False
        self.lost = self.repeated = self.delayed = self.opened = 0
        self.delivered_late = asyncio.Event()
        self.revoked: set[str] = set()
        self._opening = asyncio.Condition()
        self._off = False
        self._live: dict[int, web.BaseRequest] = {}  # requests are not hashable
        self._streams: dict[int, tuple[web.BaseRequest, web.StreamResponse]] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trusted, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
        )
        server = web.Server(self._handle)
        self._runner = web.ServerRunner(server, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self._given["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
        self.kubeconfig = self._folder / f"proxy-{port}.kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(self._given))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut_off()
        await self._runner.cleanup()
        await self._session.close()

    def fail(self, method: str, path: str, fault: int | Fault, times: int = 1) -> Rule:
        """Add a fault for the next requests that match; see `Rule`."""
        rule = Rule(method, path, fault, times)
        self.rules.append(rule)
        return rule

    def heal(self) -> None:
        """Remove all faults."""
        self.rules.clear()
        self.lose, self.twice, self.late = lambda _: False, False, False
        self._off = False

    def cut_off(self) -> None:
        """Break all connections, and refuse new ones until `heal`."""
        self._off = True
        _break(self._live.values())

    def cut_streams(self) -> None:
        """Break the open watches; new watches are served."""
        _break(request for request, _ in self._streams.values())

    def send_error(self, code: int) -> None:
        """Send an error to the open watches, which ends them."""
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
        line = json.dumps({"type": "ERROR", "object": {**status, "message": "a test's"}}).encode()
        for _, response in tuple(self._streams.values()):
            asyncio.get_running_loop().create_task(response.write(line + b"\n"))

    async def opens(self, count: int) -> None:
        """Return after this number of watches was opened in total."""
        async with self._opening:
            await self._opening.wait_for(lambda: self.opened >= count)

    def writes(self, since: float = 0.0) -> Iterator[RecordedRequest]:
        """Return the requests that change, or try to change, an object other than the Lease."""
        return (each for each in self.asked if each.writes and each.at >= since)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        at, status = time.monotonic(), 0
        self._live[id(request)] = request
        try:
            answer = await self._answer(request)
            status = answer.status
        except (_Broken, aiohttp.ClientError, ConnectionError):
            _break([request])
            raise asyncio.CancelledError from None
        else:
            return answer
        finally:
            del self._live[id(request)]
            self.asked.append(RecordedRequest(request.method, request.path_qs, at, status))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._off:
            raise _Broken
        body = await request.read()
        path = request.path_qs
        if request.headers.get("Authorization", "").partition(" ")[2] in self.revoked:
            return _refusal(401)
        rule = next((each for each in self.rules if each.takes(request.method, path)), None)
        if rule is not None and isinstance(rule.fault, int):
            return _refusal(rule.fault)
        if rule is not None and rule.fault is Fault.CUT:
            raise _Broken
        if rule is not None and rule.fault is Fault.HANG:
            await asyncio.Event().wait()
        if rule is not None and rule.fault is Fault.HELD:
            await rule.let_go.wait()
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP]
        async with self._session.request(
            request.method, self._server + path, headers=headers, data=body or None
        ) as upstream:
            if "watch=true" in path and upstream.status == 200:
                return await self._stream(request, upstream)
            data = await upstream.read()
            if rule is not None and rule.fault is Fault.LOST:
                raise _Broken
            kept = {k: v for k, v in upstream.headers.items() if k.lower() not in _HOP_BY_HOP}
            return web.Response(status=upstream.status, body=data, headers=kept)

    async def _stream(
        self, request: web.BaseRequest, upstream: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self._streams[id(request)] = request, response
        async with self._opening:
            self.opened += 1
            self._opening.notify_all()
        try:
            async with asyncio.TaskGroup() as flushes:
                late = _Late(response, flushes)
                async for line in _lines(upstream):
                    await self._pass_on(json.loads(line), line, response, late)
        except* (ConnectionError, aiohttp.ClientError):
            raise _Broken from None
        finally:
            del self._streams[id(request)]
        return response

    async def _pass_on(
        self, event: Event, line: bytes, response: web.StreamResponse, late: "_Late"
    ) -> None:
        is_change = event["type"] in ("ADDED", "MODIFIED", "DELETED")
        if is_change and self.lose(event):
            self.lost += 1
            return
        if is_change and self.late and late.hold(event, line):
            return
        await response.write(line)
        if is_change and self.twice:
            self.repeated += 1
            await response.write(line)
        if is_change and await late.release(event["object"]["metadata"]["uid"]):
            self.delayed += 1
            self.delivered_late.set()


class _Late:
    """Events of one watch that are held; at most one per object."""

    def __init__(self, response: web.StreamResponse, tasks: asyncio.TaskGroup) -> None:
        self._response = response
        self._tasks = tasks
        self._held: dict[str, bytes] = {}

    def hold(self, event: Event, line: bytes) -> bool:
        """Whether an event is held: the first of two successive events of an object is held."""
        uid = event["object"]["metadata"]["uid"]
        if uid in self._held or event["type"] == "DELETED":
            return False
        self._held[uid] = line
        self._tasks.create_task(self._soon(uid, line))
        return True

    async def release(self, uid: str) -> bool:
        line = self._held.pop(uid, None)
        if line is not None:
            await self._response.write(line)
        return line is not None

    async def _soon(self, uid: str, line: bytes) -> None:
        await asyncio.sleep(HOLD_SECONDS)
        if self._held.get(uid) is line:
            await self.release(uid)


async def _lines(upstream: aiohttp.ClientResponse) -> Any:
    """Read lines of any length; the iterator of aiohttp has a limit."""
    rest = b""
    async for chunk in upstream.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"


def _break(requests: Iterable[web.BaseRequest]) -> None:
    for request in tuple(requests):
        if request.transport is not None:
            with suppress(RuntimeError):
                request.transport.abort()


def _refusal(status: int) -> web.Response:
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": f"a test answers {status}",
        "reason": _REASONS.get(status, ""),
        "code": status,
    }
    headers = {}
    if status == 429:
        headers["Retry-After"] = "1"
        body["details"] = {"retryAfterSeconds": 1}
    return web.json_response(body, status=status, headers=headers)
