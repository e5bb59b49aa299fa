"""What an MLflow answer means: JSON, or an error that says what to do about it.

MLflow answers an unknown host, an unknown route and a missing permission in three different forms,
two of them not JSON; and proxies in front of it answer in its place. Each ends as one error of
`feature_lineage.errors`, with the server, the fact and the next step in its message.
"""

import json
from typing import Any

from feature_lineage.errors import (
    AccessRefused,
    FeatureLineageError,
    HostNotAllowed,
    NotFound,
    RequestRejected,
    ServerUnavailable,
)
from feature_lineage.tracking.server import MLflowServer

OUTAGE_STATUS = frozenset({429, 502, 503, 504})
ANSWER_TOO_LARGE = "ANSWER_TOO_LARGE"


class ServerFailed(ServerUnavailable):
    """The server is there but failed at this call; others may work, so the circuit stays closed."""


def unavailable(server: MLflowServer, fact: str) -> ServerUnavailable:
    """The server does not answer; `fact` says how that was found."""
    return ServerUnavailable(
        f"MLflow at {server.tracking_uri} is not available: {fact};"
        " check that the server runs and that this host may reach it"
    )


def closed(server: MLflowServer) -> ServerUnavailable:
    """This process closed its connection while somebody still held it."""
    return ServerUnavailable(
        f"the connection to MLflow at {server.tracking_uri} was closed, because its credential was"
        " rotated or nobody used it; the next look opens a new one"
    )


def too_large(server: MLflowServer, call: str, max_bytes: int) -> RequestRejected:
    """An answer beyond what is read."""
    return RequestRejected(
        f"MLflow at {server.tracking_uri} answers {call} with more than {max_bytes} bytes;"
        " that is not read",
        error_code=ANSWER_TOO_LARGE,
    )


def unexpected_answer(server: MLflowServer, call: str, fact: str) -> ServerUnavailable:
    """Something answers, but not as MLflow does."""
    return ServerUnavailable(
        f"MLflow at {server.tracking_uri} answers {call} with {fact};"
        " check that trackingUri leads to MLflow itself, not to a proxy's or a login page"
    )


def decoded(server: MLflowServer, call: str, body: bytes) -> dict[str, Any]:
    """The JSON object of an answer with status 200.

    Raises:
        ServerUnavailable: it is not a JSON object.
    """
    try:
        value = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise unexpected_answer(
            server, call, f"something that is not JSON: {_excerpt(body)}"
        ) from None
    if not isinstance(value, dict):
        raise unexpected_answer(server, call, "JSON that is no object")
    return value


def refusal(
    server: MLflowServer, call: str, status: int, location: str, body: bytes
) -> FeatureLineageError:
    """The error that an answer with another status than 200 stands for."""
    code, message = _error_of(body)
    said = f"{code}: {message}" if code else _excerpt(body)
    if 300 <= status < 400:
        target = location.split("?")[0][:200]
        return unexpected_answer(server, call, f"a redirect ({status}) to {target or 'nowhere'}")
    if status == 401:
        how = "the credential" if server.credential else "a request without credential"
        return AccessRefused(
            f"MLflow at {server.tracking_uri} refuses {how} (401);"
            " check the secret named under auth"
        )
    if status == 403 and b"Invalid Host header" in body:
        host = server.host
        return HostNotAllowed(
            f"MLflow at {server.tracking_uri} refuses the host name {host} (403); start the server"
            f" with `--allowed-hosts` including {host}"
        )
    if status == 403:
        return AccessRefused(
            f"MLflow at {server.tracking_uri} denies {call} (403: {said});"
            " grant the operator's user this permission in MLflow"
        )
    if status in OUTAGE_STATUS:
        return unavailable(server, f"it answers {call} with {status} ({said})")
    if status >= 500:
        return ServerFailed(
            f"MLflow at {server.tracking_uri} fails at {call} with {status} ({said});"
            " its log tells why"
        )
    if code == "RESOURCE_DOES_NOT_EXIST":
        return NotFound(f"MLflow at {server.tracking_uri}: {message}; asked by {call}")
    if not code:
        return unexpected_answer(server, call, f"status {status} and {_excerpt(body)}")
    return RequestRejected(
        f"MLflow at {server.tracking_uri} rejects {call} ({said})", error_code=code
    )


def _error_of(body: bytes) -> tuple[str, str]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(value, dict):
        return "", ""
    # Only the first line: PostgreSQL's errors bring the statement along.
    message = str(value.get("message", "")).split("\n")[0][:300]
    return str(value.get("error_code", ""))[:80], message


def _excerpt(body: bytes) -> str:
    text = " ".join(body[:200].decode(errors="replace").split())
    return repr(text[:80]) if text else "an empty body"
