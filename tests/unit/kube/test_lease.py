"""Leader election, second by second, on an event loop whose time is simulated."""

import asyncio
import copy
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feature_lineage.errors import NotFound
from feature_lineage.kube.api_errors import ApiUnavailable, Conflict, Forbidden
from feature_lineage.kube.kinds import LEASES, Kind
from feature_lineage.kube.lease import DURATION, RENEW, RETRY, LeaderElector, LeaseLost

START = datetime(2026, 11, 26, 3, 14, 48, 123456, tzinfo=UTC)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Waits take no time: the clock jumps to the next event."""

    def __init__(self) -> None:
        self.seconds = 0.0
        loop = self

        class Selector(selectors.SelectSelector):
            def select(self, timeout: float | None = None) -> Any:
                assert timeout is not None, "nothing is due: everybody waits for ever"
                loop.seconds += timeout
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        return self.seconds


def simulate(scene: Callable[["LeaseServer"], Coroutine[Any, Any, None]]) -> None:
    spent = time.thread_time()
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(scene(LeaseServer()))
    assert time.thread_time() - spent < 10


class LeaseServer:
    """Stores Leases as the API server does, including the versions of objects."""

    def __init__(self) -> None:
        self.leases: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.answers_in = 0.01
        self.hangs = False
        self.loses_answers = self.loses_next_answer = False
        self.error: Exception | None = None
        self.writes = 0

    def edit(self, **spec: Any) -> None:
        self._put("operator", {"spec": {**self.leases["operator"]["spec"], **spec}})

    @property
    def spec(self) -> dict[str, Any]:
        return self.leases["operator"]["spec"]

    def _put(self, name: str, lease: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        meta = {"name": name, "resourceVersion": str(self.version)}
        self.leases[name] = {**lease, "metadata": meta}
        return copy.deepcopy(self.leases[name])

    async def _reached(self) -> None:
        await asyncio.sleep(self.answers_in)
        if self.hangs:
            await asyncio.sleep(3600)
        if self.error:
            raise self.error

    async def find(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        await self._reached()
        assert (kind, namespace) == (LEASES, "ml")
        return copy.deepcopy(self.leases.get(name))

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        await self._reached()
        name = body["metadata"]["name"]
        if name in self.leases:
            raise Conflict(f"{name} is there")
        return self._put(name, body)

    async def patch(
        self, kind: Kind, namespace: str, name: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        await self._reached()
        if name not in self.leases:
            raise NotFound(f"no {name}")
        known = self.leases[name]
        if known["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict(f"{name} was changed")
        answer = self._put(name, {"spec": {**known["spec"], **body["spec"]}})
        if self.loses_answers or self.loses_next_answer:
            self.loses_next_answer = False
            await asyncio.sleep(3600)
        return answer


def seconds() -> float:
    return asyncio.get_running_loop().time()


def candidate(
    server: LeaseServer, identity: str, ended: Callable[[], None] = lambda: None
) -> LeaderElector:
    return LeaderElector(
        server,  # type: ignore[arg-type]
        "ml",
        "operator",
        identity,
        on_outage_end=ended,
        monotonic=asyncio.get_running_loop().time,
        now=lambda: START + timedelta(seconds=seconds()),
    )


async def lead(leadership: LeaderElector) -> None:
    await leadership.acquire()
    await leadership.hold()


async def kill(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def failed(task: Awaitable[None]) -> LeaseLost:
    with pytest.raises(LeaseLost) as caught:
        await task
    return caught.value


def test_a_holder_stops_before_others_may_take_over() -> None:
    assert RETRY < RENEW < DURATION


def test_first_candidate_leads_with_a_client_go_record() -> None:
    async def scene(server: LeaseServer) -> None:
        one = candidate(server, "one")
        await one.acquire()

        assert seconds() < 0.1
        assert one.leading
        assert one.holder == "one"
        assert server.spec == {
            "holderIdentity": "one",
            "leaseDurationSeconds": 10,
            "acquireTime": "2026-11-26T03:14:48.133456Z",
            "renewTime": "2026-11-26T03:14:48.133456Z",
            "leaseTransitions": 0,
        }

    simulate(scene)


def test_a_follower_waits_for_as_long_as_the_holder_renews() -> None:
    async def scene(server: LeaseServer) -> None:
        holding = asyncio.create_task(lead(candidate(server, "one")))
        await asyncio.sleep(1)
        two = candidate(server, "two")
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(3600)

        assert not waiting.done()
        assert not two.leading
        assert two.holder == "one"
        assert server.spec["acquireTime"] == "2026-11-26T03:14:48.133456Z"
        assert server.spec["leaseTransitions"] == 0
        assert 3600 / 2 <= server.writes <= 3600 / 1.6 + 1
        await kill(holding)
        await kill(waiting)

    simulate(scene)


def test_dead_holder_is_replaced_within_duration_and_retry() -> None:
    async def scene(server: LeaseServer) -> None:
        holding = asyncio.create_task(lead(candidate(server, "one")))
        await asyncio.sleep(1)
        two = candidate(server, "two")
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(100)
        await kill(holding)
        died = seconds()
        await waiting

        assert 10 - 2 <= seconds() - died <= 10 + 2
        assert two.leading
        assert server.spec["holderIdentity"] == "two"
        assert server.spec["leaseTransitions"] == 1
        assert server.spec["acquireTime"] == server.spec["renewTime"]

    simulate(scene)


def test_a_released_lease_is_taken_at_the_next_attempt() -> None:
    async def scene(server: LeaseServer) -> None:
        one, two = candidate(server, "one"), candidate(server, "two")
        holding = asyncio.create_task(lead(one))
        await asyncio.sleep(1)
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(10)
        await kill(holding)
        await one.release()
        released = seconds()

        assert not one.leading
        assert server.spec["holderIdentity"] == ""
        assert server.spec["leaseDurationSeconds"] == 1
        await waiting
        assert seconds() - released <= 2.1
        assert server.spec["holderIdentity"] == "two"
        assert server.spec["leaseDurationSeconds"] == 10

    simulate(scene)


@pytest.mark.parametrize("wrong_by", [timedelta(days=-400), timedelta(days=400)])
def test_times_in_the_lease_are_ignored(wrong_by: timedelta) -> None:
    async def scene(server: LeaseServer) -> None:
        stamp = (START + wrong_by).isoformat().replace("+00:00", "Z")
        server._put(
            "operator",
            {"spec": {"holderIdentity": "old", "renewTime": stamp, "leaseDurationSeconds": 10}},
        )
        await candidate(server, "two").acquire()

        assert 10 <= seconds() <= 10.1

    simulate(scene)


def test_lease_duration_of_the_holder_counts() -> None:
    async def scene(server: LeaseServer) -> None:
        spec = {"holderIdentity": "old", "leaseDurationSeconds": 30}
        server._put("operator", {"spec": spec})
        await candidate(server, "two").acquire()

        assert 30 <= seconds() <= 30.1

    simulate(scene)


@pytest.mark.parametrize("spec", [None, {}, {"leaseDurationSeconds": 3}])
def test_an_empty_lease_has_no_holder(spec: dict[str, Any] | None) -> None:
    async def scene(server: LeaseServer) -> None:
        server._put("operator", {"spec": spec} if spec is not None else {})
        server.leases["operator"].setdefault("spec", {})
        await candidate(server, "two").acquire()

        assert seconds() < 0.1
        assert server.spec["leaseTransitions"] == 1

    simulate(scene)


@pytest.mark.parametrize("there", [False, True])
def test_one_of_many_candidates_leads(there: bool) -> None:
    async def scene(server: LeaseServer) -> None:
        if there:
            server._put("operator", {"spec": {"holderIdentity": ""}})
        all_ = [candidate(server, str(number)) for number in range(20)]
        tasks = [asyncio.create_task(lead(each)) for each in all_]
        await asyncio.sleep(600)

        assert [each.leading for each in all_].count(True) == 1
        assert {each.holder for each in all_} == {server.spec["holderIdentity"]}
        for task in tasks:
            await kill(task)

    simulate(scene)


def test_two_never_lead_whatever_happens_to_requests() -> None:
    async def scene(server: LeaseServer) -> None:
        all_: dict[str, LeaderElector] = {}

        async def live(number: int) -> None:
            for life in range(50):
                name = f"{number}.{life}"
                all_[str(number)] = candidate(server, name)
                with suppress(LeaseLost):
                    await lead(all_[str(number)])

        tasks = [asyncio.create_task(live(number)) for number in range(3)]
        leaders = set()
        for second in range(2000):
            server.hangs = second % 97 > 88
            server.loses_answers = second % 41 > 36
            server.error = ApiUnavailable("out") if second % 53 > 46 else None
            await asyncio.sleep(1)
            leading = [each for each in all_.values() if each.leading]
            assert len(leading) <= 1
            leaders |= {id(each) for each in leading}

        assert len(leaders) > 5
        for task in tasks:
            await kill(task)

    simulate(scene)


def test_a_hanging_request_leaves_time_for_another() -> None:
    async def scene(server: LeaseServer) -> None:
        one = candidate(server, "one")
        holding = asyncio.create_task(lead(one))
        await asyncio.sleep(100)
        server.hangs = True
        hung = seconds()
        error = await failed(holding)

        assert 4 <= seconds() - hung <= 6
        assert not one.leading
        assert str(error) == (
            "lease ml/operator was not renewed for 6 s: the API server did not answer in time"
        )

    simulate(scene)


def test_one_hanging_request_does_not_end_the_leadership() -> None:
    async def scene(server: LeaseServer) -> None:
        ends: list[float] = []
        holding = asyncio.create_task(
            lead(candidate(server, "one", lambda: ends.append(seconds())))
        )
        await asyncio.sleep(100)
        server.hangs = True
        await asyncio.sleep(3)
        server.hangs = False
        await asyncio.sleep(30)

        assert not holding.done()
        assert len(ends) == 1
        await kill(holding)

    simulate(scene)


def test_slow_server_keeps_the_renewal_interval() -> None:
    async def scene(server: LeaseServer) -> None:
        server.answers_in = 1.0
        one = candidate(server, "one")
        await one.acquire()
        holding = asyncio.create_task(one.hold())
        await asyncio.sleep(100)
        writes = server.writes
        server.edit(renewTime="2026-11-26T03:15:00.000000Z")  # needs three requests
        await asyncio.sleep(100)

        assert writes >= 100 / 2 - 1
        assert not holding.done()
        await kill(holding)
        await one.release()
        assert server.spec["holderIdentity"] == ""

    simulate(scene)


def test_an_outage_ends_it_with_the_last_error() -> None:
    async def scene(server: LeaseServer) -> None:
        one = candidate(server, "one")
        holding = asyncio.create_task(lead(one))
        await asyncio.sleep(100)
        server.error = ApiUnavailable("connection refused")
        out = seconds()
        error = await failed(holding)

        assert 4 <= seconds() - out <= 6
        assert str(error) == ("lease ml/operator was not renewed for 6 s: connection refused")
        assert one.problem == "connection refused"
        before = server.writes
        await one.release()
        assert server.writes == before

    simulate(scene)


def test_the_end_of_an_outage_is_reported_once() -> None:
    async def scene(server: LeaseServer) -> None:
        ends: list[float] = []
        one = candidate(server, "one", lambda: ends.append(seconds()))
        holding = asyncio.create_task(lead(one))
        await asyncio.sleep(100)
        quiet = list(ends)
        server.error = ApiUnavailable("out")
        await asyncio.sleep(3)
        server.error = None
        await asyncio.sleep(100)

        assert quiet == []
        assert len(ends) == 1
        assert 103 <= ends[0] <= 105.1
        assert one.problem == ""
        await kill(holding)

    simulate(scene)


def test_suspended_process_gives_up_the_lease() -> None:
    async def scene(server: LeaseServer) -> None:
        server.answers_in = 0.0  # so no request is in progress when the clock jumps
        one = candidate(server, "one")
        holding = asyncio.create_task(lead(one))
        await asyncio.sleep(100)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        loop.seconds += 7
        before = server.writes

        assert not one.leading
        error = await failed(holding)

        assert "got no CPU time" in str(error)
        assert server.writes == before

    simulate(scene)


def test_lost_answer_is_not_a_foreign_write() -> None:
    async def scene(server: LeaseServer) -> None:
        holding = asyncio.create_task(lead(candidate(server, "one")))
        await asyncio.sleep(100)
        server.loses_next_answer = True
        await asyncio.sleep(100)

        assert not server.loses_next_answer
        assert not holding.done()
        assert server.spec["leaseTransitions"] == 0
        await kill(holding)

    simulate(scene)


@pytest.mark.parametrize(("by", "said"), [("mallory", "mallory"), ("", "nobody")])
def test_a_replaced_holder_stops_at_once(by: str, said: str) -> None:
    async def scene(server: LeaseServer) -> None:
        holding = asyncio.create_task(lead(candidate(server, "one")))
        await asyncio.sleep(100)
        server.edit(holderIdentity=by)
        edited = seconds()
        error = await failed(holding)

        assert seconds() - edited <= 2.1
        assert f"was taken by {said}" in str(error)
        assert server.spec["holderIdentity"] == by

    simulate(scene)


def test_any_other_edit_is_overwritten() -> None:
    async def scene(server: LeaseServer) -> None:
        holding = asyncio.create_task(lead(candidate(server, "one")))
        await asyncio.sleep(100)
        server.edit(leaseDurationSeconds=86400, preferredHolder="x")
        await asyncio.sleep(3)

        assert not holding.done()
        assert server.spec["leaseDurationSeconds"] == 10
        assert server.spec["preferredHolder"] == "x"
        await kill(holding)

    simulate(scene)


def test_shortened_lease_gives_no_second_leader() -> None:
    async def scene(server: LeaseServer) -> None:
        one, two = candidate(server, "one"), candidate(server, "two")
        holding = asyncio.create_task(lead(one))
        await asyncio.sleep(1)
        waiting = asyncio.create_task(two.acquire())
        for _ in range(1000):
            server.edit(leaseDurationSeconds=1)
            await asyncio.sleep(0.7)

            assert one.leading
        assert not two.leading
        await kill(holding)
        await kill(waiting)

    simulate(scene)


def test_a_deleted_lease_is_created_again_by_its_holder() -> None:
    async def scene(server: LeaseServer) -> None:
        holding = asyncio.create_task(lead(candidate(server, "one")))
        await asyncio.sleep(100)
        server.leases.clear()
        await asyncio.sleep(3)

        assert not holding.done()
        assert server.spec["holderIdentity"] == "one"
        await kill(holding)

    simulate(scene)


def test_a_lease_deleted_and_taken_meanwhile_is_lost() -> None:
    async def scene(server: LeaseServer) -> None:
        holding = asyncio.create_task(lead(candidate(server, "one")))
        await asyncio.sleep(100)
        server.leases.clear()
        await candidate(server, "two").acquire()
        error = await failed(holding)

        assert "was taken by two" in str(error)
        assert server.spec["holderIdentity"] == "two"

    simulate(scene)


def test_a_missing_permission_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(server: LeaseServer) -> None:
        server.error = Forbidden("leases are forbidden")
        two = candidate(server, "two")
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(60)
        said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        trouble = two.problem
        server.error = None
        await waiting

        assert said == ["lease ml/operator: leases are forbidden"]
        assert trouble == "leases are forbidden"
        assert two.problem == ""

    simulate(scene)


def test_restarted_process_leads_at_once() -> None:
    async def scene(server: LeaseServer) -> None:
        await candidate(server, "one").acquire()
        await asyncio.sleep(1)
        await candidate(server, "one").acquire()

        assert seconds() < 1.1
        assert server.spec["leaseTransitions"] == 0

    simulate(scene)


def test_a_release_without_an_answer_ends() -> None:
    async def scene(server: LeaseServer) -> None:
        one = candidate(server, "one")
        await one.acquire()
        server.hangs = True
        asked = seconds()
        await one.release()

        assert seconds() - asked <= 2.1
        assert not one.leading

    simulate(scene)


def test_release_works_after_a_lost_answer() -> None:
    async def scene(server: LeaseServer) -> None:
        one = candidate(server, "one")
        await one.acquire()
        server.edit(renewTime="2026-11-26T03:15:00.000000Z")
        await one.release()

        assert server.spec["holderIdentity"] == ""

    simulate(scene)


def test_a_follower_has_nothing_to_release() -> None:
    async def scene(server: LeaseServer) -> None:
        await candidate(server, "one").acquire()
        two = candidate(server, "two")
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(3)
        await kill(waiting)
        await two.release()

        assert server.spec["holderIdentity"] == "one"

    simulate(scene)
