"""A pod of the operator: its process is started again when it ends, as the kubelet does it."""

import asyncio
from contextlib import suppress
from typing import Self

import httpx
from tests.cluster.host.process import Operator

RESTART_SECONDS = 1.0
"""The kubelet's first restart comes at once, the next after 10 s, then 20 s; this one hurries."""

READY_SECONDS = 180.0
"""Several control planes and operators may share two cores."""


class RestartingPod:
    """Keeps an operator running that was started.

    Attributes:
        operator: its process is the newest one.
        exits: exit codes of those before it.
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
        """Return once a process was replaced."""
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
    """What ``/readyz`` says of an operator that is not ready, once its port is open."""
    async with asyncio.timeout(seconds), httpx.AsyncClient(base_url=operator.url) as client:
        while True:
            with suppress(httpx.TransportError):
                answer = await client.get("/readyz")
                assert answer.status_code == 503, answer.text
                return answer.text
            await asyncio.sleep(0.1)
