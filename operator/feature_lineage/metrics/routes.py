"""`/metrics` in Prometheus' text format, sent while its lines are made.

The library's server renders everything first. For ten thousand models this needs more memory than
the rest of the operator.
"""

import asyncio
from typing import Final

from aiohttp import web
from prometheus_client.registry import Collector

from feature_lineage.http.stream import stream
from feature_lineage.metrics.families import exposition

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MAX_SCRAPES: Final = 4


def metrics_routes(registry: Collector) -> list[web.RouteDef]:
    """Serve the registry; beyond `MAX_SCRAPES` at a time the answer is 503."""
    scrapes = asyncio.Semaphore(MAX_SCRAPES)

    async def metrics(request: web.Request) -> web.StreamResponse:
        if scrapes.locked():
            text = f"{MAX_SCRAPES} scrapes are running already; scrape less often\n"
            return web.Response(status=503, text=text)
        async with scrapes:
            return await stream(request, exposition(registry), CONTENT_TYPE)

    return [web.get("/metrics", metrics)]
