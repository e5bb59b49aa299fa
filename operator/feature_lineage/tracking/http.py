"""One HTTP exchange with an MLflow server: deadlines, retries of idempotent calls, size limits.

Every exchange ends within connect_deadline + read_deadline (times `deadline_factor` for artifacts),
retries included. Only idempotent calls are retried. Creating a run is not idempotent; `ops`
searches for the run instead.

Connections are kept alive, because TLS handshakes are expensive, but for less than the 5 s after
which MLflow's uvicorn closes them: a request on a closing connection would fail.
"""

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from feature_lineage.errors import FeatureLineageError, ServerUnavailable
from feature_lineage.tracking import mlflow_errors
from feature_lineage.tracking.answer_head import AnswerHead
from feature_lineage.tracking.cache_budget import GivenUp, count_answer
from feature_lineage.tracking.circuit_breaker import CircuitBreaker
from feature_lineage.tracking.mlflow_server import BasicAuth, BearerToken, MLflowServer
from feature_lineage.tracking.read_budget import ALL_ANSWERS, ReadBudget
from feature_lineage.untrusted import MAX_PARSE_BYTES, Inflater, TooLarge

MAX_RESPONSE_BYTES: Final = MAX_PARSE_BYTES // 2
RETRY_PAUSES: Final = (0.1, 0.4)
KEEP_ALIVE: Final = 4.0
MAX_CONNECTIONS: Final = 4
"""Two MLflow workers on two CPUs serve no more at a time."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        method, path: path below the tracking URI.
        params: query.
        json: body as a JSON value.
        content: body as bytes.
        idempotent: whether the call may be retried.
        max_bytes: limit of the answer.
        deadline_factor: factor on the read deadline, for large artifacts.
    """

    method: str
    path: str
    params: Mapping[str, str] | None = None
    json: Any = None
    content: bytes | None = None
    idempotent: bool = False
    max_bytes: int = MAX_RESPONSE_BYTES
    deadline_factor: float = 1.0

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Http:
    """Exchanges with one server with one credential.

    Args:
        server: address and credential.
        now: the current time, for the circuit breaker.
        pause: sleeps; a parameter so that tests need not wait.
        budget: of the bodies of all answers.
    """

    def __init__(
        self,
        server: MLflowServer,
        *,
        now: Callable[[], datetime],
        pause: Callable[[float], Any] = asyncio.sleep,
        budget: ReadBudget = ALL_ANSWERS,
    ) -> None:
        self.server = server
        self._budget = budget
        self.circuit = CircuitBreaker(now)
        self._pause = pause
        self._client = httpx.AsyncClient(
            base_url=server.tracking_uri,
            headers=_headers(server),
            # Loading the public certificates takes 250 ms, which plain HTTP does not need.
            verify=server.tls() if server.tracking_uri.startswith("https:") else False,
            timeout=httpx.Timeout(None, connect=server.connect_deadline),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEP_ALIVE),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def value(self, call: Call) -> dict[str, Any]:
        """The JSON object that answers `call`; see `body` for errors."""
        return mlflow_errors.decoded(self.server, str(call), await self.body(call))

    async def body(self, call: Call) -> bytes:
        """The body that answers `call`.

        Raises:
            ServerUnavailable: no answer, an answer that is not MLflow's, a failure of the server,
                or this client is closed.
            AccessRefused: 401 or 403.
            HostNotAllowed: MLflow's host check rejects the host name.
            NotFound: MLflow answers that the object does not exist.
            RequestRejected: MLflow refuses the request, or the answer exceeds `call.max_bytes`.
            GivenUp: there is no memory for the reading to which the call belongs. It is no
                `FeatureLineageError`: whoever goes on without one answer must not go on then.
        """
        self.circuit.enter()
        try:
            body = await self._within_deadline(call)
        except mlflow_errors.ServerFailed:
            self.circuit.succeeded()
            raise
        except ServerUnavailable as error:
            self.circuit.failed(error)
            raise
        except (FeatureLineageError, GivenUp):
            self.circuit.succeeded()
            raise
        self.circuit.succeeded()
        return body

    async def _within_deadline(self, call: Call) -> bytes:
        seconds = self.server.connect_deadline + self.server.read_deadline * call.deadline_factor
        try:
            async with asyncio.timeout(seconds):
                return await self._with_retries(call, seconds)
        except TimeoutError:
            fact = f"{call} was not answered within {seconds:g} s"
            raise mlflow_errors.unavailable(self.server, fact) from None

    async def _with_retries(self, call: Call, seconds: float) -> bytes:
        for wait in RETRY_PAUSES:
            try:
                return await self._attempt(call)
            except _Retryable as failed:
                if not call.idempotent or failed.after >= seconds:
                    raise failed.error from failed.__cause__
                await self._pause(max(wait, failed.after))
        try:
            return await self._attempt(call)
        except _Retryable as failed:
            raise failed.error from failed.__cause__

    async def _attempt(self, call: Call) -> bytes:
        server, name = self.server, str(call)
        if self._client.is_closed:
            raise mlflow_errors.closed(server)
        request = self._client.build_request(
            call.method, call.path, params=call.params, json=call.json, content=call.content
        )
        try:
            response = await self._client.send(request, stream=True)
            try:
                body = await self._read(response, call)
            finally:
                await response.aclose()
            count_answer(len(body))
        except httpx.ConnectTimeout as error:
            # Not retried: it used all of its deadline.
            fact = f"no connection within {server.connect_deadline:g} s"
            raise mlflow_errors.unavailable(server, fact) from error
        except httpx.ConnectError as error:
            raise _Retryable(
                mlflow_errors.unavailable(server, f"no connection ({error})")
            ) from error
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            fact = f"the connection broke during {name} ({type(error).__name__})"
            raise _Retryable(mlflow_errors.unavailable(server, fact)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise mlflow_errors.unavailable(server, f"{type(error).__name__} at {name}") from error
        if response.status_code == 200:
            return body
        location = response.headers.get("location", "")
        refusal = mlflow_errors.refusal(server, name, response.status_code, location, body)
        if (
            isinstance(refusal, ServerUnavailable)
            and response.status_code in mlflow_errors.OUTAGE_STATUS
        ):
            raise _Retryable(refusal, _seconds(response.headers.get("retry-after", "")))
        raise refusal

    async def _read(self, response: httpx.Response, call: Call) -> bytes:
        """The body, decompressed in pieces: httpx decompresses 64 kB at once into up to 64 MB."""
        encoding = response.headers.get("content-encoding", "identity")
        if encoding not in {"gzip", "identity"}:
            fact = f"the encoding {encoding[:80]!r}, which was not asked for"
            raise mlflow_errors.unexpected_answer(self.server, str(call), fact)
        inflater, head = Inflater() if encoding == "gzip" else None, AnswerHead()
        try:
            with self._budget.body(call.max_bytes) as body:
                async for chunk in response.aiter_raw():
                    for piece in inflater.feed(chunk) if inflater else (chunk,):
                        head.add(piece)
                        body.append(piece)
                if inflater and response.num_bytes_downloaded:
                    inflater.finish()
                content = body.content()
        except TooLarge as error:
            fact = str(error)
            raise mlflow_errors.too_large(self.server, str(call), fact, head.content()) from error
        except ValueError as error:
            raise mlflow_errors.unexpected_answer(self.server, str(call), str(error)) from error
        return content


class _Retryable(Exception):
    """A failure of one attempt that may succeed if it is repeated."""

    def __init__(self, error: ServerUnavailable, after: float = 0.0) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after


def _headers(server: MLflowServer) -> dict[str, str]:
    headers = {
        "User-Agent": "feature-lineage-operator",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }
    if server.workspace:
        headers["X-MLFLOW-WORKSPACE"] = server.workspace
    match server.credential:
        case BasicAuth(username, password):
            pair = base64.b64encode(f"{username}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        case BearerToken(token):
            headers["Authorization"] = f"Bearer {token}"
        case None:
            pass
    return headers


def _seconds(retry_after: str) -> float:
    """Seconds of a Retry-After header; 0 for the date form."""
    return float(retry_after) if retry_after.isdecimal() else 0.0
