"""`/healthz` shows a stuck event loop."""

import asyncio
import http.client
import threading

from prometheus_client import CollectorRegistry

from feature_lineage.kube.health import Heartbeat
from feature_lineage.metrics.server import start


def asked(port: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class HandClock:
    def __init__(self) -> None:
        self.now = 100.0
        self.read = threading.Semaphore(0)

    def __call__(self) -> float:
        self.read.release()
        return self.now


def test_blocked_event_loop_fails_the_probe() -> None:
    clock = HandClock()
    beat = Heartbeat(limit=15, monotonic=clock)
    blocked, unblock, beaten = threading.Event(), threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        assert unblock.wait(30)

    async def main() -> None:
        task = asyncio.create_task(beat.run())
        await asyncio.sleep(0)
        block()  # what no coroutine may do
        await asyncio.to_thread(beaten.wait, 30)
        task.cancel()

    stop, port = start(0, CollectorRegistry(), probes={"/healthz": beat.check})
    loop = threading.Thread(target=lambda: asyncio.run(main()))
    loop.start()
    try:
        assert blocked.wait(30)
        clock.now = 115.0
        within = asked(port)
        clock.now = 142.4
        stuck = asked(port)
        while clock.read.acquire(blocking=False):
            pass
        unblock.set()
        for _ in range(2):  # whoever reads the clock again has kept what it read before
            assert clock.read.acquire(timeout=30)
        again = asked(port)
    finally:
        unblock.set()
        beaten.set()
        loop.join(30)
        stop()

    assert within == (200, b"ok\n")
    assert stuck == (503, b"the event loop has not run for 42 s\n")
    assert again == (200, b"ok\n")


def test_a_loop_that_never_starts_fails_it_too() -> None:
    clock = HandClock()
    beat = Heartbeat(limit=15, monotonic=clock)

    fresh = beat.check()
    clock.now += 16

    assert fresh == ""
    assert beat.check() == "the event loop has not run for 16 s"
