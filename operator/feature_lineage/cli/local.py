"""``feature-lineage local``: the local host with a terminal in front of it."""

import asyncio
import signal
from pathlib import Path

from feature_lineage.local.console import PlainConsole
from feature_lineage.local.host import LocalHost


def run_local(folder: Path, state: Path, *, once: bool, metrics_port: int | None) -> int:
    """Run the host until it is done or stopped; returns the process's exit code."""
    return asyncio.run(_run(folder, state, once=once, metrics_port=metrics_port))


async def _run(folder: Path, state: Path, *, once: bool, metrics_port: int | None) -> int:
    del metrics_port
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    console = PlainConsole()
    async with LocalHost(folder, state, console) as host:
        if not once:
            await host.run(stop)
            return 0
        work = asyncio.create_task(host.run_once())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
            return 130
        return 0 if work.result() else 1
