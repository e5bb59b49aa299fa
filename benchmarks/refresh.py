"""A full read of an MLflow server with 1,000 model versions, compared with bare HTTP calls.

A real server on SQLite. The floor sends the same requests as a read, one after another over one
kept-alive connection of plain httpx, and drops the answers: no JSON, no retries, no facts. The
difference is the cost of our client.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
from examples.mlflow_server import start_mlflow

from benchmarks.measure import Row, Size, timed_in_turn
from benchmarks.seed import seed
from feature_lineage.tracking import MLflowRegistry, MLflowServer

GOAL = 1.3
NOW_OR_NEVER = timedelta(0)


@dataclass(frozen=True)
class RefreshRequest:
    """One request of a read."""

    method: str
    url: str
    body: bytes


def refresh(size: Size) -> Iterator[Row]:
    """The first full read of a process, and a later one, which knows the finished runs."""
    versions = 48 if size.quick else 1_000
    with (
        tempfile.TemporaryDirectory(prefix="bench-mlflow-") as tmp,
        start_mlflow(tmp) as server,
        asyncio.Runner() as runner,
    ):
        seed(server.url, Path(tmp, "mlflow.db"), versions)
        later = MLflowRegistry(MLflowServer(server.url))
        first = runner.run(recorded(later))
        if len(first) < 2 or (view := later.last_view) is None:
            raise RuntimeError("nothing was read")
        if (len(view.versions), len(view.runs)) != (versions // 4, versions):
            raise RuntimeError(f"read {len(view.versions)} models and {len(view.runs)} runs")
        again = runner.run(recorded(later))

        def reading(of: MLflowRegistry | None) -> None:
            runner.run(_read(of or MLflowRegistry(MLflowServer(server.url)), keep=of is not None))

        name = f"MLflow, {versions:,} versions, "
        floor, ours = timed_in_turn(size, lambda: replay_afresh(first), lambda: reading(None))
        against = f"the same {len(first)} requests, bare"
        yield Row(f"{name}first full reading", ours, floor, against, goal=GOAL)
        with _client() as client:
            floor, ours = timed_in_turn(
                size, lambda: _replay(again, client), lambda: reading(later)
            )
        against = f"the same {len(again)} requests, bare"
        yield Row(f"{name}full reading again", ours, floor, against, goal=GOAL)
        runner.run(later.close())


async def _read(registry: MLflowRegistry, *, keep: bool) -> None:
    await registry.view(max_age=NOW_OR_NEVER, full=True)
    if not keep:
        await registry.close()


async def recorded(registry: MLflowRegistry) -> list[RefreshRequest]:
    """Read once, and record the requests."""
    asked: list[RefreshRequest] = []

    async def note(request: httpx.Request) -> None:
        asked.append(RefreshRequest(request.method, str(request.url), request.content))

    hooks = registry._client.http._client.event_hooks["request"]
    hooks.append(note)
    try:
        await _read(registry, keep=True)
    finally:
        hooks.remove(note)
    return asked


def _replay(requests: list[RefreshRequest], client: httpx.Client) -> None:
    for request in requests:
        headers = {"Content-Type": "application/json"} if request.body else {}
        answer = client.request(request.method, request.url, content=request.body, headers=headers)
        answer.raise_for_status()


def replay_afresh(requests: list[RefreshRequest]) -> None:
    """Send the requests over a separate connection."""
    with _client() as client:
        _replay(requests, client)


def _client() -> httpx.Client:
    # Without verify=False, httpx would load the public certificates for a server without TLS.
    return httpx.Client(timeout=60, verify=False)
