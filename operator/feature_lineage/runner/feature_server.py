"""Asks a feature server over HTTP what Feast in the job has answered, with the same keys.

The server is a stranger: no credential is sent, no redirect is followed, and no proxy or ``.netrc``
of the environment is used. Each answer has a limit of bytes and of time.
"""

import inspect
import json
import re
import time
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

import feast
from feast import feature_server

from feature_lineage.operations.feature_server import MAX_WORDS, ServerAnswer, ServerCause
from feature_lineage.operations.serving import Question
from feature_lineage.runner.dry_retrieval import NoAnswer, within
from feature_lineage.runner.errors import error_line
from feature_lineage.runner.retrieval import Retrieval
from feature_lineage.runner.server_columns import Repeat, ServerColumns, compared
from feature_lineage.shorten import cut, listed, one_line, visible
from feature_lineage.untrusted import TooLarge, parse_json

MAX_SECONDS: Final = 10.0
"""For one answer, the connection included."""
MAX_TOTAL_SECONDS: Final = 300.0
"""For all answers of a probe."""
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_UNANSWERED: Final = 2
"""After so many requests in a row without an answer, the others are not sent: each may wait."""
_MAX_REFUSAL: Final = 64 * 1024
_HIDDEN: Final = frozenset({"/retrieve-online-documents"})
"""Paths of Feast that its description of the API leaves out."""
_ROUTES: Final = re.compile(r'@app\.(?:get|post)\(\s*"(/[^"]*)"')
_UNKNOWN_OBJECT: Final = re.compile(
    r"does not exist in project|not found in projection|Missing join key values"
)


class _Failed(Exception):
    """The server did not answer as a feature server does."""

    def __init__(self, cause: ServerCause, words: str, *, stale: bool = False) -> None:
        super().__init__(words)
        self.cause, self.stale = cause, stale
        self.words = one_line(visible(cut(words, 4000)), MAX_WORDS)


class FeatureServer:
    """A feature server during one probe, within its limits."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._until = time.monotonic() + MAX_TOTAL_SECONDS
        self._unanswered = 0
        self._last = ServerAnswer(url=url)

    def ask(self, question: Question, retrieval: Retrieval, again: Repeat) -> ServerAnswer:
        """The answer to a question, compared with what Feast in the job has answered.

        Args:
            again: repeats the retrieval, to tell a value that changes from one that differs.
        """
        if self._unanswered < MAX_UNANSWERED:
            self._last = self._ask(question, retrieval, again)
        return self._last

    def _ask(self, question: Question, retrieval: Retrieval, again: Repeat) -> ServerAnswer:
        answer = ServerAnswer(url=self._url)
        try:
            body = _body(question, retrieval)
            answer = answer.changed(healthy=self._healthy, version=self._version)
            found = self._columns(body, retrieval)
            fields = compared(found, retrieval, again)
        except _Failed as failed:
            return answer.changed(cause=failed.cause, error=failed.words, stale=failed.stale)
        except Exception as error:  # noqa: BLE001  the other models are still asked for
            words = f"{type(error).__name__} while the job compared its answer"
            return answer.changed(cause=ServerCause.UNAVAILABLE, error=words)
        return answer.changed(**fields)

    @cached_property
    def _healthy(self) -> bool | None:
        status, _ = self._request("GET", "/health")
        return {200: True, 503: False}.get(status)

    @cached_property
    def _version(self) -> str:
        """Feast's server names no version, so its API is compared with that of the job's Feast."""
        own = f"Feast {feast.__version__}"
        try:
            status, text = self._request("GET", "/openapi.json")
            paths = parse_json(text)["paths"] if status == 200 else {}
            served = {path for path in paths if isinstance(path, str)}
        except (_Failed, ValueError, TypeError, KeyError):
            served = set()
        if not served:
            return "not known: the server does not describe its API"
        try:
            known = frozenset(_ROUTES.findall(inspect.getsource(feature_server)))
        except OSError:
            return f"not known: the runner's image lacks the sources of {own}"
        lacks, adds = known - served - _HIDDEN, served - known
        if not lacks and not adds:
            return f"not named; the API is that of {own}"
        parts = [f"lacks {_names(lacks)}"] * bool(lacks) + [f"has {_names(adds)}"] * bool(adds)
        return f"not named; the API is not that of {own}: it {' and '.join(parts)}"

    def _columns(self, body: bytes, retrieval: Retrieval) -> ServerColumns:
        """The values of the answer by column."""
        status, text = self._request("POST", "/get-online-features", body)
        if status != 200:
            raise _refusal(status, text, computed=bool(retrieval.context.computed))
        try:
            return _parsed(parse_json(text), len(retrieval.asked.rows))
        except TooLarge as error:
            words = f"its answer is too large: {error}; lower spec.probe.keys"
            raise _Failed(ServerCause.UNAVAILABLE, words) from error
        except (ValueError, TypeError, KeyError) as error:
            words = f"the answer is not the answer of a feature server: {error_line(error)}"
            raise _Failed(ServerCause.UNAVAILABLE, words) from error

    def _request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and content of an answer."""
        if time.monotonic() > self._until:
            words = f"the answers of this probe took {MAX_TOTAL_SECONDS:.0f} s"
            raise _Failed(ServerCause.UNAVAILABLE, words)
        parts = urlsplit(self._url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        connection = None
        try:
            with within(MAX_SECONDS):
                connection = kind(parts.hostname or "", parts.port, timeout=MAX_SECONDS)
                connection.request(method, parts.path.rstrip("/") + path, body, headers)
                response = connection.getresponse()
                text = response.read(MAX_BYTES + 1)
        except (OSError, HTTPException, ValueError, NoAnswer) as error:
            self._unanswered += 1
            raise _Failed(ServerCause.UNAVAILABLE, f"{path}: {error_line(error)}") from error
        finally:
            if connection is not None:
                connection.close()
        self._unanswered = 0
        if len(text) > MAX_BYTES:
            words = f"{path} answers more than {MAX_BYTES >> 20} MiB; lower spec.probe.keys"
            raise _Failed(ServerCause.UNAVAILABLE, words)
        return response.status, text


def _names(paths: Iterable[str]) -> str:
    return cut(visible(listed(sorted(paths), 3)), 120)


def _body(question: Question, retrieval: Retrieval) -> bytes:
    """The request as JSON.

    The server knows the types of keys, not those of request data: they must be types of JSON.
    """
    rows, data = retrieval.asked.rows, retrieval.context.data
    asked: dict[str, Any] = (
        {"feature_service": question.service}
        if question.service
        else {"features": list(question.refs)}
    )
    asked["full_feature_names"] = retrieval.context.full
    asked["entities"] = entities = {}
    for name in rows[0]:
        values = [row.get(name) for row in rows]
        try:
            json.dumps(values, default=None if name in data else _seconds, allow_nan=False)
        except (TypeError, ValueError) as error:
            words = f"JSON cannot hold the value of {name} with its type: {error}"
            raise _Failed(ServerCause.UNASKABLE, words) from error
        entities[name] = values
    return json.dumps(asked, default=_seconds).encode()


def _seconds(value: Any) -> Any:
    if isinstance(value, datetime):
        return int(value.timestamp())
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _parsed(answer: Any, rows: int) -> ServerColumns:
    """The values by column of an answer as Feast's server gives it.

    Raises:
        ValueError, TypeError, KeyError: it has another form.
    """
    names = answer["metadata"]["feature_names"]
    names = [str(name) for name in (names["val"] if isinstance(names, dict) else names)]
    values = [vector["values"] for vector in answer["results"]]
    columns: dict[str, Any] = dict(zip(names, values, strict=True))
    if not all(isinstance(each, list) and len(each) == rows for each in columns.values()):
        raise ValueError(f"a column has not one value for each of {rows} keys")
    return columns


def _refusal(status: int, text: bytes, *, computed: bool) -> _Failed:
    """What an answer with another status than 200 proves.

    Args:
        computed: on-demand functions ran; the text of their errors may have values of entities.
    """
    words, feasts = _said(text)
    stale = _UNKNOWN_OBJECT.search(words) is not None
    if status == 500 and computed and not feasts and not stale:
        words = "an error, whose text is not shown because on-demand functions ran"
    words = f"{status} {words}"
    if status in (401, 403):
        return _Failed(ServerCause.UNAVAILABLE, f"{words} (the probe sends no credential)")
    if 300 <= status < 400:
        return _Failed(ServerCause.UNAVAILABLE, f"{words} (the probe follows no redirect)")
    if status != 500 and not feasts:
        return _Failed(ServerCause.UNAVAILABLE, words)
    return _Failed(ServerCause.REFUSED, words, stale=stale)


def _said(text: bytes) -> tuple[str, bool]:
    """The words of a refusal, and whether they are an error of Feast: a JSON text with JSON."""
    plain = text[:_MAX_REFUSAL].decode(errors="replace")
    try:
        said = parse_json(text[:_MAX_REFUSAL])
        if not isinstance(said, str):  # FastAPI repeats the request in details of a list
            detail = said.get("detail") if isinstance(said, dict) else None
            return detail if isinstance(detail, str) else "", False
        error = parse_json(said.encode()) if said.startswith("{") else None
        if isinstance(error, dict) and {"class", "message"} <= error.keys():
            return f"{error['class']}: {error['message']}", True
    except ValueError:
        return plain, False
    return said, False
