"""The errors of requests to the API server, by their HTTP status."""

import json
from typing import Final

from feature_lineage.errors import (
    AccessRefused,
    FeatureLineageError,
    NotFound,
    RequestRejected,
    TransientError,
)
from feature_lineage.reasons import Reason

NAMESPACE_TERMINATING: Final = "NamespaceTerminating"


class Conflict(TransientError):
    """409: the object has another ``resourceVersion``, or one of its name exists already."""

    reason = Reason.CONFLICT


class Forbidden(AccessRefused):
    """403: RBAC or admission refuses the request.

    Attributes:
        causes: machine-readable causes, such as ``NamespaceTerminating``.
    """

    reason = Reason.FORBIDDEN

    def __init__(self, message: str, *, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.causes = causes

    @property
    def namespace_terminating(self) -> bool:
        """Whether the namespace is being deleted, so that nothing can be created in it."""
        return NAMESPACE_TERMINATING in self.causes


class ApiUnavailable(TransientError):
    """429 or 5xx, or no answer in time."""

    reason = Reason.API_SERVER_UNAVAILABLE


class NotLeading(TransientError):
    """The request is not sent: this process does not hold the Lease any more."""

    reason = Reason.NOT_LEADING


def error_of(status: int, data: bytes, request: str) -> FeatureLineageError:
    """The error of an answer.

    Args:
        status: HTTP status.
        data: body of the answer: a ``Status`` of Kubernetes, or anything else.
        request: method and path, for the message of an answer without one.
    """
    try:
        body = json.loads(data)
        message = str(body.get("message") or "")
        causes = tuple(
            str(cause.get("reason"))
            for cause in (body.get("details") or {}).get("causes") or ()
            if cause.get("reason")
        )
    except (ValueError, AttributeError):
        message, causes = "", ()
    message = message or f"{request}: HTTP {status}"
    match status:
        case 404:
            return NotFound(message)
        case 409:
            return Conflict(message)
        case 401:
            return AccessRefused(f"{message}; the operator's token is not accepted")
        case 403:
            return Forbidden(message, causes=causes)
        case 429 | 500 | 502 | 503 | 504:
            return ApiUnavailable(message)
        case code:
            return RequestRejected(message, error_code=str(code))
