"""The server: its address, its answers to wrong requests, and its end."""

import gc
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web
from tests.unit.http.serving import get, sent, serving, streamed

from feature_lineage.errors import TerminalError
from feature_lineage.http import server as module
from feature_lineage.http.server import HttpServer


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello\n")


ROUTES = [web.get("/b", hello), web.get("/a", hello)]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_routes_are_served_on_ipv4_and_ipv6(address: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving(ROUTES, address) as connection:
        assert get(connection, "/a?name=x") == (200, b"hello\n")

    assert caplog.text == ""


def test_an_unknown_path_is_answered_with_the_known_ones() -> None:
    with serving(ROUTES) as connection:
        assert get(connection, "/") == (404, b"not found; paths: /a, /b\n")


def test_another_method_is_not_allowed() -> None:
    with serving(ROUTES) as connection:
        connection.request("POST", "/a")
        response = connection.getresponse()

        assert (response.status, response.getheader("Allow")) == (405, "GET,HEAD")


def test_a_port_in_use_is_named_with_the_next_step() -> None:
    with serving(ROUTES) as connection, pytest.raises(TerminalError) as caught:
        HttpServer(ROUTES, connection.port)

    assert caught.value.reason == "PortUnavailable"
    assert caught.value.message == (
        f"cannot listen for HTTP on 127.0.0.1 port {connection.port}: the port is in use; "
        "stop the process that uses it, or choose another port (0 selects a free one)"
    )


@pytest.mark.parametrize(
    ("port", "address", "why"),
    [
        pytest.param(0, "192.0.2.1", "Cannot assign requested address", id="another machine's"),
        pytest.param(70000, "127.0.0.1", "port must be 0-65535", id="no port"),
    ],
)
def test_an_address_that_cannot_be_listened_on(port: int, address: str, why: str) -> None:
    with pytest.raises(
        TerminalError, match=f"{why}.*; choose an address of this machine"
    ) as caught:
        HttpServer(ROUTES, port, address)

    assert caught.value.reason == "PortUnavailable"


def test_the_port_is_free_again_after_a_stop() -> None:
    with serving(ROUTES) as connection:
        assert get(connection, "/a", Connection="close") == (200, b"hello\n")

    HttpServer(ROUTES, connection.port).stop()


def test_a_stop_waits_for_no_client_and_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    making, release, released = (threading.Event() for _ in range(3))

    def pieces() -> Iterator[bytes]:
        yield b"first"
        making.set()
        release.wait(60)
        released.set()
        yield b"second"

    server = HttpServer([*ROUTES, *streamed(pieces)], 0)
    idle, reading = (socket.create_connection(("127.0.0.1", server.port)) for _ in range(2))
    with idle, reading:
        idle.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(1000).endswith(b"hello\n")
        reading.sendall(b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n")
        assert making.wait(60)

        server.stop()

        assert not released.is_set()
        assert idle.recv(1) == b""
        assert not b"".join(iter(lambda: reading.recv(1000), b"")).endswith(b"0\r\n\r\n")
    release.set()
    del server
    gc.collect()  # asyncio logs an error when a pending task is collected

    assert caplog.text == ""


def test_a_client_that_sends_nothing_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLIENT_SECONDS", 0.2)
    with serving(ROUTES) as connection:
        for begun in (b"", b"GET /a HTTP/1.1\r\n"):
            with sent(connection, begun) as client:
                assert client.recv(1) == b""


def test_a_malformed_request_is_no_error_of_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    with (
        serving(ROUTES) as connection,
        sent(connection, b"GET /a HTTP/1.1\r\n: x\r\n\r\n") as client,
    ):
        answer = client.recv(1000)

    assert answer.startswith(b"HTTP/1.0 400")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_a_handler_that_fails_is_answered_with_500(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("a defect")

    with serving([web.get("/a", broken)]) as connection:
        status, _ = get(connection, "/a")

    assert status == 500
    assert "a defect" in caplog.text
