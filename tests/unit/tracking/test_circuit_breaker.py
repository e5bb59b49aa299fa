"""While a server is down: who may probe, when, and the error of the others. Time is simulated."""

from datetime import UTC, datetime, timedelta

import pytest

from feature_lineage.errors import ServerUnavailable
from feature_lineage.tracking.circuit_breaker import CircuitBreaker


class ManualClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def refused(circuit: CircuitBreaker) -> bool:
    try:
        circuit.enter()
    except ServerUnavailable:
        return True
    return False


def test_calls_pass_while_the_server_is_fine(clock: ManualClock) -> None:
    circuit = CircuitBreaker(clock)

    assert [refused(circuit) for _ in range(3)] == [False, False, False]
    assert not circuit.is_open


def test_after_a_failure_calls_hear_the_same_error_at_once(clock: ManualClock) -> None:
    circuit = CircuitBreaker(clock)
    circuit.failed(ServerUnavailable("it is out"))

    with pytest.raises(ServerUnavailable, match="it is out"):
        circuit.enter()


def test_one_call_is_the_probe_and_the_others_go_on_failing(clock: ManualClock) -> None:
    circuit = CircuitBreaker(clock)
    circuit.failed(ServerUnavailable("it is out"))
    clock.advance(5)

    assert [refused(circuit) for _ in range(3)] == [False, True, True]


def test_probes_come_after_5_10_20_and_then_every_30_seconds(clock: ManualClock) -> None:
    circuit = CircuitBreaker(clock)
    start = clock.time
    probes: list[float] = []
    circuit.failed(ServerUnavailable("it is out"))
    for _ in range(130):
        clock.advance(1)
        if not refused(circuit):
            probes.append((clock.time - start).total_seconds())
            circuit.failed(ServerUnavailable("it is out"))

    assert probes == [5, 15, 35, 65, 95, 125]


def test_a_probe_that_never_came_back_does_not_block_the_next(clock: ManualClock) -> None:
    circuit = CircuitBreaker(clock)
    circuit.failed(ServerUnavailable("it is out"))
    clock.advance(5)
    circuit.enter()
    clock.advance(5)

    assert not refused(circuit)


def test_success_closes_and_forgets_the_pauses(clock: ManualClock) -> None:
    circuit = CircuitBreaker(clock)
    for _ in range(4):
        circuit.failed(ServerUnavailable("it is out"))
    circuit.succeeded()

    assert not refused(circuit)
    circuit.failed(ServerUnavailable("again"))
    clock.time += timedelta(seconds=4.9)
    assert refused(circuit)
    clock.time += timedelta(seconds=0.1)
    assert not refused(circuit)


def test_a_clock_set_back_does_not_prolong_an_outage(clock: ManualClock) -> None:
    circuit = CircuitBreaker(clock)
    circuit.failed(ServerUnavailable("it is out"))
    clock.advance(-3600)

    assert not refused(circuit)
