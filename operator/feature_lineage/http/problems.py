"""Errors of the HTTP API as `application/problem+json` (RFC 9457), and headers of every answer."""

import json
import logging
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from feature_lineage.shorten import visible

CONTENT_TYPE: Final = "application/problem+json"
_HEADERS: Final = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "feature-lineage-operator",
    "Vary": "Accept-Encoding, Authorization",
    "X-Content-Type-Options": "nosniff",
}

_log = logging.getLogger(__name__)


class Problem(Exception):
    """A request that is not answered.

    Args:
        detail: object, fact, next step; without secrets.
        headers: such as ``Retry-After`` and ``WWW-Authenticate``.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer each error as a problem; one that nobody expected without its text."""
    try:
        response = await handler(request)
    except Problem as problem:
        response = _answer(problem.status, problem.detail, problem.headers)
    except web.HTTPException as error:
        kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        response = _answer(HTTPStatus(error.status), error.reason, kept)
    except Exception:  # noqa: BLE001 - logged, and the client gets no text of it
        _log.exception("%s %s failed", request.method, visible(request.path))
        response = _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "see the log of the operator", {})
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _answer(status: HTTPStatus, detail: str, headers: dict[str, str]) -> web.Response:
    body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        content_type=CONTENT_TYPE,
        headers=headers,
    )
