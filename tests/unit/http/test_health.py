"""Health probes, and how `/healthz` checks an event loop."""

import asyncio
import threading

import pytest
from tests.unit.http.serving import get, serving

from feature_lineage.http.health import Heartbeat, probe_routes


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
        assert unblock.wait(60)

    async def main() -> None:
        task = asyncio.create_task(beat.run())
        await asyncio.sleep(0)
        block()  # a coroutine must never block
        await asyncio.to_thread(beaten.wait, 30)
        task.cancel()

    loop = threading.Thread(target=lambda: asyncio.run(main()))
    with serving(probe_routes({"/healthz": beat.check})) as connection:
        loop.start()
        try:
            assert blocked.wait(60)
            clock.now = 115.0
            within = get(connection, "/healthz")
            clock.now = 142.4
            stuck = get(connection, "/healthz")
            while clock.read.acquire(blocking=False):
                pass
            unblock.set()
            for _ in range(2):  # at the second reading, the time of the first is stored
                assert clock.read.acquire(timeout=60)
            again = get(connection, "/healthz")
        finally:
            unblock.set()
            beaten.set()
            loop.join(60)

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


def test_each_probe_has_the_answer_of_its_check() -> None:
    wrong = {"/healthz": "", "/readyz": ""}
    checks = {path: lambda path=path: wrong[path] for path in wrong}
    with serving(probe_routes(checks)) as connection:
        before = [get(connection, path) for path in ("/healthz", "/readyz?verbose")]
        wrong["/readyz"] = "the first listing is not read yet"
        after = [get(connection, path) for path in ("/healthz", "/readyz?verbose")]

    assert before == [(200, b"ok\n"), (200, b"ok\n")]
    assert after == [(200, b"ok\n"), (503, b"the first listing is not read yet\n")]


def test_a_check_that_fails_is_not_a_success(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str:
        raise RuntimeError("a defect")

    with serving(probe_routes({"/healthz": broken})) as connection:
        status, _ = get(connection, "/healthz")

    assert status == 500
    assert "a defect" in caplog.text
