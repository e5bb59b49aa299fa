"""A registry as large as a company's is read whole, over HTTP, within the limits."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.tcp import Seen, answer, bad_server

from feature_lineage.tracking import MLflowRegistry, MLflowServer
from feature_lineage.tracking.cache_budget import CacheBudget

VERSIONS = 1000
TAG_BYTES = 5000
COUNT = 160
REFS = ",".join(f"view_{number}:feature_with_a_name" for number in range(COUNT))
TAGS = [
    {"key": "feast.feature_refs", "value": REFS.ljust(TAG_BYTES, "x")},
    {"key": "feast.feature_count", "value": str(COUNT)},
]
PARAMS = [{"key": f"param_{number}", "value": "x" * 500} for number in range(30)]
MODEL = {"name": "m", "creation_timestamp": 1, "latest_versions": [{"name": "m"}]}
ROWS = [
    {
        "name": "m",
        "version": str(number),
        "creation_timestamp": 1,
        "last_updated_timestamp": 1,
        "run_id": f"{number:032}",
        "tags": TAGS,
    }
    for number in range(1, VERSIONS + 1)
]


def _page(rows: list[Any], size: int, token: str) -> tuple[list[Any], str]:
    start = int(token or 0)
    end = start + size
    return rows[start:end], str(end) if end < len(rows) else ""


async def _as_mlflow(seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Answer a search as MLflow does: pages of the requested size, and the token of the next."""
    url = urlsplit(seen.line.split()[1])
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    asked = query or json.loads(seen.body or b"{}")
    search, size = url.path.removeprefix("/api/2.0/mlflow/"), int(asked.get("max_results", 1))
    token = asked.get("page_token", "")
    found: dict[str, Any] = {}
    match search:
        case "registered-models/search":
            found["registered_models"], following = _page([MODEL], size, token)
        case "model-versions/search":
            found["model_versions"], following = _page(ROWS, size, token)
        case "experiments/search":
            found["experiments"], following = _page([{"experiment_id": "1"}], size, token)
        case _:
            wanted = [row for row in ROWS if f"'{row['run_id']}'" in asked["filter"]]
            runs = [
                {
                    "info": {"run_id": row["run_id"], "start_time": 1, "status": "FINISHED"},
                    "data": {"tags": TAGS, "params": PARAMS},
                }
                for row in wanted
            ]
            found["runs"], following = _page(runs, size, token)
    await answer(200, json.dumps(found | {"next_page_token": following}))(seen, writer)


async def test_what_is_not_kept_of_a_run_uses_no_budget() -> None:
    texts = VERSIONS * len(json.dumps([TAGS, TAGS, PARAMS]))
    share = CacheBudget(texts * 9 // 10).share("prod")
    async with bad_server(_as_mlflow) as server:
        registry = MLflowRegistry(MLflowServer(server.url), share=share)
        view = await registry.view(max_age=timedelta(0), full=True)
        await registry.close()

    assert len(view.versions["m"]) == len(view.runs) == VERSIONS


async def test_a_thousand_versions_with_5_kb_of_tags_are_read() -> None:
    async with bad_server(_as_mlflow) as server:
        registry = MLflowRegistry(MLflowServer(server.url))
        view = await registry.view(max_age=timedelta(0), full=True)
        await registry.close()

    kept = {tag["key"]: tag["value"] for tag in TAGS}
    versions = view.versions["m"].values()
    assert len(kept["feast.feature_refs"]) == TAG_BYTES
    assert len(versions) == VERSIONS
    assert all(version.tags == kept for version in versions)
    assert all(run is not None and run.tags == kept for run in map(view.run_of, versions))
    sizes = [seen.line for seen in server.seen if "model-versions/search" in seen.line]
    assert len(sizes) == 1, "a page of legitimate size was asked for again in halves"
