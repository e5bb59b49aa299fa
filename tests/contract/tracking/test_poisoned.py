"""Each answer of a hostile MLflow server becomes one error that names the fact."""

import asyncio
import json
from datetime import timedelta

import pytest
from tests.servers.poisoned_mlflow import ELSEWHERE, POISONS, SLOW, poisoned_mlflow
from tests.servers.tcp import Seen, answer, bad_server

from feature_lineage.errors import FeatureLineageError, InvalidReport, RequestRejected
from feature_lineage.operations.records import REGISTRY_DIGEST_TAG
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
