"""Polls sources that send no events: Prometheus, and kubectl's tables."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.e2e.environment import SCRAPE_SECONDS, E2eEnvironment

PROMETHEUS_SECONDS = 60.0


async def samples(environment: E2eEnvironment, promql: str) -> list[dict[str, Any]]:
    return await asyncio.to_thread(environment.prometheus.query, promql)


async def until_prometheus_says(
    environment: E2eEnvironment,
    promql: str,
    holds: Callable[[float], bool],
    seconds: float = PROMETHEUS_SECONDS,
) -> float:
    """Return the one sample of a query when `holds` is true of it.

    Raises:
        AssertionError: not within `seconds`; with the last samples.
    """
    found: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = await samples(environment, promql)
                if len(found) == 1 and holds(found[0]["value"]):
                    return float(found[0]["value"])
                await asyncio.sleep(SCRAPE_SECONDS / 2)
    except TimeoutError:
        raise AssertionError(f"{promql} after {seconds:.0f} s: {found}") from None


def columns(table: str) -> dict[str, str]:
    """Return the one row that kubectl prints, by the names of its columns."""
    header, row = (line.split() for line in table.splitlines())
    return dict(zip(header, row, strict=True))
