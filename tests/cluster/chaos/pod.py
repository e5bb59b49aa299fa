"""A pod of the operator: restarts the process when it ends, as the kubelet does."""

import asyncio
from contextlib import suppress
from typing import Self

import httpx
from tests.cluster.host.process import Operator

RESTART_SECONDS = 1.0
"""The kubelet restarts at once, then after 10 s, then after 20 s; this class restarts sooner."""

READY_SECONDS = 180.0
"""Several control planes and operators may share two cores."""


class RestartingPod:
    """Restarts an operator whenever its process ends.

    Attributes:
        operator: the newest process.
        exits: exit codes of the processes before it.
    """

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.exits: list[int] = []
        self._restarted = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._kubelet = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._kubelet.cancel()
        with suppress(asyncio.CancelledError):
            await self._kubelet

    async def restarted(self, seconds: float = READY_SECONDS) -> None:
        """Return after a process was replaced."""
        async with asyncio.timeout(seconds):
            await self._restarted.wait()

    async def _run(self) -> None:
        while True:
            assert self.operator.process is not None
            self.exits.append(await self.operator.process.wait())
            await asyncio.sleep(RESTART_SECONDS)
            await self.operator.start()
            self._restarted.set()


async def trouble(operator: Operator, seconds: float = READY_SECONDS) -> str:
    """Return the text of ``/readyz`` of an operator that is not ready, when its port is open."""
    async with asyncio.timeout(seconds), httpx.AsyncClient(base_url=operator.url) as client:
        while True:
            with suppress(httpx.TransportError):
                answer = await client.get("/readyz")
                assert answer.status_code == 503, answer.text
                return answer.text
            await asyncio.sleep(0.1)
