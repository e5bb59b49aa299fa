"""Streamed answers: sent while they are produced, and complete or visibly aborted."""

import gzip
import http.client
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web
from tests.unit.http.serving import get, sent, serving, streamed

from feature_lineage.http import stream as module

UNREAD = "/pieces: the client did not read the whole answer (TimeoutError)"
PIECE = b"\xff" * 65536


def two_pieces() -> Iterator[bytes]:
    yield b"first "
    yield b"second"


def test_the_first_piece_is_sent_before_the_second_is_made() -> None:
    received = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"first "
        assert received.wait(60)
        yield b"second"

    with serving(streamed(pieces)) as connection:
        connection.request("GET", "/pieces")
        response = connection.getresponse()
        first = response.read(6)
        received.set()

        assert (first, response.read()) == (b"first ", b"second")


def test_gzip_is_for_clients_that_accept_it() -> None:
    with serving(streamed(two_pieces)) as connection:
        connection.request("GET", "/pieces", headers={"Accept-Encoding": "deflate, gzip"})
        response = connection.getresponse()

        assert response.getheader("Content-Encoding") == "gzip"
        assert gzip.decompress(response.read()) == b"first second"


@pytest.mark.parametrize("header", [b"", b"Connection: keep-alive\r\n"])
def test_an_http_1_0_client_reads_to_the_end_of_the_connection(header: bytes) -> None:
    request = b"GET /pieces HTTP/1.0\r\n" + header + b"\r\n"
    with serving(streamed(two_pieces)) as connection, sent(connection, request) as client:
        received = b"".join(iter(lambda: client.recv(65536), b""))

    assert received.endswith(b"\r\n\r\nfirst second")


def test_head_is_answered_without_a_body() -> None:
    request = b"HEAD /pieces HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(streamed(two_pieces)) as connection, sent(connection, request) as client:
        received = b"".join(iter(lambda: client.recv(65536), b""))

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\n")
    assert b"first" not in received


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_error_before_the_first_piece_is_a_500(
    encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    def pieces() -> Iterator[bytes]:
        raise RuntimeError("a defect")
        yield b""

    with serving(streamed(pieces)) as connection:
        status, _ = get(connection, "/pieces", **{"Accept-Encoding": encoding})

    assert status == 500
    assert "a defect" in caplog.text


def test_a_later_error_leaves_out_the_last_chunk(caplog: pytest.LogCaptureFixture) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first "
        raise RuntimeError("a defect")

    with serving(streamed(pieces)) as connection:
        connection.request("GET", "/pieces")
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()

    assert "a defect" in caplog.text


def test_a_client_that_reads_nothing_is_disconnected(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "CLIENT_SECONDS", 0.5)
    caplog.set_level(logging.INFO, module.__name__)
    ended, made = threading.Event(), 0

    def pieces() -> Iterator[bytes]:
        nonlocal made
        try:
            while True:
                made += len(PIECE)
                yield PIECE
        finally:
            ended.set()

    request = b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(streamed(pieces)) as connection, sent(connection, request) as client:
        assert ended.wait(60)
        received = b"".join(iter(lambda: client.recv(65536), b""))

    assert received.count(PIECE[:1]) < made < 32 * 2**20  # about the size of the kernel's buffers
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert caplog.messages == [UNREAD]


def test_the_end_of_an_answer_has_to_be_read_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "CLIENT_SECONDS", 0.5)
    logged = threading.Event()
    monkeypatch.setattr(logging.getLogger(module.__name__), "info", lambda *_: logged.set())

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        sending = request.transport.get_extra_info("socket")
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return await module.stream(request, iter([PIECE[:50_000]]), "text/plain")

    with serving([web.get("/pieces", handler)]) as connection, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((connection.host, connection.port))
        client.sendall(b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n")

        assert logged.wait(60)


def test_a_client_that_leaves_ends_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, module.__name__)
    left, ended = threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        try:
            yield PIECE
            assert left.wait(60)
            while True:
                yield PIECE
        finally:
            ended.set()

    with serving(streamed(pieces)) as connection:
        connection.request("GET", "/pieces")
        assert connection.getresponse().read(1) == PIECE[:1]
        connection.close()
        left.set()

        assert ended.wait(60)
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert "/pieces: the client did not read the whole answer" in caplog.text
