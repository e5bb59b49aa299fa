"""A registry in memory that pages and drops deleted rows as MLflow does, and a fixed clock."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from feature_lineage.errors import FeatureLineageError, NotFound
from feature_lineage.models.facts import LoggedModel, ModelVersion
from feature_lineage.tracking import parsing
from feature_lineage.tracking.circuit_breaker import CircuitBreaker
from feature_lineage.tracking.mlflow_server import MLflowServer

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **more: float) -> None:
        self.time += timedelta(**more)


@dataclass
class FakeVersion:
    name: str
    version: str
    updated_ms: int
    created_ms: int = 0
    run_id: str = ""
    source: str = ""
    tags: dict[str, str] = field(default_factory=dict)


class FakeClient:
    """Answers as `MLflowClient` does, from rows that a test may change between two calls."""

    def __init__(self, clock: Clock) -> None:
        self.models: dict[str, dict[str, str]] = {}
        self.born: dict[str, int] = {}
        self.rows: list[FakeVersion] = []
        self.run_status: dict[str, str] = {}
        self.run_started_ms: dict[str, int] = {}
        self.run_tags: dict[str, dict[str, str]] = {}
        self.run_metrics: dict[str, list[int]] = {}
        self.run_models: dict[str, list[tuple[str, int]]] = {}
        self.logged: dict[str, LoggedModel] | FeatureLineageError = {}
        self.model_files: dict[str, bytes | FeatureLineageError] = {}
        self.artifacts: dict[str, bytes | FeatureLineageError] = {}
        self.calls: list[str] = []
        self.before_call: Callable[[str], None] = lambda call: None
        self.gate: asyncio.Event | None = None
        self.server = MLflowServer("http://mlflow.ml:5000")
        self.circuit = CircuitBreaker(clock)

    def add(self, name: str, version: str, updated_ms: int, **more: Any) -> FakeVersion:
        self.models.setdefault(name, {})
        row = FakeVersion(name, version, updated_ms, **more)
        self.rows.append(row)
        return row

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        self.before_call(name)
        if self.gate is not None:
            await self.gate.wait()

    async def search_models(
        self, *, page_size: int, token: str = ""
    ) -> tuple[list[parsing.RegisteredModel], str]:
        await self._call("models")
        names = sorted(self.models)
        start = int(token or 0)
        page = [
            parsing.RegisteredModel(
                name,
                self.born.get(name, 0),
                dict(self.models[name]),
                any(row.name == name for row in self.rows),
            )
            for name in names[start : start + page_size]
        ]
        following = str(start + page_size) if start + page_size < len(names) else ""
        return page, following

    async def search_versions(
        self,
        *,
        order_by: Sequence[str],
        filter_string: str = "",
        page_size: int,
        token: str = "",
    ) -> tuple[list[parsing.VersionRow], str]:
        news = order_by[0].startswith("last_updated")
        await self._call("news" if news else f"versions {filter_string}".strip())
        rows = [r for r in self.rows if not filter_string or filter_string == f"name = '{r.name}'"]
        rows.sort(key=lambda r: (-r.updated_ms, r.name) if news else (0, r.name, int(r.version)))
        start = int(token or 0)
        following = str(start + page_size) if start + page_size < len(rows) else ""
        return [self._row(row) for row in rows[start : start + page_size]], following

    def _row(self, row: FakeVersion) -> parsing.VersionRow:
        version = ModelVersion(
            row.name,
            row.version,
            parsing.moment(row.created_ms),
            row.source,
            row.run_id,
            parsing.logged_model_of(row.source),
            dict(row.tags),
        )
        return parsing.VersionRow(version, row.updated_ms)

    async def logged_model_run(self, model_id: str) -> str:
        await self._call(f"logged {model_id}")
        raise NotFound(model_id)

    async def experiment_ids(self) -> list[str]:
        await self._call("experiments")
        return ["1"]

    async def search_runs(
        self, experiments: Sequence[str], wanted: str, *, page_size: int, token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        await self._call("runs")
        return [
            {
                "info": {
                    "run_id": run_id,
                    "start_time": self.run_started_ms.get(run_id, parsing.milliseconds(START)),
                    "status": status,
                },
                "data": {
                    "tags": [
                        {"key": k, "value": v} for k, v in self.run_tags.get(run_id, {}).items()
                    ],
                    "metrics": [
                        {"key": parsing.RETRIEVAL_METRIC, "timestamp": at}
                        for at in self.run_metrics.get(run_id, ())[-1:]
                    ],
                },
                "outputs": {
                    "model_outputs": [
                        {"model_id": model_id, "step": step}
                        for model_id, step in self.run_models.get(run_id, ())
                    ]
                },
            }
            for run_id, status in self.run_status.items()
            if f"'{run_id}'" in wanted
        ], ""

    async def search_logged_models(
        self, experiments: Sequence[str], wanted: str, *, page_size: int, token: str = ""
    ) -> tuple[list[tuple[str, LoggedModel]], str]:
        await self._call("logged models")
        if isinstance(self.logged, FeatureLineageError):
            raise self.logged
        return [(i, model) for i, model in self.logged.items() if f"'{i}'" in wanted], ""

    async def count_metric(self, run_id: str, key: str, most: int) -> int:
        await self._call(f"count {run_id}")
        return min(most, len(self.run_metrics[run_id]))

    async def download_of_model(self, model_id: str, path: str, *, max_bytes: int) -> bytes:
        await self._call(f"signature {model_id}")
        found = self.model_files.get(model_id, NotFound(model_id))
        if isinstance(found, FeatureLineageError):
            raise found
        return found

    async def download(self, run_id: str, path: str, *, max_bytes: int) -> bytes:
        await self._call(f"artifact {run_id}")
        found = self.artifacts.get(run_id, NotFound(run_id))
        if isinstance(found, FeatureLineageError):
            raise found
        return found

    def parsing_answer(self, path: str) -> Any:
        return nullcontext()
