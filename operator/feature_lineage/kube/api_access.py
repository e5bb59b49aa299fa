"""Access to the HTTP API: the API server says who a token is, and what its owner may read.

Who may ``kubectl get featurestoreprojects -n NAMESPACE`` may read the lineage of the namespace. The
check is never on the URL: every authenticated user may get ``/api/*`` (`system:discovery`).
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from aiohttp import hdrs, web

from feature_lineage.errors import FeatureLineageError
from feature_lineage.http.problems import Problem
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import PROJECTS, Kind
from feature_lineage.shorten import visible

TOKEN_REVIEWS: Final = Kind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview")
ACCESS_REVIEWS: Final = Kind(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview"
)

ACCEPTED_SECONDS: Final = 60.0
"""How long an answer that permits is used again: so long does a removed permission still count."""
REFUSED_SECONDS: Final = 10.0
MAX_REVIEWS: Final = 10_000
"""Answers of each kind that are kept."""
AT_ONCE: Final = 16
"""Requests to the API server at once."""
MAX_WAITING: Final = 256
"""Requests that wait for them; a further one is answered with 503."""
MAX_TOKEN: Final = 16 * 1024

_K = TypeVar("_K")
_T = TypeVar("_T")
_V = TypeVar("_V")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a token, as the API server knows it."""

    username: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...]


class TokenAccess:
    """Checks bearer tokens by TokenReview, and permissions by SubjectAccessReview.

    Args:
        api: asks on `loop`; its account needs `create` on both kinds of review.
        loop: of the operator.
        monotonic: seconds of a clock that never goes back.
    """

    tokens = True

    def __init__(
        self,
        api: Api,
        loop: asyncio.AbstractEventLoop,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._loop = loop
        self._callers = _Answers[bytes, Caller | None](monotonic)
        self._permits = _Answers[tuple[Caller, str, str, str], bool](monotonic)
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def check(self, request: web.Request, namespace: str, name: str) -> None:
        """See `Access`."""
        caller = await self._caller(request)
        if not await self._may(caller, "get", namespace, name):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"{visible(caller.username)} may not get featurestoreprojects {visible(name)} in "
                f"namespace {visible(namespace)}; a Role there has to grant it",
            )

    async def may_list(self, request: web.Request, namespace: str) -> bool:
        """See `Access`."""
        return await self._may(await self._caller(request), "list", namespace, "")

    async def _caller(self, request: web.Request) -> Caller:
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token.isascii() or not 0 < len(token) <= MAX_TOKEN:
            raise _unauthenticated("send a token of the cluster: Authorization: Bearer TOKEN")
        key = hashlib.sha256(token.encode()).digest()  # no token stays in memory
        known = self._callers.get(key)
        if known is None:
            known = (await self._ask(self._review(token)),)
            self._callers.keep(key, known[0], accepted=known[0] is not None)
        if known[0] is None:
            raise _unauthenticated("the API server does not accept the token; get a new one")
        return known[0]

    async def _may(self, caller: Caller, verb: str, namespace: str, name: str) -> bool:
        key = (caller, verb, namespace, name)
        known = self._permits.get(key)
        if known is None:
            known = (await self._ask(self._access(caller, verb, namespace, name)),)
            self._permits.keep(key, known[0], accepted=known[0])
        return known[0]

    async def _review(self, token: str) -> Caller | None:
        body = _review(TOKEN_REVIEWS, {"token": token})
        status = (await self._api.create(TOKEN_REVIEWS, "", body)).get("status") or {}
        if status.get("authenticated") is not True:
            return None
        user = status.get("user") or {}
        extra = user.get("extra") or {}
        return Caller(
            str(user.get("username", "")),
            str(user.get("uid", "")),
            tuple(user.get("groups") or ()),
            tuple(sorted((name, tuple(values)) for name, values in extra.items())),
        )

    async def _access(self, caller: Caller, verb: str, namespace: str, name: str) -> bool:
        resource = {
            "group": PROJECTS.group,
            "resource": PROJECTS.plural,
            "verb": verb,
            "namespace": namespace,
            "name": name,
        }
        spec = {
            "user": caller.username,
            "uid": caller.uid,
            "groups": list(caller.groups),
            "extra": {name: list(values) for name, values in caller.extra},
            "resourceAttributes": resource,
        }
        answer = await self._api.create(ACCESS_REVIEWS, "", _review(ACCESS_REVIEWS, spec))
        return (answer.get("status") or {}).get("allowed") is True

    async def _ask(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The answer of the API server, from the loop of the operator."""
        if self._waiting >= MAX_WAITING:
            work.close()
            raise _unknown("too many requests wait for the API server")
        self._waiting += 1
        try:
            async with self._at_once:
                asked = asyncio.run_coroutine_threadsafe(work, self._loop)
                return await asyncio.wrap_future(asked)
        except FeatureLineageError as error:
            _log.warning("a caller of the HTTP API is not known: %s", error.message)
            raise _unknown("the API server did not say who may read") from error
        finally:
            self._waiting -= 1


class _Answers(Generic[_K, _V]):
    """Answers by key, for some seconds. None stands for no answer; an answer is a tuple of one."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kept: dict[_K, tuple[float, _V]] = {}

    def get(self, key: _K) -> tuple[_V] | None:
        known = self._kept.get(key)
        return (known[1],) if known is not None and self._monotonic() < known[0] else None

    def keep(self, key: _K, answer: _V, *, accepted: bool) -> None:
        seconds = ACCEPTED_SECONDS if accepted else REFUSED_SECONDS
        self._kept.pop(key, None)
        self._kept[key] = self._monotonic() + seconds, answer
        while len(self._kept) > MAX_REVIEWS:
            del self._kept[next(iter(self._kept))]


def _review(kind: Kind, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "spec": spec}


def _unauthenticated(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, detail, {hdrs.WWW_AUTHENTICATE: "Bearer"})


def _unknown(why: str) -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}; try again", {hdrs.RETRY_AFTER: "5"})
