"""The HTTP API: lineage of the projects that the caller may read.

Handlers run on the loop of the HTTP server. Facts are read on the loop of the operator, and answers
are made in a thread, so that a large answer delays neither.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import FeatureLineageError, NotFound, TerminalError
from feature_lineage.http.problems import Problem
from feature_lineage.large_parses import NeedsTurn, parsing
from feature_lineage.lineage.answers import ProjectAnswer, ProjectsAnswer
from feature_lineage.lineage.endpoints import ENDPOINTS, FEAST_ENDPOINTS, Endpoint
from feature_lineage.lineage.openapi import FEAST, PREFIX, PROJECT, openapi_document
from feature_lineage.lineage.prepared import MAX_AGE_SECONDS, Prepared, PreparedAnswers, prepared
from feature_lineage.lineage.project_lineage import ProjectLineage
from feature_lineage.lineage.query import LineageQuery
from feature_lineage.shorten import visible

ANSWER_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 5
MAKING_AT_ONCE: Final = 2
"""Answers that are made at once; each takes memory and the processor of the operator."""
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of an answer before it is compressed."""

_T = TypeVar("_T")


class Access(Protocol):
    """Who may read what. Called on the loop of the HTTP server.

    Attributes:
        tokens: whether callers need a bearer token.
    """

    tokens: bool

    async def check(self, request: web.Request, namespace: str, name: str) -> None:
        """Check that the caller may get a FeatureStoreProject.

        Raises:
            Problem: 401 or 403; 503 if nobody can tell now.
        """
        ...

    async def may_list(self, request: web.Request, namespace: str) -> bool:
        """Whether the caller may list the FeatureStoreProjects of a namespace.

        Raises:
            Problem: 401; 503 if nobody can tell now.
        """
        ...


class Projects(Protocol):
    """The projects of the host."""

    def projects(self) -> Iterable[FeatureStoreProject]: ...

    def project(self, namespace: str, name: str) -> FeatureStoreProject | None:
        """Called from any thread."""
        ...


class LineageApi:
    """The routes of the API.

    Args:
        loop: of the operator, on which `query` reads.
        unavailable: why this process cannot answer, such as another leader; "" if it can.
        feast_ui_without_token: projects, as ``namespace/name``, whose answers for Feast's UI
            everybody may read.
    """

    def __init__(
        self,
        projects: Projects,
        query: LineageQuery,
        access: Access,
        loop: asyncio.AbstractEventLoop,
        unavailable: Callable[[], str] = lambda: "",
        feast_ui_without_token: Iterable[str] = (),
    ) -> None:
        self._projects = projects
        self._query = query
        self._access = access
        self._loop = loop
        self._unavailable = unavailable
        self._open = frozenset(feast_ui_without_token)
        self._making = asyncio.Semaphore(MAKING_AT_ONCE)
        self._past = asyncio.Semaphore(1)  # each keeps a registry of the past in memory
        self._answers = PreparedAnswers()
        self._document = prepared(openapi_document(tokens=access.tokens))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/openapi.json", self._openapi),
            web.get(f"{PREFIX}/projects", self._list),
            *(web.get(f"{PROJECT}/{each.path}", self._handler(each)) for each in ENDPOINTS),
            *(web.get(f"{FEAST}/{each.path}", self._handler(each)) for each in FEAST_ENDPOINTS),
        ]

    async def _openapi(self, request: web.Request) -> web.Response:
        return self._document.response(request)

    async def _list(self, request: web.Request) -> web.Response:
        self._check_available()
        by_namespace: dict[str, list[FeatureStoreProject]] = {}
        for project in await self._on_operator_loop(self._every_project()):
            by_namespace.setdefault(project.metadata.namespace, []).append(project)
        items: list[ProjectAnswer] = []
        for namespace, projects in sorted(by_namespace.items()):
            if await self._access.may_list(request, namespace):
                items += map(_project, sorted(projects, key=lambda each: each.metadata.name))
        return prepared(ProjectsAnswer(items=tuple(items)).as_json()).response(request)

    async def _every_project(self) -> list[FeatureStoreProject]:
        return list(self._projects.projects())

    def _handler(
        self, endpoint: Endpoint
    ) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            self._check_available()
            namespace, name = request.match_info["namespace"], request.match_info["name"]
            if endpoint not in FEAST_ENDPOINTS or f"{namespace}/{name}" not in self._open:
                await self._access.check(request, namespace, name)
            given = _parameters(endpoint.parameters, request)
            project = self._projects.project(namespace, name)
            if project is None:
                raise Problem(
                    HTTPStatus.NOT_FOUND,
                    f"there is no FeatureStoreProject {visible(namespace)}/{visible(name)}",
                )
            return (await self._answer(endpoint, project, given)).response(request)

        return handle

    async def _answer(
        self, endpoint: Endpoint, project: FeatureStoreProject, given: BaseModel
    ) -> Prepared:
        key = (project.metadata.namespace, project.metadata.name, endpoint.path, given)
        stamp = self._query.stamp(project)
        known = self._answers.get(key, stamp)
        if known is not None:
            return known
        past = getattr(given, "as_of", None) is not None
        async with self._past if past else self._making:
            known = self._answers.get(key, stamp)  # another request may have made it meanwhile
            if known is not None:
                return known
            line = await self._on_operator_loop(self._lineage(endpoint, project, given))
            found = await asyncio.to_thread(_made, endpoint, line, given)
        max_age = MAX_AGE_SECONDS if endpoint.ages or past else math.inf
        self._answers.keep(key, stamp, found, max_age)
        return found

    async def _lineage(
        self, endpoint: Endpoint, project: FeatureStoreProject, given: BaseModel
    ) -> ProjectLineage:
        at = getattr(given, "as_of", None)
        if at is not None:
            return await self._query.past_lineage(project, at)
        with parsing(large=False):  # a reconcile has read what is large
            return await self._query.lineage(project, declared=endpoint.declared)

    async def _on_operator_loop(self, work: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return await _in_time(asyncio.wrap_future(future))
        except NeedsTurn:
            raise _later("its registry is large, and not in memory now") from None
        except FeatureLineageError as error:
            raise problem_of(error) from error

    def _check_available(self) -> None:
        if why := self._unavailable():
            raise _later(why)


def problem_of(error: FeatureLineageError) -> Problem:
    """The answer to an error: 404 not found, 400 wrong question, 503 everything that may pass."""
    if isinstance(error, NotFound):
        return Problem(HTTPStatus.NOT_FOUND, visible(error.message))
    if type(error) is TerminalError:  # its subclasses are about what was read
        return Problem(HTTPStatus.BAD_REQUEST, visible(error.message))
    return _later(visible(error.message))


async def _in_time(work: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await work
    except TimeoutError:
        raise _later(f"no answer in {ANSWER_SECONDS:.0f} s") from None


def _later(why: str) -> Problem:
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}; try again", headers)


def _parameters(model: type[BaseModel], request: web.Request) -> BaseModel:
    repeated = [name for name in request.query if len(request.query.getall(name)) > 1]
    if repeated:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{visible(repeated[0])}: give the parameter once")
    try:
        return model.model_validate(dict(request.query), by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(model.model_json_schema(by_alias=True).get("properties", {})) or "none"
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"{visible(name)}: {first['msg']}; parameters are {known}",
        ) from error


def _made(endpoint: Endpoint, line: ProjectLineage, given: BaseModel) -> Prepared:
    try:
        body = endpoint.ask(line, given).as_json()
    except FeatureLineageError as error:
        raise problem_of(error) from error
    if len(body) > MAX_BYTES:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"the answer has {len(body) >> 20} MiB, and may have {MAX_BYTES >> 20}; ask for less",
        )
    return prepared(body)


def _project(project: FeatureStoreProject) -> ProjectAnswer:
    namespace, name = project.metadata.namespace, project.metadata.name
    return ProjectAnswer(
        namespace=namespace,
        name=name,
        project=project.spec.project,
        url=PROJECT.format(namespace=namespace, name=name),
    )
