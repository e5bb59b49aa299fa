"""A gateway in front of a real MLflow server: checks a login, and can hold requests."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, web
from aiohttp.typedefs import Middleware

DROPPED = {"host", "authorization", "content-length", "transfer-encoding", "content-encoding"}


@dataclass
class Gateway:
    """The state of a gateway.

    Args:
        login: the login that is accepted; "": any.

    Attributes:
        url: address of the gateway.
        opened: if cleared, the gateway holds every request until this is set again.
        waiting: set while the gateway holds a request.
        refused: number of refused requests.
    """

    login: str = ""
    url: str = ""
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    refused: int = 0

    def lets_in(self, header: str) -> bool:
        wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        return not self.login or header == wanted


@asynccontextmanager
async def gateway(
    mlflow: str, login: str = "", *, middlewares: Sequence[Middleware] = ()
) -> AsyncIterator[Gateway]:
    """Serve until the end of the block.

    Args:
        mlflow: address of the server behind the gateway.
        login: ``user:password`` that the gateway requires.
        middlewares: process each request before it is forwarded, and its answer.
    """
    mlflow_gateway = Gateway(login)
    mlflow_gateway.opened.set()

    async def pass_on(request: web.Request) -> web.Response:
        if not mlflow_gateway.lets_in(request.headers.get("Authorization", "")):
            mlflow_gateway.refused += 1
            return web.Response(status=401, text="who are you?")
        if not mlflow_gateway.opened.is_set():
            mlflow_gateway.waiting.set()
            await mlflow_gateway.opened.wait()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in DROPPED}
        async with session.request(
            request.method, f"{mlflow}{request.rel_url}", headers=headers, data=await request.read()
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in DROPPED}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    application = web.Application(middlewares=middlewares)
    application.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(application, shutdown_timeout=1)
    async with ClientSession() as session:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        mlflow_gateway.url = f"http://{host}:{port}"
        try:
            yield mlflow_gateway
        finally:
            mlflow_gateway.opened.set()
            await runner.cleanup()
