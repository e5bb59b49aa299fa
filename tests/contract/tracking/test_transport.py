"""Servers that are down, slow, not MLflow, or refuse: the error, its message, and its delay."""

import asyncio
import gzip
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.servers.mlflow import Server
from tests.servers.tcp import Script, Seen, answer, bad_server, sequence, silence

from feature_lineage.clock import utc_now
from feature_lineage.errors import (
    AccessRefused,
    FeatureLineageError,
    HostNotAllowed,
    NotFound,
    RequestRejected,
    ServerUnavailable,
)
from feature_lineage.tracking import BasicAuth, BearerToken, MLflowServer
from feature_lineage.tracking.answer_head import HEAD_BYTES
from feature_lineage.tracking.cache_budget import CacheBudget, GivenUp
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.http import Call, Http
from feature_lineage.tracking.mlflow_errors import AnswerTooLarge
from feature_lineage.tracking.read_budget import ALL_ANSWERS

GET = Call("GET", "/api/2.0/mlflow/model-versions/get", {"name": "m"}, idempotent=True)
CREATE = Call("POST", "/api/2.0/mlflow/runs/create", json={})


@asynccontextmanager
async def http(url: str, **more: Any) -> AsyncIterator[Http]:
    """Retries do not wait here; `pauses` records their delays."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    exchange = Http(MLflowServer(url, **more), now=utc_now, pause=pause)
    exchange.pauses = pauses  # type: ignore[attr-defined]
    try:
        yield exchange
    finally:
        await exchange.close()


async def failure(script: Script, call: Call = GET, **more: Any) -> FeatureLineageError:
    async with bad_server(script) as server, http(server.url, **more) as exchange:
        with pytest.raises(FeatureLineageError) as raised:
            await exchange.value(call)
        assert server.url in raised.value.message
        return raised.value


async def test_a_closed_port_is_found_out_within_the_deadline() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        server = MLflowServer(url, connect_deadline=3)
        exchange = Http(server, now=utc_now)
        start = time.monotonic()
        with pytest.raises(ServerUnavailable, match=f"{url} is not available: no connection"):
            await exchange.value(GET)

    assert time.monotonic() - start < 3
    await exchange.close()


async def test_a_call_of_a_closed_client_is_an_outage() -> None:
    async with bad_server(answer(200, b"{}")) as server, http(server.url) as exchange:
        await exchange.close()

        with pytest.raises(ServerUnavailable, match=f"{server.url} was closed"):
            await exchange.value(GET)


async def test_closing_the_client_during_a_call_is_an_outage() -> None:
    asked = asyncio.Event()

    async def hangs(seen: Seen, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with bad_server(hangs) as server, http(server.url, read_deadline=5) as exchange:
        call = asyncio.create_task(exchange.value(GET))
        await asked.wait()
        await exchange.close()

        with pytest.raises(ServerUnavailable, match=f"{server.url} was closed"):
            await call


async def test_a_host_that_does_not_resolve_is_an_outage() -> None:
    async with http("http://no-such-host.invalid:5000") as exchange:
        with pytest.raises(ServerUnavailable, match="no connection"):
            await exchange.value(GET)


async def test_a_black_hole_costs_the_connect_deadline_once() -> None:
    with socket.socket() as hole:
        # A full backlog: the kernel drops further SYNs, as a firewall would.
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        url = f"http://127.0.0.1:{hole.getsockname()[1]}"
        async with http(url, connect_deadline=0.3, read_deadline=5) as exchange:
            start = time.monotonic()
            with pytest.raises(ServerUnavailable, match=r"no connection within 0\.3 s"):
                await exchange.value(GET)
            assert time.monotonic() - start < 0.9
        for filler in fillers:
            filler.close()


async def test_a_server_that_takes_the_request_and_says_nothing() -> None:
    start = time.monotonic()
    error = await failure(silence, connect_deadline=0.1, read_deadline=0.3)

    assert isinstance(error, ServerUnavailable)
    assert "was not answered within 0.4 s" in error.message
    assert time.monotonic() - start < 1


async def test_an_answer_that_drips_does_not_stretch_the_deadline() -> None:
    async def drip(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    start = time.monotonic()
    error = await failure(drip, connect_deadline=0.1, read_deadline=0.3)

    assert isinstance(error, ServerUnavailable)
    assert time.monotonic() - start < 1


HALF = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


async def test_half_a_body_is_an_outage() -> None:
    async def half(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(HALF)
        await writer.drain()

    error = await failure(half)

    assert isinstance(error, ServerUnavailable)
    assert "the connection broke" in error.message


@pytest.mark.parametrize(
    ("script", "fact"),
    [
        (answer(200, "<html>Sign in</html>", kind="text/html"), "is not JSON: '<html>Sign in"),
        (answer(200, '{"model_versions": [', kind="application/json"), "is not JSON"),
        (answer(200, "[]"), "JSON that is no object"),
        (answer(404, "<html>nginx</html>", kind="text/html"), "status 404 and '<html>nginx"),
        (answer(302, "", location="https://sso.example/login?state=s3cret"), "a redirect (302)"),
        (answer(200, b"\xff\xfe\x00"), "is not JSON"),
    ],
)
async def test_something_else_than_mlflow_answers(script: Script, fact: str) -> None:
    error = await failure(script)

    assert isinstance(error, ServerUnavailable)
    assert error.reason == "MLflowUnavailable"
    assert fact in error.message
    assert "trackingUri" in error.message
    assert "s3cret" not in error.message


async def test_json_of_another_shape_is_an_outage_of_that_server() -> None:
    script = answer(200, '{"model_versions": [{"name": 7}]}')
    async with bad_server(script) as server:
        client = MLflowClient(MLflowServer(server.url))
        with pytest.raises(ServerUnavailable, match="another shape"):
            await client.search_versions(order_by=["name ASC"], page_size=10)
        await client.close()


@pytest.mark.parametrize(
    ("script", "kind", "reason", "says"),
    [
        (answer(401, "Unauthorized", kind="text/plain"), AccessRefused, "AuthFailed", "401"),
        (
            answer(403, "Permission denied", kind="text/plain"),
            AccessRefused,
            "AuthFailed",
            "Permission denied",
        ),
        (
            answer(403, '{"error_code": "PERMISSION_DENIED", "message": "no"}'),
            AccessRefused,
            "AuthFailed",
            "PERMISSION_DENIED: no",
        ),
        (
            answer(404, '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no model m"}'),
            NotFound,
            "NotFound",
            "no model m",
        ),
        (
            answer(400, '{"error_code": "INVALID_PARAMETER_VALUE", "message": "a\\nSQL"}'),
            RequestRejected,
            "RequestRejected",
            "(INVALID_PARAMETER_VALUE: a)",
        ),
        (
            answer(500, '{"error_code": "INTERNAL_ERROR", "message": "oops"}'),
            ServerUnavailable,
            "MLflowUnavailable",
            "fails at",
        ),
    ],
)
async def test_refusals(script: Script, kind: type, reason: str, says: str) -> None:
    error = await failure(script)

    assert isinstance(error, kind)
    assert error.reason == reason
    assert says in error.message


async def test_a_rejection_carries_the_servers_code() -> None:
    body = '{"error_code": "RESOURCE_ALREADY_EXISTS", "message": "twice"}'
    error = await failure(answer(400, body))

    assert isinstance(error, RequestRejected)
    assert error.error_code == "RESOURCE_ALREADY_EXISTS"


async def test_an_answer_beyond_the_cap_is_not_read() -> None:
    call = Call("GET", "/x", idempotent=True, max_bytes=1000)
    error = await failure(answer(200, b'"' + b"x" * 100_000 + b'"'), call)

    assert isinstance(error, RequestRejected)
    assert error.error_code == "ANSWER_TOO_LARGE"


GZIP = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize("packed", [False, True])
async def test_the_head_of_an_oversized_answer_is_whole(packed: bool) -> None:
    """Also if the answer arrives in pieces of a few bytes."""
    text = b'{"runs": [' + b"".join(b"%d," % number for number in range(20_000)) + b"1]}"
    body, more = (gzip.compress(text), "Content-Encoding: gzip\r\n") if packed else (text, "")
    pieces = (body[at : at + 7] for at in range(0, len(body), 7))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)

    async def script(seen: Seen, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\n{more}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + chunks + b"0\r\n\r\n")
        await writer.drain()

    error = await failure(script, Call("GET", "/x", max_bytes=2 * HEAD_BYTES))

    assert isinstance(error, AnswerTooLarge)
    assert error.head == text[:HEAD_BYTES]


async def test_a_compressed_answer_is_read() -> None:
    body = gzip.compress(b'{"ok": 1}')
    async with bad_server(answer(200, body, **GZIP)) as server, http(server.url) as exchange:
        assert await exchange.value(GET) == {"ok": 1}


async def test_a_compressed_answer_is_decompressed_up_to_its_limit_only() -> None:
    body = gzip.compress(b'"' + b"x" * 200_000_000 + b'"')
    tracemalloc.start()
    try:
        error = await failure(answer(200, body, **GZIP), Call("GET", "/x", max_bytes=1_000_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(error, RequestRejected)
    assert error.error_code == "ANSWER_TOO_LARGE"
    assert peak < 8_000_000


@pytest.mark.parametrize("change", [lambda body: body + b"x" * 1_000_000, lambda body: body[:-1]])
async def test_a_compressed_answer_ends_where_its_gzip_ends(change: Callable[..., bytes]) -> None:
    """Bytes behind the end would be kept, and counted by no limit."""
    error = await failure(answer(200, change(gzip.compress(b'{"ok": 1}')), **GZIP))

    assert isinstance(error, ServerUnavailable)
    assert "truncated" in error.message


async def test_an_answer_of_many_objects_is_not_parsed() -> None:
    """20 kB of gzip, of which Python would make objects of 300 MB."""
    body = gzip.compress(b'{"registered_models":[' + b"{}," * 4_000_000 + b"{}]}")
    error = await failure(answer(200, body, **GZIP))

    assert isinstance(error, RequestRejected)
    assert error.error_code == "ANSWER_TOO_LARGE"
    assert "MiB of memory; at most 64" in error.message


async def test_a_refusal_of_many_objects_is_not_parsed() -> None:
    body = gzip.compress(b"[" + b"{}," * 4_000_000 + b"{}]")
    tracemalloc.start()
    try:
        error = await failure(answer(400, body, **GZIP))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(error, ServerUnavailable)
    assert peak < 64_000_000


async def test_the_answers_of_a_reading_count_for_its_owner() -> None:
    """No handler of errors of MLflow may take the end of a reading for a refusal."""
    share = CacheBudget(1000).share("evil")
    script = answer(200, b'{"registered_models": []}' + b" " * 1000)
    async with bad_server(script) as server, http(server.url) as exchange:
        with share.reading(), pytest.raises(GivenUp, match="it needs"):
            await exchange.value(GET)


async def test_an_answer_of_half_the_budget_is_not_read() -> None:
    error = await failure(answer(200, gzip.compress(bytes(33 * 1024**2)), **GZIP))

    assert isinstance(error, RequestRejected)
    assert f"more than {32 * 1024**2} bytes" in error.message


async def test_the_answers_of_all_servers_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ALL_ANSWERS, "_most", 1000)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 901\r\n\r\n" + b" " * 900)
        await writer.drain()
        begun.set()
        await go_on.wait()
        writer.write(b"x")
        await writer.drain()

    async with (
        bad_server(slow) as one,
        bad_server(answer(200, b'{"ok": 1}' + b" " * 500)) as two,
        http(one.url) as large,
        http(two.url) as small,
    ):
        reading = asyncio.create_task(large.value(CREATE))
        await begun.wait()
        while not any(body.size for body in ALL_ANSWERS._open):
            await asyncio.sleep(0)
        assert await small.value(GET) == {"ok": 1}
        go_on.set()

        with pytest.raises(RequestRejected, match="was the largest of all answers"):
            await reading


async def test_a_redirect_is_not_followed() -> None:
    async with bad_server(answer(200)) as other:
        error = await failure(answer(302, "", location=other.url), credential=BearerToken("t"))

        assert isinstance(error, ServerUnavailable)
        assert other.seen == []


async def test_the_id_of_a_logged_model_is_one_segment_of_the_path() -> None:
    body = '{"model": {"info": {"source_run_id": "r"}}}'
    async with bad_server(answer(200, body)) as server:
        client = MLflowClient(MLflowServer(server.url))
        assert await client.logged_model_run("m-1/../../x?y#z") == "r"
        await client.close()

        (seen,) = server.seen
        path = "/api/2.0/mlflow/logged-models/m-1%2F..%2F..%2Fx%3Fy%23z"
        assert seen.line.split("?")[0].split()[:2] == ["GET", path]


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip"])
async def test_an_answer_in_an_encoding_that_it_does_not_have_is_an_error(encoding: str) -> None:
    error = await failure(answer(200, b'{"ok": 1}', **{"Content-Encoding": encoding}))

    assert isinstance(error, ServerUnavailable)


BUSY = (503, "busy", "text/plain", {})
FINE = (200, '{"ok": 1}', "application/json", {})


async def test_a_read_is_retried_twice_and_quickly() -> None:
    async with bad_server(sequence(BUSY, BUSY, FINE)) as server, http(server.url) as exchange:
        assert await exchange.value(GET) == {"ok": 1}

        assert len(server.seen) == 3
        assert exchange.pauses == [0.1, 0.4]  # type: ignore[attr-defined]


async def test_a_read_is_not_retried_a_third_time() -> None:
    async with bad_server(sequence(BUSY)) as server, http(server.url) as exchange:
        with pytest.raises(ServerUnavailable, match="503"):
            await exchange.value(GET)

        assert len(server.seen) == 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_create_is_never_retried(status: int) -> None:
    script = sequence((status, "busy", "text/plain", {}), FINE)
    async with bad_server(script) as server, http(server.url) as exchange:
        with pytest.raises(ServerUnavailable):
            await exchange.value(CREATE)

        assert len(server.seen) == 1


async def test_retry_after_is_honored_within_the_deadline() -> None:
    later = (429, "slow down", "text/plain", {"Retry-After": "2"})
    async with bad_server(sequence(later, FINE)) as server, http(server.url) as exchange:
        assert await exchange.value(GET) == {"ok": 1}

        assert exchange.pauses == [2.0]  # type: ignore[attr-defined]


async def test_retry_after_beyond_the_deadline_is_an_outage_at_once() -> None:
    later = (503, "slow down", "text/plain", {"Retry-After": "3600"})
    async with bad_server(sequence(later, FINE)) as server, http(server.url) as exchange:
        with pytest.raises(ServerUnavailable, match="503"):
            await exchange.value(GET)

        assert exchange.pauses == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("credential", "header"),
    [
        (None, None),
        (BasicAuth("mé", "p:w"), "Basic bcOpOnA6dw=="),
        (BearerToken("abc"), "Bearer abc"),
    ],
)
async def test_credential_and_workspace_travel_in_headers(
    credential: Any, header: str | None
) -> None:
    async with (
        bad_server(answer(200)) as server,
        http(server.url, credential=credential, workspace="team-a") as exchange,
    ):
        await exchange.value(GET)

        assert server.seen[0].headers.get("authorization") == header
        assert server.seen[0].headers["x-mlflow-workspace"] == "team-a"


async def test_no_secret_is_in_an_error() -> None:
    for script in (answer(401), answer(403), answer(500), answer(200, "<html>")):
        error = await failure(script, credential=BasicAuth("me", "hunter2"))
        texts = (error.message, repr(error), repr(error.__cause__))
        assert not any("hunter2" in t or "bWU6aHVudGVyMg" in t for t in texts)


async def test_a_prefix_of_the_tracking_uri_is_kept() -> None:
    async with bad_server(answer(200)) as server, http(f"{server.url}/ml/") as exchange:
        await exchange.value(GET)

        assert server.seen[0].line.startswith("GET /ml/api/2.0/mlflow/model-versions/get?name=m ")


async def test_one_probe_runs_in_an_outage_and_its_success_ends_it() -> None:
    time_ = [datetime(2026, 11, 21, tzinfo=UTC)]
    script = sequence(BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, FINE)
    async with bad_server(script) as server:
        exchange = Http(MLflowServer(server.url), now=lambda: time_[0], pause=lambda _: _nothing())
        for _ in range(100):
            with pytest.raises(ServerUnavailable, match="503"):
                await exchange.value(GET)
        assert len(server.seen) == 3

        time_[0] += timedelta(seconds=5)
        for _ in range(100):
            with pytest.raises(ServerUnavailable, match="503"):
                await exchange.value(GET)
        assert len(server.seen) == 6

        time_[0] += timedelta(seconds=10)
        assert await exchange.value(GET) == {"ok": 1}
        results = await asyncio.gather(*(exchange.value(GET) for _ in range(20)))
        assert results == [{"ok": 1}] * 20
        await exchange.close()


async def test_a_refusal_is_no_outage() -> None:
    async with bad_server(answer(401)) as server, http(server.url) as exchange:
        for _ in range(3):
            with pytest.raises(AccessRefused):
                await exchange.value(GET)

        assert len(server.seen) == 3
        assert not exchange.circuit.is_open


async def test_mlflow_itself_refuses_an_unknown_host_name(mlflow_server: Server) -> None:
    """A real server that reports itself healthy and answers every call with a 403 without JSON."""
    client = MLflowClient(MLflowServer(mlflow_server.url))
    client.http._client.headers["Host"] = "mlflow.ml:5000"
    with pytest.raises(HostNotAllowed) as error:
        await client.search_models()
    await client.close()

    host = client.server.host
    assert f"start the server with `--allowed-hosts` including {host}" in error.value.message


async def test_mlflow_itself_answers_an_unknown_route_with_html(mlflow_server: Server) -> None:
    client = MLflowClient(MLflowServer(f"{mlflow_server.url}/prefix"))
    with pytest.raises(ServerUnavailable, match="trackingUri"):
        await client.search_models()
    await client.close()


async def _nothing() -> None:
    return None
