"""`/metrics` over HTTP."""

import threading
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry
from tests.unit.http.serving import get, sent, serving
from tests.unit.metrics.build import NOW, project

from feature_lineage.http.health import probe_routes
from feature_lineage.metrics import State, StateCollector
from feature_lineage.metrics.families import exposition
from feature_lineage.metrics.routes import MAX_SCRAPES, metrics_routes


def registry_of(state: Callable[[], State]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StateCollector(state, lambda: NOW))
    return registry


REGISTRY = registry_of(lambda: State((project(featureViews=[{"name": "価格", "rows": 1}]),)))
TEXT = b"".join(exposition(REGISTRY))


@pytest.mark.parametrize("path", ["/metrics", "/metrics?name=x"])
def test_metrics_are_text(path: str) -> None:
    with serving(metrics_routes(REGISTRY)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()

        assert response.status == 200
        assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert response.read() == TEXT


def test_another_path_is_answered_with_the_path_of_the_metrics() -> None:
    with serving(metrics_routes(REGISTRY)) as connection:
        assert get(connection, "/") == (404, b"not found; paths: /metrics\n")


def test_every_scrape_reads_the_state_again() -> None:
    states = iter([State((project(),)), State()])
    with serving(metrics_routes(registry_of(lambda: next(states)))) as connection:
        found = [b'name="ranking"' in get(connection, "/metrics")[1] for _ in range(2)]

    assert found == [True, False]


def test_a_state_that_cannot_be_read_is_not_an_empty_success() -> None:
    def broken() -> State:
        raise RuntimeError("a defect")

    with serving(metrics_routes(registry_of(broken))) as connection:
        assert get(connection, "/metrics")[0] == 500


def test_a_fifth_scrape_is_refused_while_probes_are_answered() -> None:
    collecting, release = threading.Semaphore(0), threading.Event()

    class Slow:
        def collect(self) -> Iterator[object]:
            collecting.release()
            assert release.wait(60)
            yield from REGISTRY.collect()

    routes = [*metrics_routes(Slow()), *probe_routes({"/healthz": lambda: ""})]  # type: ignore[arg-type]
    answers: list[tuple[int, bytes]] = []
    with serving(routes) as connection:

        def scrape() -> None:
            request = b"GET /metrics HTTP/1.0\r\n\r\n"
            with sent(connection, request) as client:
                head, _, body = b"".join(iter(lambda: client.recv(65536), b"")).partition(
                    b"\r\n\r\n"
                )
                answers.append((int(head.split()[1]), body))

        scrapes = [threading.Thread(target=scrape) for _ in range(MAX_SCRAPES)]
        for thread in scrapes:
            thread.start()
            assert collecting.acquire(timeout=60)
        refused = get(connection, "/metrics")
        probed = get(connection, "/healthz")
        release.set()
        for thread in scrapes:
            thread.join(60)
        after = get(connection, "/metrics")

    assert refused == (503, b"4 scrapes are running already; scrape less often\n")
    assert probed == (200, b"ok\n")
    assert answers == [(200, TEXT)] * MAX_SCRAPES
    assert after == (200, TEXT)
