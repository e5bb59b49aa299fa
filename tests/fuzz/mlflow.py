"""Answers of an MLflow server, as they come over HTTP, and what is read from them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, is_dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final, get_type_hints

import httpx
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter
from tests.fuzz.harness import Target
from tests.fuzz.mutations import json_texts, mangled, packed
from tests.strategies import real_snapshot
from tests.unit.decide.build import NOW

from feature_lineage.errors import FeatureLineageError
from feature_lineage.models.facts import ModelVersion, TrainingRun
from feature_lineage.models.links import resolve_link
from feature_lineage.operations.records import OpsRun
from feature_lineage.tracking import MLflowServer
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.ops import OpsRuns
from feature_lineage.tracking.registry_cache import RegistryCache
from feature_lineage.tracking.timeline_reader import TimelineReader

RUNNER: Final = asyncio.Runner()
SNAPSHOT: Final = real_snapshot()
RUN_ID: Final = "0" * 32
TAGS: Final = [
    {"key": "feast.project", "value": "driver_ranking"},
    {"key": "feast.feature_refs", "value": "stats:conv_rate,stats:trips"},
    {"key": "feast.feature_count", "value": "3"},
    {"key": "feast.feature_service", "value": "activity"},
    {"key": "featurelineage.io/registry-digest", "value": SNAPSHOT.digest},
    {"key": "featurelineage.io/resource", "value": "ml/ranking"},
]
VERSION: Final = {
    "name": "m",
    "version": "1",
    "creation_timestamp": 1700000000000,
    "last_updated_timestamp": 1700000000001,
    "source": "models:/m-1",
    "run_id": RUN_ID,
    "tags": TAGS,
}
RUN: Final = {
    "info": {
        "run_id": RUN_ID,
        "start_time": 1700000000000,
        "end_time": 1700000001000,
        "status": "FINISHED",
        "lifecycle_stage": "active",
        "artifact_uri": "mlflow-artifacts:/1/x",
    },
    "data": {"tags": TAGS, "params": [{"key": "a", "value": "b"}]},
}
ANSWERS: Final[dict[str, Any]] = {
    "registered-models/search": {
        "registered_models": [
            {
                "name": "m",
                "creation_timestamp": 1700000000000,
                "aliases": [{"alias": "champion", "version": "1"}],
                "latest_versions": [VERSION],
            }
        ]
    },
    "model-versions/search": {
        "model_versions": [VERSION, {**VERSION, "version": "2", "run_id": "", "source": "runs:/x"}],
        "next_page_token": "",
    },
    "model-versions/get": {"model_version": VERSION},
    "logged-models/m-1": {"model": {"info": {"model_id": "m-1", "source_run_id": RUN_ID}}},
    "experiments/search": {"experiments": [{"experiment_id": "1"}]},
    "experiments/get-by-name": {"experiment": {"experiment_id": "1", "lifecycle_stage": "active"}},
    "experiments/create": {"experiment_id": "1"},
    "runs/search": {"runs": [RUN, {**RUN, "data": {}}]},
    "runs/create": {"run": RUN},
    "get-artifact": ["stats:conv_rate", "stats:trips", "stats:x"],
}
ERROR: Final = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}
MOST_ANSWERS: Final = 200
"""Answers before the server has nothing more: a list without end is cut at 200,000 pages."""


@dataclass(frozen=True)
class Answered:
    """What a server answers.

    Attributes:
        path: the only requests with a hostile answer.
        chunk: bytes that arrive at a time.
    """

    path: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    chunk: int


@st.composite
def answered(draw: st.DrawFn) -> Answered:
    path = draw(st.sampled_from(list(ANSWERS)))
    status = draw(st.sampled_from((200,) * 8 + (204, 302, 400, 401, 403, 404, 429, 500, 503)))
    document = ANSWERS[path] if status == 200 else ERROR
    body = draw(json_texts([document]))
    headers = [("content-type", "application/json")]
    if draw(st.integers(0, 3)) == 0:
        body = draw(packed(st.just(body)))
        headers.append(("content-encoding", "gzip"))
    odd = ("retry-after", "location", "content-encoding", "content-type")
    if draw(st.integers(0, 5)) == 0:
        value = draw(mangled(st.sampled_from((b"1", b"gzip", b"http://a/b?c", b""))))[:1000]
        text = "".join(c for c in value.decode("latin-1") if c not in "\r\n\0")
        headers.append((draw(st.sampled_from(odd)), text))
    chunk = draw(st.sampled_from((2**24, 2**16, max(1, len(body) // 3))))
    return Answered(path, status, tuple(headers), body, chunk)


def _client(given: Answered) -> MLflowClient:
    count = 0

    async def body(content: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(content), given.chunk):
            yield content[start : start + given.chunk]

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        path = request.url.path.removeprefix("/api/2.0/mlflow/").strip("/")
        if path == given.path and count < MOST_ANSWERS:
            headers = [(name.encode(), text.encode("latin-1")) for name, text in given.headers]
            return httpx.Response(given.status, headers=headers, content=body(given.body))
        return httpx.Response(200, content=body(json.dumps(ANSWERS.get(path, {})).encode()))

    client = MLflowClient(MLflowServer("http://mlflow.example:5000"))
    http = client.http
    http._pause = _no_pause
    http._client = httpx.AsyncClient(
        base_url=client.server.tracking_uri, transport=httpx.MockTransport(answer)
    )
    return client


async def _no_pause(seconds: float) -> None:
    assert seconds >= 0


async def _registry(client: MLflowClient) -> None:
    models = RegistryCache(client, now=lambda: NOW, on_change=lambda _: None)
    for full in (True, False):
        view = await models.view(max_age=timedelta(0), full=full)
        for version in (each for named in view.versions.values() for each in named.values()):
            _typed(version)
            run = view.run_of(version)
            if run is not None:
                _typed(run)
            resolve_link(version, run, SNAPSHOT)


@cache
def _types(kind: type[Any]) -> dict[str, TypeAdapter[Any]]:
    strict = ConfigDict(strict=True)
    return {
        name: TypeAdapter(hint, config=None if is_dataclass(hint) else strict)
        for name, hint in get_type_hints(kind).items()
    }


def _typed(fact: Any) -> None:
    """Assert that the fields of a fact have the types that they declare."""
    for name, types in _types(type(fact)).items():
        types.validate_python(getattr(fact, name))
    if isinstance(fact, ModelVersion | TrainingRun):
        moment = fact.created_at if isinstance(fact, ModelVersion) else fact.started_at
        assert moment.tzinfo is not None


async def _timeline(client: MLflowClient) -> None:
    reader = TimelineReader(client)
    for record in await reader.history("ops", namespace="ml"):
        json.dumps(record.digest + record.revision, ensure_ascii=False).encode()
    await reader.snapshot("ops", SNAPSHOT.digest)


async def _recording(client: MLflowClient) -> None:
    run = OpsRun(
        operation_id="apply-1",
        experiment="ops",
        name="apply",
        started_at=NOW,
        ended_at=NOW,
        status="FINISHED",
        tags={"a": "b"},
        params={"c": "d"},
        metrics={"e": 1.0},
        artifacts={"f": "g"},
    )
    assert isinstance(await OpsRuns(client).record(run), str)


async def _version(client: MLflowClient) -> None:
    _typed((await client.get_version("m", "1")).version)
    await client.set_version_tag("m", "1", "a", "b")


USES: Final[tuple[Callable[[MLflowClient], Coroutine[Any, Any, None]], ...]] = (
    _registry,
    _timeline,
    _recording,
    _version,
)


def read(given: Answered) -> None:
    RUNNER.run(_read(given))


async def _read(given: Answered) -> None:
    for use in USES:
        client = _client(given)
        try:
            await use(client)
        except FeatureLineageError as error:
            assert len(error.message) < 4096, f"a message of {len(error.message)} characters"
        finally:
            await client.close()


TARGET: Final = Target("mlflow", answered(), read, (), examples=60)
