"""Each answer of a hostile MLflow server becomes one error that names the fact."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.servers.poisoned_mlflow import ELSEWHERE, POISONS, SLOW, poisoned_mlflow
from tests.servers.tcp import Seen, answer, bad_server

from feature_lineage.errors import FeatureLineageError, InvalidReport, RequestRejected
from feature_lineage.operations.alias_history import ALIASES_TAG, MOVES_TAG, WHOLE_TAG
from feature_lineage.operations.past import Place
from feature_lineage.operations.records import OPERATION_ID_TAG, REGISTRY_DIGEST_TAG
from feature_lineage.tracking import MLflowServer, page_walk, timeline_reader
from feature_lineage.tracking.cache_budget import CacheBudget
from feature_lineage.tracking.registry import MLflowRegistry

QUICK = sorted(name for name, poison in POISONS.items() if poison is not SLOW)


@pytest.mark.parametrize("name", QUICK)
async def test_a_poisoned_registry_is_one_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_walk, "MAX_PAGES", 200)  # of a thousand, which take long
    words = POISONS[name][1].replace("1000 pages", "200 pages")
    async with poisoned_mlflow() as server:
        registry = MLflowRegistry(MLflowServer(f"{server.url}/{name}"))
        with pytest.raises(FeatureLineageError) as caught:
            await registry.view(max_age=timedelta(0))
        await registry.close()

    assert words in caught.value.message
    assert registry.last_view is None
    assert not any(ELSEWHERE in seen.line for seen in server.seen)


async def test_an_answer_counts_although_nothing_of_it_is_kept() -> None:
    share = CacheBudget(100_000).share("evil")
    async with bad_server(answer(200, json.dumps({"ignored": "x" * 200_000}))) as server:
        registry = MLflowRegistry(MLflowServer(server.url), share=share)
        with pytest.raises(RequestRejected, match="all readings together may have"):
            await registry.view(max_age=timedelta(0))
        await registry.close()

    assert len(server.seen) == 1


def runs(number: int) -> bytes:
    """An answer to every request: an experiment, and runs with different digests, without end."""
    found = [
        {
            "info": {"run_id": f"{n}", "start_time": n, "end_time": n},
            "data": {"tags": [{"key": REGISTRY_DIGEST_TAG, "value": f"{n}"}]},
        }
        for n in range(number)
    ]
    whole = {"experiment": {"experiment_id": "1"}, "runs": found, "next_page_token": "more"}
    return json.dumps(whole).encode()


async def test_a_timeline_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_reader, "MAX_CHANGES", 500)
    async with bad_server(answer(200, runs(100))) as server:
        registry = MLflowRegistry(MLflowServer(server.url))
        with pytest.raises(RequestRejected, match="more than 500 changes of the registry"):
            await registry.history("ops")
        await registry.close()

    assert len(server.seen) < 10  # a page has 100 runs


async def test_a_snapshot_is_not_looked_for_without_end() -> None:
    async with bad_server(answer(200, runs(100))) as server:
        registry = MLflowRegistry(MLflowServer(server.url))
        with pytest.raises(InvalidReport, match="was changed after it was recorded"):
            await registry.snapshot("ops", "0" * 64)
        await registry.close()

    asked = [seen for seen in server.seen if "get-artifact" in seen.line]
    assert len(asked) == timeline_reader.MAX_WRONG


async def test_runs_without_a_snapshot_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_reader, "MAX_LOOKED_AT", 150)
    missing = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such artifact"})
    rows, none = answer(200, runs(100)), answer(404, missing)

    async def script(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await (none if "get-artifact" in seen.line else rows)(seen, writer)

    async with bad_server(script) as server:
        registry = MLflowRegistry(MLflowServer(server.url))
        assert await registry.snapshot("ops", "0" * 64) is None
        await registry.close()

    assert sum("get-artifact" in seen.line for seen in server.seen) == 150


def record(number: int, *, at: int = 0, aliases: int = 10_000) -> dict[str, Any]:
    """A run with all aliases, as anybody may write one."""
    text = json.dumps({f"model-{number}-{n}": {"champion": "1"} for n in range(aliases)})
    tags = {
        OPERATION_ID_TAG: f"r{number}",
        WHOLE_TAG: "true",
        f"{MOVES_TAG}-0": "[]",
        f"{ALIASES_TAG}-0": text,
    }
    return {
        "info": {"run_id": f"{number}", "start_time": at},
        "data": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
    }


@asynccontextmanager
async def alias_server(*records: dict[str, Any]) -> AsyncIterator[MLflowRegistry]:
    """Answers the search for the last record with the first, then one record to a page."""
    found = iter((records[0], *records))

    async def script(seen: Seen, writer: asyncio.StreamWriter) -> None:
        body: dict[str, Any] = {"experiment": {"experiment_id": "1"}}
        if "search" in seen.line:
            body = {"runs": [each] if (each := next(found, None)) else []}
            body["next_page_token"] = "more" if each else ""
        await answer(200, json.dumps(body))(seen, writer)

    async with bad_server(script) as server:
        registry = MLflowRegistry(MLflowServer(server.url))
        try:
            yield registry
        finally:
            await registry.close()


PLACE = Place.of("p", "-feast-ops", "ml", "churn")


async def test_many_large_records_of_aliases_are_not_kept() -> None:
    """A state of 10,000 aliases takes 4 MB; each record alone is one that may be written."""
    async with alias_server(*(record(n) for n in range(20))) as registry:
        await registry.aliases_at(PLACE)  # what is imported and allocated once
    tracemalloc.start()
    try:
        async with alias_server(*(record(n) for n in range(20))) as registry:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            state = await registry.aliases_at(PLACE)
            peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()

    assert state is not None
    assert state.record == "r19"
    assert peak < 40 * 1024**2


async def test_a_record_later_than_asked_for_is_refused() -> None:
    """A time at the end of all times has no next one, which the next record would have."""
    last = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp() * 1000)
    async with alias_server(record(1, at=last, aliases=1)) as registry:
        with pytest.raises(InvalidReport, match="and was asked for runs up to 2026"):
            await registry.aliases_at(PLACE, datetime(2026, 11, 30, tzinfo=UTC))
