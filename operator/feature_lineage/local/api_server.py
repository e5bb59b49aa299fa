"""The HTTP API of the local host, on the loopback address."""

import asyncio

from feature_lineage.http.problems import problems
from feature_lineage.http.server import HttpServer
from feature_lineage.lineage.http_api import LineageApi
from feature_lineage.lineage.query import LineageQuery
from feature_lineage.local.host import LocalHost
from feature_lineage.local.loopback import LoopbackAccess, only_for


def serve_api(host: LocalHost, port: int) -> HttpServer:
    """Serve the lineage of the host's projects; 0 selects a free port.

    Called on the loop of the host. What no reconcile has read yet is answered with 503.
    """
    query = LineageQuery(host.ports, host.reconciler.cache)
    loop = asyncio.get_running_loop()
    api = LineageApi(host.resources, query, LoopbackAccess(), loop)
    return HttpServer(api.routes(), port, middlewares=[problems, only_for()])
