"""One read for all callers: the number of calls, and what is kept if it fails."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.tracking.fake import Clock, FakeClient

from feature_lineage.errors import (
    AccessRefused,
    FeatureLineageError,
    NotFound,
    RequestRejected,
    ServerUnavailable,
)
from feature_lineage.tracking.parsing import milliseconds
from feature_lineage.tracking.registry_cache import RegistryCache

NOW = timedelta(0)
POLL = timedelta(seconds=30)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> Any:
    fake = FakeClient(clock)
    fake.add("m", "1", 1, run_id="run1")
    fake.models["m"]["champion"] = "1"
    fake.run_status["run1"] = "FINISHED"
    return fake


@pytest.fixture
def shared(client: Any, clock: Clock) -> RegistryCache:
    return RegistryCache(client, now=clock)


async def test_concurrent_callers_share_one_reading(shared: RegistryCache, client: Any) -> None:
    views = await asyncio.gather(*(shared.view(max_age=POLL) for _ in range(500)))

    assert client.calls == ["models", "versions", "experiments", "runs"]
    assert all(view is views[0] for view in views)


async def test_within_max_age_nothing_is_requested(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    await shared.view(max_age=POLL)
    client.calls.clear()
    clock.advance(seconds=30)

    await shared.view(max_age=POLL)
    assert client.calls == []

    clock.advance(seconds=1)
    await shared.view(max_age=POLL)
    assert client.calls == ["models", "news"]


async def test_a_reading_that_finds_nothing_new_gives_the_same_view(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    first = await shared.view(max_age=POLL)
    clock.advance(minutes=1)

    assert await shared.view(max_age=POLL) is first
    client.calls.clear()
    assert await shared.view(max_age=POLL) is first
    assert client.calls == []


async def test_every_ten_minutes_all_is_read(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    await shared.view(max_age=POLL)
    clock.advance(minutes=10)
    assert (await shared.view(max_age=POLL)).read_at == clock.time - timedelta(minutes=10)

    clock.advance(seconds=31)
    client.calls.clear()
    view = await shared.view(max_age=POLL)

    assert client.calls == ["models", "versions"]
    assert view.read_at == clock.time


async def test_full_means_tags_too(shared: RegistryCache, client: Any, clock: Clock) -> None:
    for i in range(300):
        client.add("other", str(i), 1000 + i)
    await shared.view(max_age=NOW)
    clock.advance(seconds=10)
    client.rows[0].tags["feast.project"] = "p"

    assert "feast.project" not in (await shared.view(max_age=NOW)).versions["m"]["1"].tags
    found = await shared.view(max_age=NOW, full=True)

    assert found.versions["m"]["1"].tags["feast.project"] == "p"
    assert found.read_at == clock.time


async def test_a_late_caller_gets_a_reading_that_is_fresh_enough(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    client.gate = asyncio.Event()
    first = asyncio.create_task(shared.view(max_age=NOW))
    while not client.calls:
        await asyncio.sleep(0)
    clock.advance(seconds=1)
    late = [asyncio.create_task(shared.view(max_age=NOW, full=True)) for _ in range(20)]
    fine_with_it = asyncio.create_task(shared.view(max_age=POLL))
    await asyncio.sleep(0)
    client.gate.set()
    await asyncio.gather(first, fine_with_it, *late)

    assert client.calls.count("models") == 2


async def _read_in_the_background(shared: RegistryCache, client: Any) -> None:
    """Let a read that no caller waits for end."""
    client.gate.set()
    while shared._refresh_task is not None:
        await asyncio.sleep(0)


async def test_a_caller_that_does_not_wait_gets_the_last_good_view(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    first = await shared.view(max_age=POLL)
    clock.advance(seconds=31)
    client.models["m"] = {"winner": "1"}
    client.gate = asyncio.Event()

    assert await shared.view(max_age=POLL, wait=False) is first
    await _read_in_the_background(shared, client)

    second = await shared.view(max_age=POLL, wait=False)
    assert second.by_alias("m", "winner") is not None
    assert client.calls[4:] == ["models", "news"]


async def test_readings_take_a_fifth_of_the_time_unless_full(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    await shared.view(max_age=POLL)
    clock.advance(seconds=31)
    client.before_call = lambda call: clock.advance(seconds=6)
    await shared.view(max_age=POLL)
    client.before_call = lambda call: None
    client.calls.clear()

    clock.advance(seconds=36)
    await shared.view(max_age=POLL)
    assert client.calls == []
    clock.advance(seconds=1)
    await shared.view(max_age=POLL)
    assert client.calls == ["models", "news"]

    clock.advance(seconds=1)
    client.calls.clear()
    await shared.view(max_age=timedelta(0), full=True)
    assert client.calls == ["models", "versions"]


async def test_a_reading_that_took_for_ever_is_repeated_all_the_same(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    await shared.view(max_age=POLL)
    clock.advance(seconds=31)
    client.before_call = lambda call: clock.advance(hours=1)
    await shared.view(max_age=POLL)
    client.before_call = lambda call: None
    await shared.view(max_age=POLL, full=True)
    client.calls.clear()

    clock.advance(minutes=2, seconds=1)
    await shared.view(max_age=POLL)
    assert client.calls == ["models", "news"]


async def test_what_is_twice_as_old_as_it_may_be_is_waited_for(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    await shared.view(max_age=POLL)
    client.models["m"] = {"winner": "1"}
    clock.advance(seconds=61)

    view = await shared.view(max_age=POLL, wait=False)
    assert view.by_alias("m", "winner") is not None


async def test_callers_that_do_not_wait_also_learn_of_an_outage(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    await shared.view(max_age=POLL)

    def refuse(call: str) -> None:
        raise AccessRefused("401")

    clock.advance(seconds=31)
    client.before_call = refuse
    with pytest.raises(AccessRefused):
        await shared.view(max_age=POLL)
    with pytest.raises(AccessRefused):
        await shared.view(max_age=POLL, wait=False)


async def test_each_changed_model_is_reported_once(client: Any, clock: Clock) -> None:
    changes: list[set[str]] = []
    client.add("other", "1", 1)
    client.run_status["run1"] = "RUNNING"
    shared = RegistryCache(client, now=clock, on_change=lambda names: changes.append(set(names)))
    view = await shared.view(max_age=NOW)
    assert changes == [{"m", "other"}]

    async def news() -> list[set[str]]:
        changes.clear()
        clock.advance(seconds=1)
        await shared.view(max_age=NOW)
        return changes

    assert await news() == []
    client.models["m"]["winner"] = "1"
    assert await news() == [{"m"}]
    client.run_tags["run1"] = {"feast.project": "p"}
    assert await news() == [{"m"}]
    del client.models["other"]
    client.rows = [row for row in client.rows if row.name != "other"]
    assert await news() == [{"other"}]
    changes.clear()
    version = view.versions["m"]["1"]
    client.rows[0].tags = {"featurelineage.io/verdict": "Verified"}
    shared.record_tag_write(version, client.rows[0].tags)
    assert changes == [], "two who write over each other would do so without a pause"
    assert await news() == [{"m"}]
    assert await news() == []


async def test_a_cancelled_caller_does_not_cancel_the_reading(
    shared: RegistryCache, client: Any
) -> None:
    client.gate = asyncio.Event()
    first, second = (asyncio.create_task(shared.view(max_age=NOW)) for _ in range(2))
    while not client.calls:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    client.gate.set()

    assert (await second).by_alias("m", "champion") is not None


async def test_a_failure_keeps_the_last_good_view_and_is_shared(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    good = await shared.view(max_age=POLL)
    clock.advance(minutes=1)

    def refuse(call: str) -> None:
        raise AccessRefused("401")

    client.before_call = refuse
    client.calls.clear()
    results = await asyncio.gather(
        *(shared.view(max_age=POLL) for _ in range(50)), return_exceptions=True
    )

    assert {type(result) for result in results} == {AccessRefused}
    assert client.calls == ["models"]
    assert shared.last is good


async def test_after_a_refusal_no_request_is_sent_for_30_seconds(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    def refuse(call: str) -> None:
        raise AccessRefused("401")

    client.before_call = refuse
    for _ in range(30):
        with pytest.raises(AccessRefused):
            await shared.view(max_age=POLL)
        clock.advance(seconds=1)
    assert client.calls == ["models"]

    client.before_call = lambda call: None
    assert await shared.view(max_age=POLL)


async def test_an_outage_is_left_to_the_circuit(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    def out(call: str) -> None:
        error = ServerUnavailable("out")
        client.circuit.failed(error)
        raise error

    client.before_call = out
    with pytest.raises(ServerUnavailable):
        await shared.view(max_age=POLL)
    client.circuit.succeeded()
    client.before_call = lambda call: None

    assert await shared.view(max_age=POLL)


async def test_finished_runs_are_read_once_and_running_ones_again(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    client.add("m", "2", 2, run_id="run2")
    client.run_status["run2"] = "RUNNING"
    await shared.view(max_age=NOW)
    client.run_tags["run2"] = {"feast.project": "p"}
    clock.advance(minutes=1)
    view = await shared.view(max_age=NOW)
    assert view.runs["run2"].tags == {"feast.project": "p"}

    client.run_status["run2"] = "FINISHED"
    clock.advance(minutes=1)
    await shared.view(max_age=NOW)
    client.calls.clear()
    clock.advance(minutes=1)
    await shared.view(max_age=NOW, full=True)

    assert client.calls == ["models", "versions"]


async def test_abandoned_runs_are_read_at_full_readings_only(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    client.run_status["run1"] = "RUNNING"
    client.run_started_ms["run1"] = milliseconds(clock.time - timedelta(hours=2))
    await shared.view(max_age=NOW)
    client.calls.clear()
    clock.advance(minutes=1)
    view = await shared.view(max_age=NOW)
    assert client.calls == ["models", "news"]
    assert "run1" in view.runs

    clock.advance(minutes=1)
    await shared.view(max_age=NOW, full=True)
    assert "runs" in client.calls


async def test_a_missing_run_is_requested_at_full_readings_only(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    del client.run_status["run1"]
    view = await shared.view(max_age=NOW)
    assert view.run_of(view.versions["m"]["1"]) is None
    client.calls.clear()
    clock.advance(minutes=1)
    await shared.view(max_age=NOW)
    assert "runs" not in client.calls

    client.run_status["run1"] = "FINISHED"
    clock.advance(minutes=1)
    view = await shared.view(max_age=NOW, full=True)

    assert view.run_of(view.versions["m"]["1"]) is not None


async def test_a_run_id_that_mlflow_cannot_have_made_stops_no_reading(
    shared: RegistryCache, client: Any
) -> None:
    client.add("hostile", "1", 1, run_id='it\'s "a" run')

    view = await shared.view(max_age=NOW)

    assert view.run_of(view.versions["hostile"]["1"]) is None
    assert view.run_of(view.versions["m"]["1"]) is not None


@pytest.mark.parametrize("error", [NotFound("gone"), AccessRefused("no"), RequestRejected("no")])
async def test_a_logged_model_that_cannot_be_read_stops_no_reading(
    shared: RegistryCache, client: Any, error: FeatureLineageError
) -> None:
    async def refuse(model_id: str) -> str:
        raise error

    client.logged_model_run = refuse
    client.add("hostile", "1", 1, source="models:/m-1")

    view = await shared.view(max_age=NOW)

    assert view.run_of(view.versions["hostile"]["1"]) is None
    assert view.run_of(view.versions["m"]["1"]) is not None


CUT = {"feast.feature_refs": "v:a,v:b...", "feast.feature_count": "3"}


@pytest.mark.parametrize(
    ("body", "features"),
    [
        (b'["v:a", "v:b", "v:c"]', ("v:a", "v:b", "v:c")),
        (b"[]", ()),
        (b'{"a": 1}', None),
        (b"[1]", None),
        (b"<html>", None),
        (b"[" * 100_000, None),
        (AccessRefused("no"), None),
    ],
)
async def test_the_artifact_is_read_where_the_tag_was_cut(
    shared: RegistryCache, client: Any, body: Any, features: Any
) -> None:
    client.run_tags["run1"] = CUT
    client.artifacts["run1"] = body

    view = await shared.view(max_age=NOW)

    assert view.runs["run1"].features_artifact == features


@pytest.mark.parametrize(
    "tags", [{}, {"feast.feature_refs": "v:a,v:b", "feast.feature_count": "2"}]
)
async def test_the_artifact_is_not_read_if_the_tag_is_complete(
    shared: RegistryCache, client: Any, tags: dict[str, str]
) -> None:
    client.run_tags["run1"] = tags

    await shared.view(max_age=NOW)

    assert "artifact run1" not in client.calls


async def test_a_run_whose_tags_changed_is_examined_again(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    client.run_status["run1"] = "RUNNING"
    client.run_tags["run1"] = {"feast.feature_refs": "v:a", "feast.feature_count": "1"}
    client.artifacts["run1"] = b'["v:a", "v:b", "v:c"]'
    await shared.view(max_age=NOW)
    assert "artifact run1" not in client.calls
    client.run_tags["run1"] = CUT
    clock.advance(minutes=1)

    view = await shared.view(max_age=NOW)

    assert view.runs["run1"].features_artifact == ("v:a", "v:b", "v:c")


async def test_denied_artifact_is_requested_at_the_next_full_read(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    client.run_tags["run1"] = CUT
    client.artifacts["run1"] = AccessRefused("no")
    await shared.view(max_age=NOW)
    client.artifacts["run1"] = b'["v:a", "v:b", "v:c"]'
    clock.advance(minutes=1)
    await shared.view(max_age=NOW)
    assert client.calls.count("artifact run1") == 1

    clock.advance(minutes=1)
    view = await shared.view(max_age=NOW, full=True)

    assert view.runs["run1"].features_artifact == ("v:a", "v:b", "v:c")


async def test_written_tags_show_until_the_next_full_reading(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    version = (await shared.view(max_age=NOW)).versions["m"]["1"]
    clock.advance(seconds=1)
    shared.record_tag_write(version, {"featurelineage.io/verdict": "Broken"})
    assert shared.last is not None
    assert shared.last.versions["m"]["1"].tags == {"featurelineage.io/verdict": "Broken"}

    clock.advance(seconds=60)
    view = await shared.view(max_age=NOW)
    assert view.versions["m"]["1"].tags == {"featurelineage.io/verdict": "Broken"}

    client.rows[0].tags["featurelineage.io/verdict"] = "Somebody else's"
    clock.advance(seconds=60)
    view = await shared.view(max_age=NOW, full=True)
    assert view.versions["m"]["1"].tags == {"featurelineage.io/verdict": "Somebody else's"}


async def test_what_was_written_while_a_reading_ran_is_not_lost(
    shared: RegistryCache, client: Any, clock: Clock
) -> None:
    version = (await shared.view(max_age=NOW)).versions["m"]["1"]
    clock.advance(seconds=1)
    client.gate = asyncio.Event()
    reading = asyncio.create_task(shared.view(max_age=NOW, full=True))
    while "models" not in client.calls[4:]:
        await asyncio.sleep(0)
    clock.advance(seconds=1)
    shared.record_tag_write(version, {"featurelineage.io/verdict": "Broken"})
    client.gate.set()

    assert (await reading).versions["m"]["1"].tags == {"featurelineage.io/verdict": "Broken"}


async def test_closing_cancels_the_reading_but_not_its_callers(
    shared: RegistryCache, client: Any
) -> None:
    client.gate = asyncio.Event()
    waiting = [asyncio.create_task(shared.view(max_age=NOW)) for _ in range(3)]
    while not client.calls:
        await asyncio.sleep(0)

    await shared.close()

    for task in waiting:
        with pytest.raises(ServerUnavailable, match=r"ml:5000 was closed.*opens a new one"):
            await task


async def test_a_cancelled_caller_stays_cancelled_during_closing(
    shared: RegistryCache, client: Any
) -> None:
    client.gate = asyncio.Event()
    waiting = asyncio.create_task(shared.view(max_age=NOW))
    while not client.calls:
        await asyncio.sleep(0)

    closing = asyncio.create_task(shared.close())
    await asyncio.sleep(0)
    waiting.cancel()
    await closing

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_reading_that_takes_long_does_not_hold_its_caller(
    client: Any, clock: Clock
) -> None:
    cache = RegistryCache(client, now=clock, max_wait=0.01)
    client.gate = asyncio.Event()

    with pytest.raises(ServerUnavailable, match="the reading goes on"):
        async with asyncio.timeout(60):  # instead of for ever, if nothing limits the wait
            await cache.view(max_age=POLL)

    reading = cache._refresh_task
    assert reading is not None
    client.gate.set()
    await reading
    assert (await cache.view(max_age=POLL)).versions


async def test_a_failure_that_is_kept_keeps_no_rows(client: Any, clock: Clock) -> None:
    cache = RegistryCache(client, now=clock)

    def refuse(call: str) -> None:
        if call == "experiments":
            raise AccessRefused("denied") from ValueError("a cause")

    client.before_call = refuse
    with pytest.raises(AccessRefused):
        await cache.view(max_age=POLL)

    assert cache._failure is not None
    kept = cache._failure[0]
    assert (kept.message, type(kept)) == ("denied", AccessRefused)
    assert (kept.__traceback__, kept.__cause__, kept.__context__) == (None, None, None)
