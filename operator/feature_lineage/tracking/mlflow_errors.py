"""Converts MLflow's answers to JSON objects, or to errors that name the next step.

MLflow answers an unknown host, an unknown route and a missing permission in three formats, two of
which are not JSON; proxies in front of MLflow have their own formats. Each answer becomes one error
of `feature_lineage.errors`, with the server, the fact and the next step in its message.
"""

from typing import Any

from feature_lineage.errors import (
    AccessRefused,
    FeatureLineageError,
    HostNotAllowed,
    NotFound,
    RequestRejected,
    ServerUnavailable,
)
from feature_lineage.tracking.answer_head import head_of
from feature_lineage.tracking.mlflow_server import MLflowServer
from feature_lineage.untrusted import TooLarge, parse_json

OUTAGE_STATUS = frozenset({429, 502, 503, 504})
ANSWER_TOO_LARGE = "ANSWER_TOO_LARGE"
NO_ROOM = "NO_ROOM"


class ServerFailed(ServerUnavailable):
    """The server failed at this call; other calls may work, so the circuit stays closed."""


class AnswerTooLarge(RequestRejected):
    """An answer is larger than the operator reads.

    Args:
        head: its beginning, as `AnswerHead` keeps it.
    """

    def __init__(self, message: str, head: bytes = b"") -> None:
        super().__init__(message, error_code=ANSWER_TOO_LARGE)
        self.head = head


def unavailable(server: MLflowServer, fact: str) -> ServerUnavailable:
    """The error for a server that does not answer; `fact` is the observation."""
    return ServerUnavailable(
        f"MLflow at {server.tracking_uri} is not available: {fact};"
        " check that the server runs and that this host may reach it"
    )


def closed(server: MLflowServer) -> ServerUnavailable:
    """The error for a client that this process closed while it was in use."""
    return ServerUnavailable(
        f"the connection to MLflow at {server.tracking_uri} was closed, because its credential was"
        " rotated or it was not used; the next reconcile opens a new one"
    )


def too_large(server: MLflowServer, call: str, fact: str, head: bytes) -> AnswerTooLarge:
    """An answer above a limit; `fact` is which."""
    return AnswerTooLarge(
        f"MLflow at {server.tracking_uri} answers {call} with more than the operator reads: {fact}",
        head,
    )


def no_room(server: MLflowServer, fact: str) -> RequestRejected:
    """A model registry for which the process has no memory; `fact` is why."""
    return RequestRejected(
        f"the model registry of MLflow at {server.tracking_uri} is not read: {fact}; delete"
        " versions or tags, name fewer servers, or ask who runs the operator",
        error_code=NO_ROOM,
    )


def unexpected_answer(server: MLflowServer, call: str, fact: str) -> ServerUnavailable:
    """The error for an answer that is not from MLflow."""
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
        value = parse_json(body) if body else {}
    except TooLarge as error:
        raise too_large(server, call, str(error), head_of([body])) from None
    except ValueError:
        raise unexpected_answer(
            server, call, f"something that is not JSON: {_excerpt(body)}"
        ) from None
    if not isinstance(value, dict):
        raise unexpected_answer(server, call, "JSON that is no object")
    return value


def refusal(
    server: MLflowServer, call: str, status: int, location: str, body: bytes
) -> FeatureLineageError:
    """The error for an answer with a status other than 200."""
    code, message = _error_of(body)
    said = f"{code}: {message}" if code else _excerpt(body)
    if 300 <= status < 400:
        target = location.split("?")[0][:200]
        return unexpected_answer(server, call, f"a redirect ({status}) to {target or 'nowhere'}")
    if status == 401:
        how = "the credential" if server.credential else "a request without credential"
        return AccessRefused(
            f"MLflow at {server.tracking_uri} refuses {how} (401);"
            " check the secret named under spec.mlflow.auth, or, with serverRef, ask the platform"
            " to check the credential of that server"
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
            " see the server's log"
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
        value = parse_json(body)
    except ValueError:
        return "", ""
    if not isinstance(value, dict):
        return "", ""
    # Only the first line: errors of PostgreSQL include the statement.
    message = str(value.get("message", "")).split("\n")[0][:300]
    return str(value.get("error_code", ""))[:80], message


def _excerpt(body: bytes) -> str:
    text = " ".join(body[:200].decode(errors="replace").split())
    return repr(text[:80]) if text else "an empty body"
