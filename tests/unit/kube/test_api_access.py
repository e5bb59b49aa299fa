"""How long answers about callers are used, and what the API server is asked."""

import asyncio
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from feature_lineage.http.problems import Problem, problems
from feature_lineage.http.server import HttpServer
from feature_lineage.kube.api_access import (
    ACCEPTED_SECONDS,
    ACCESS_REVIEWS,
    MAX_WAITING,
    REFUSED_SECONDS,
    TOKEN_REVIEWS,
    TokenAccess,
)
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.api_errors import ApiUnavailable
from feature_lineage.kube.kinds import Kind


class Answering:
    """An API server: tokens with their users, and who may read.

    Attributes:
        asked: kind and spec of each request.
    """

    def __init__(self) -> None:
        self.users: dict[str, Any] = {"good": {"username": "ann", "groups": ["team"], "uid": "1"}}
        self.allowed = True
        self.down = False
        self.asked: list[tuple[Kind, dict[str, Any]]] = []
        self.hold: asyncio.Event | None = None

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        assert namespace == ""
        self.asked.append((kind, body["spec"]))
        if self.hold is not None:
            await self.hold.wait()
        if self.down:
            raise ApiUnavailable("POST: no answer")
        if kind is ACCESS_REVIEWS:
            return {"status": {"allowed": self.allowed}}
        user = self.users.get(body["spec"]["token"])
        # As the API server answers a bad token: `authenticated` is absent.
        return {"status": {"authenticated": True, "user": user} if user else {"user": {}}}

    def count(self, kind: Kind) -> int:
        return [asked for asked, _ in self.asked].count(kind)


class Access(TokenAccess):
    """The access with an API server and a clock of the test."""

    def __init__(self) -> None:
        self.server = Answering()
        self.now = 0.0
        loop = asyncio.get_running_loop()
        super().__init__(cast("Api", self.server), loop, lambda: self.now)

    async def status(self, token: str = "good", namespace: str = "ml") -> int:
        try:
            await self.check(request(f"Bearer {token}"), namespace, "ranking")
        except Problem as problem:
            return problem.status
        return 200


def request(authorization: str) -> web.Request:
    return make_mocked_request("GET", "/", headers={"Authorization": authorization})


async def test_the_owner_of_a_token_is_passed_on_whole() -> None:
    access = Access()
    access.server.users["good"]["extra"] = {"example.org/scopes": ["read"]}
    assert await access.status() == 200
    (_, _), (kind, spec) = access.server.asked
    assert kind is ACCESS_REVIEWS
    assert (spec["user"], spec["uid"], spec["groups"]) == ("ann", "1", ["team"])
    assert spec["extra"] == {"example.org/scopes": ["read"]}
    assert spec["resourceAttributes"] == {
        "group": "featurelineage.io",
        "resource": "featurestoreprojects",
        "verb": "get",
        "namespace": "ml",
        "name": "ranking",
    }


async def test_an_answer_is_used_again_for_a_bounded_time() -> None:
    access = Access()
    for _ in range(3):
        assert await access.status() == 200
    assert [access.server.count(kind) for kind in (TOKEN_REVIEWS, ACCESS_REVIEWS)] == [1, 1]

    access.server.allowed = False
    assert await access.status() == 200
    access.now = ACCEPTED_SECONDS + 1
    assert await access.status() == 403
    access.server.allowed = True
    assert await access.status() == 403
    access.now += REFUSED_SECONDS + 1
    assert await access.status() == 200


async def test_a_refused_token_is_not_asked_about_at_once() -> None:
    access = Access()
    assert [await access.status("bad") for _ in range(3)] == [401] * 3
    assert access.server.count(TOKEN_REVIEWS) == 1
    assert access.server.count(ACCESS_REVIEWS) == 0


async def test_one_namespace_says_nothing_about_another() -> None:
    access = Access()
    assert await access.status(namespace="ml") == 200
    access.server.allowed = False
    assert await access.status(namespace="hr") == 403


async def test_an_api_server_that_does_not_answer_permits_nothing() -> None:
    access = Access()
    access.server.down = True
    assert await access.status() == 503
    access.server.down = False
    assert await access.status() == 200, "an outage is not kept"


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic good", "good", "Bearer " * 9000, "Bearer é"],
)
async def test_other_headers_are_no_token(header: str) -> None:
    access = Access()
    with pytest.raises(Problem, match="Authorization: Bearer TOKEN"):
        await access.check(request(header), "ml", "ranking")
    assert access.server.asked == []


async def test_bytes_that_are_no_text_are_no_token() -> None:
    access = Access()

    async def handler(asked: web.Request) -> web.Response:
        await access.check(asked, "ml", "ranking")
        return web.Response()

    server = HttpServer([web.get("/", handler)], 0, middlewares=[problems])
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n")
        assert b" 401 " in await reader.readline()
        writer.close()
    finally:
        await asyncio.to_thread(server.stop)
    assert access.server.asked == []


async def test_a_flood_of_tokens_does_not_reach_the_api_server() -> None:
    access = Access()
    access.server.hold = asyncio.Event()
    waiting = [asyncio.create_task(access.status(f"t{n}")) for n in range(MAX_WAITING + 50)]
    while not all(task.done() for task in waiting[MAX_WAITING:]):
        await asyncio.sleep(0)
    assert {task.result() for task in waiting[MAX_WAITING:]} == {503}
    access.server.hold.set()
    assert {await task for task in waiting[:MAX_WAITING]} == {401}
