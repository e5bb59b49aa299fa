"""``feature-lineage local``: runs the local host and prints its progress."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from feature_lineage.local.console import PlainConsole
from feature_lineage.local.host import LocalHost
from feature_lineage.metrics.metrics_listener import MetricsListener
from feature_lineage.reconcile.listener import Listeners

INTERRUPTED: Final = 130


def run_local(
    folder: Path,
    state: Path,
    *,
    once: bool,
    delete_removed: bool,
    metrics_port: int | None,
    api_port: int | None,
) -> int:
    """Run the host until it is done or stopped; returns the exit code of the process."""
    return asyncio.run(
        _run(
            folder,
            state,
            once=once,
            delete_removed=delete_removed,
            metrics_port=metrics_port,
            api_port=api_port,
        )
    )


async def _run(
    folder: Path,
    state: Path,
    *,
    once: bool,
    delete_removed: bool,
    metrics_port: int | None,
    api_port: int | None,
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    console, metrics = _console(), MetricsListener()
    with contextlib.ExitStack() as servers:
        listener = Listeners(console, metrics)
        host = LocalHost(folder, state, listener, delete_removed=delete_removed)
        if metrics_port is not None:  # only then: the import of aiohttp takes 0.1 s
            from feature_lineage.http.server import HttpServer
            from feature_lineage.metrics.routes import metrics_routes

            server = HttpServer(metrics_routes(metrics.registry), metrics_port)
            servers.callback(server.stop)
            metrics_line = f"· metrics on http://127.0.0.1:{server.port}/metrics"
        async with host, _followed(console, host):
            if metrics_port is not None:
                metrics.show(host.resources, host.reconciler)
                console.line(metrics_line)
            if api_port is not None:
                from feature_lineage.local.api_server import serve_api

                api = serve_api(host, api_port)
                servers.callback(api.stop)
                console.line(f"· API on http://127.0.0.1:{api.port}/openapi.json")
            if once:
                return await _once(host, console, stop)
            console.line(f"· reconciling {folder}; Ctrl-C stops")
            await host.run(stop)
            return 0


async def _once(host: LocalHost, console: PlainConsole, stop: asyncio.Event) -> int:
    work = asyncio.create_task(host.run_once())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not work.done():
        work.cancel()
        await asyncio.wait({work})
        return INTERRUPTED
    if work.result():
        return 0
    console.unready(host.unready())
    return 1


def _console() -> PlainConsole:
    """A live console on a terminal if `rich` is installed, otherwise plain lines."""
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from feature_lineage.local.live import LiveConsole

            return LiveConsole()
    return PlainConsole()


@contextlib.asynccontextmanager
async def _followed(console: PlainConsole, host: LocalHost) -> AsyncIterator[None]:
    follow = getattr(console, "follow", None)
    if follow is None:
        yield
        return
    with console:  # type: ignore[attr-defined]
        task = asyncio.create_task(follow(host))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
