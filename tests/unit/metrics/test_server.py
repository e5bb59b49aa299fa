"""`/metrics` over HTTP."""

import gzip
import http.client
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from tests.unit.metrics.build import NOW, project

from feature_lineage.errors import TerminalError
from feature_lineage.metrics import State, StateCollector, start
from feature_lineage.metrics.families import exposition
from feature_lineage.metrics.server import AT_ONCE


def registry_of(state: Callable[[], State]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StateCollector(state, lambda: NOW))
    return registry


REGISTRY = registry_of(lambda: State((project(featureViews=[{"name": "価格", "rows": 1}]),)))
TEXT = b"".join(exposition(REGISTRY))


@contextmanager
def serving(
    registry: Collector, address: str = "127.0.0.1"
) -> Iterator[http.client.HTTPConnection]:
    stop, port = start(0, registry, address)
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        yield connection
    finally:
        connection.close()
        stop()


@pytest.mark.parametrize("path", ["/metrics", "/metrics?name=x"])
def test_metrics_are_text(path: str) -> None:
    with serving(REGISTRY) as connection:
        connection.request("GET", path)
        response = connection.getresponse()

        assert response.status == 200
        assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert response.read() == TEXT


def test_they_are_packed_for_who_asks() -> None:
    with serving(REGISTRY) as connection:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()

        assert response.getheader("Content-Encoding") == "gzip"
        assert gzip.decompress(response.read()) == TEXT


def test_an_old_client_gets_them_in_one_piece() -> None:
    stop, port = start(0, REGISTRY)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        received = b"".join(iter(lambda: client.recv(65536), b""))
    stop()

    assert received.endswith(b"\r\n\r\n" + TEXT)


def test_another_path_says_where_they_are() -> None:
    with serving(REGISTRY) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()

        assert (response.status, response.read()) == (404, b"metrics are at /metrics\n")


def test_every_scrape_sees_the_state_anew() -> None:
    states = iter([State((project(),)), State()])
    with serving(registry_of(lambda: next(states))) as connection:
        found = []
        for _ in range(2):
            connection.request("GET", "/metrics")
            found.append(b'name="ranking"' in connection.getresponse().read())

    assert found == [True, False]


class Breaks:
    """Fails after some of it is sent already."""

    def collect(self) -> Iterator[object]:
        yield from REGISTRY.collect()
        raise RuntimeError("a defect")


def test_a_scrape_that_breaks_off_is_no_half_truth(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.ERROR, "feature_lineage.metrics.server"),
        serving(Breaks()) as connection,  # type: ignore[arg-type]
    ):
        connection.request("GET", "/metrics")
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()

    assert "a scrape failed" in caplog.text
    assert "a defect" in caplog.text


def test_a_state_that_cannot_be_had_is_not_an_empty_success() -> None:
    def broken() -> State:
        raise RuntimeError("a defect")

    with serving(registry_of(broken)) as connection:
        connection.request("GET", "/metrics")
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            connection.getresponse()


def test_ipv6() -> None:
    with serving(REGISTRY, "::1") as connection:
        connection.request("GET", "/metrics")

        assert connection.getresponse().status == 200


def test_a_port_in_use_is_named_with_the_next_step() -> None:
    stop, port = start(0, REGISTRY)
    with pytest.raises(TerminalError) as caught:
        start(port, REGISTRY)
    stop()

    assert caught.value.reason == "PortUnavailable"
    assert caught.value.message == (
        f"cannot serve metrics on 127.0.0.1 port {port}: the port is in use; "
        "stop what listens there, or choose another port (0 takes a free one)"
    )


@pytest.mark.parametrize(
    ("port", "address"),
    [
        pytest.param(0, "192.0.2.1", id="not this machine's"),
        pytest.param(70000, "127.0.0.1", id="no port"),
    ],
)
def test_what_cannot_be_listened_on_says_so(port: int, address: str) -> None:
    with pytest.raises(TerminalError, match="choose an address of this machine"):
        start(port, REGISTRY, address)


def test_the_port_is_free_again_after_a_stop() -> None:
    stop, port = start(0, REGISTRY)
    stop()

    again, same = start(port, REGISTRY)
    again()

    assert port == same


def test_a_probe_is_fine_until_it_has_something_to_say() -> None:
    wrong = {"/healthz": "", "/readyz": ""}
    probes = {path: lambda path=path: wrong[path] for path in wrong}
    stop, port = start(0, REGISTRY, probes=probes)

    def answers() -> list[tuple[int, bytes]]:
        found = []
        for path in ("/healthz", "/readyz?verbose", "/metrics"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path)
            response = connection.getresponse()
            found.append((response.status, response.read()))
            connection.close()
        return found

    before = answers()
    wrong["/readyz"] = "the first listing is not read yet"
    after = answers()
    stop()

    assert before == [(200, b"ok\n"), (200, b"ok\n"), (200, TEXT)]
    assert after == [(200, b"ok\n"), (503, b"the first listing is not read yet\n"), (200, TEXT)]


def test_scrapes_that_hang_leave_probes_alone() -> None:
    entered, release = threading.Semaphore(0), threading.Event()

    class Hangs:
        def collect(self) -> Iterator[object]:
            entered.release()
            assert release.wait(30)
            yield from ()

    stop, port = start(0, Hangs(), probes={"/healthz": lambda: ""})  # type: ignore[arg-type]
    clients = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(AT_ONCE)]
    try:
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert entered.acquire(timeout=30)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
        connection.close()
    finally:
        release.set()
        for client in clients:
            client.close()
        stop()

    assert status == 200


def test_a_probe_that_breaks_is_not_a_success(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str:
        raise RuntimeError("a defect")

    stop, port = start(0, REGISTRY, probes={"/healthz": broken})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/healthz")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        connection.getresponse()
    connection.close()
    stop()

    assert "a defect" in caplog.text
