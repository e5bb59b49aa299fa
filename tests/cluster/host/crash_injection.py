"""A cluster host that crashes at its own writes, in this process, and the host that follows.

A crashed host has no further effect: the write at which it crashes never returns, no later write is
sent, and the Lease is not released. The next host starts from the API server and MLflow only.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Literal, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from kubernetes.aio.client import Configuration
from tests.cluster.host.writes import Writes

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.config import OperatorConfig
from feature_lineage.kube.lease import LeaseLost
from feature_lineage.kube.manager import Identity, Manager

Moment = Literal["before", "after", "never"]
AnswerT = TypeVar("AnswerT")


class HostCrashed(BaseException):
    """Not an Exception, so that no code catches it."""


@dataclass
class HostRun:
    """The run of one host.

    Attributes:
        over: set when the host crashes.
        buried: set when all its tasks in this process have ended.
    """

    crashed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class CrashPlan:
    """The writes at which hosts crash: each distinct write once.

    Args:
        moment_of: when the host crashes, by the name of a write: ``before`` or ``after`` its
            effect, or ``never``.

    Attributes:
        died_at: names of the writes at which hosts crashed, in order.
        life: the run of the host that is running, or that ran last.
    """

    def __init__(self, moment_of: Callable[[str], Moment]) -> None:
        self._moment_of = moment_of
        self.writes = Writes()
        self.crashed_at: list[str] = []
        self.host_run = HostRun()

    async def write(self, name: str, send: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """Send a write, or crash the host.

        Raises:
            HostCrashed: the host crashed at this write.
        """
        host_run = self.host_run
        await self._crash_at(host_run, "before", name)
        answer = await send()
        await self._crash_at(host_run, "after", name)
        return answer

    async def _crash_at(self, host_run: HostRun, moment: Moment, name: str) -> None:
        new = name != "" and name not in self.crashed_at
        if new and moment == self._moment_of(name) and not host_run.crashed.is_set():
            self.crashed_at.append(name)
            host_run.crashed.set()
        if host_run.crashed.is_set():
            await host_run.ended.wait()
            raise HostCrashed


class CrashingApi(Api):
    """A client of the API server that crashes its host according to a plan."""

    def __init__(self, configuration: Configuration, crash_plan: CrashPlan) -> None:
        super().__init__(configuration)
        self._crash_plan = crash_plan

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Object:
        async def send() -> Object:
            return await super(CrashingApi, self)._request(
                method, path, body=body, query=query, **more
            )

        if method == "GET" or "dryRun" in (query or {}):
            return await send()
        return await self._crash_plan.write(
            self._crash_plan.writes.to_api_server(method, path, body), send
        )


def crashing_mlflow(crash_plan: CrashPlan) -> Middleware:
    """Middlewares of a gateway to MLflow that crash the host."""

    @web.middleware
    async def through(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = crash_plan.writes.to_mlflow(request.method, request.path, await request.read())
        if not name:
            return await handler(request)
        try:
            return await crash_plan.write(name, lambda: handler(request))
        except HostCrashed:
            return web.Response(status=503, text="who asked is dead")

    return through


@asynccontextmanager
async def restarting_hosts(
    configuration: Configuration, config: OperatorConfig, identity: Identity, crash_plan: CrashPlan
) -> AsyncIterator[None]:
    """Run a host, and another one after each crash; the last host is stopped normally.

    All hosts are the same pod, whose container is started again.
    """
    stop = asyncio.Event()
    threads: list[Thread] = []

    async def run_hosts() -> None:
        while not stop.is_set():
            crash_plan.host_run = HostRun()
            try:
                async with CrashingApi(configuration, crash_plan) as api:
                    host = Manager(api, config, identity)
                    threads.append(_thread_that_stops_kopf(host))
                    await _run_host(host, crash_plan.host_run, stop)
            finally:
                crash_plan.host_run.ended.set()

    running_hosts = asyncio.create_task(run_hosts())
    try:
        yield
        stop.set()
        await running_hosts
    finally:
        running_hosts.cancel()
        await asyncio.wait({running_hosts})
        for thread in threads:
            await asyncio.to_thread(thread.join)


def _thread_that_stops_kopf(host: Manager) -> Thread:
    """The tests do not wait for the end of kopf's thread, which takes most of a second."""
    thread = Thread(target=host._informer.stop, daemon=True)
    host._informer.stop = thread.start  # type: ignore[method-assign]
    return thread


async def _run_host(host: Manager, host_run: HostRun, stop: asyncio.Event) -> None:
    """Return when the host crashes, is stopped, or loses its Lease because the machine is busy."""
    running = asyncio.create_task(host.run(stop))
    crashing = asyncio.create_task(host_run.crashed.wait())
    try:
        await asyncio.wait({running, crashing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        crashing.cancel()
        running.cancel()
        await asyncio.wait({running, crashing})
    if not running.cancelled():
        try:
            running.result()
        except* LeaseLost:
            pass
