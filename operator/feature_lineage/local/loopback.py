"""Access to the HTTP API on one machine: whoever reaches the loopback address may read."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from feature_lineage.http.problems import Problem

_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


class LoopbackAccess:
    """Every caller may read every project."""

    tokens = False

    async def check(self, request: web.Request, namespace: str, name: str) -> None:
        """See `Access`: every request passes."""

    async def may_list(self, request: web.Request, namespace: str) -> bool:
        """See `Access`: every namespace."""
        del request, namespace
        return True


def only_for(names: Iterable[str] = _NAMES) -> Middleware:
    """Answer only requests with one of these names in ``Host``, with any port.

    A page in a browser can let its own name point to the loopback address, and would then be
    allowed to read the answers.
    """
    known = frozenset(names)

    @web.middleware
    async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        host, colon, port = request.host.rpartition(":")
        name = host if colon and port.isdigit() else request.host
        if name not in known:
            raise Problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"Host is not one of {', '.join(sorted(known))}; use that name",
            )
        return await handler(request)

    return check_host
