"""A real MLflow server, and plain REST calls that create objects on the server."""

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.servers.fixtures import mlflow_server
from tests.servers.mlflow import Server

from feature_lineage.tracking import MLflowRegistry, MLflowServer
from feature_lineage.tracking.client import MLflowClient

__all__ = ["mlflow_server"]


class Rest:
    """MLflow's REST API without our client, so that a fault of our client does not hide itself."""

    def __init__(self, url: str, **headers: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=60, headers=headers)

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        path = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        json, params = (None, body) if method == "GET" else (body, None)
        answer = self._client.request(method, path, json=json, params=params)
        assert answer.is_success, answer.text
        return dict(answer.json() or {})

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return self.call("POST", path, **body)

    def experiment(self, name: str | None = None) -> str:
        return str(self.post("experiments/create", name=name or unique("exp"))["experiment_id"])

    def run(
        self,
        experiment: str,
        *,
        status: str = "FINISHED",
        artifacts: dict[str, bytes] | None = None,
        **tags: str,
    ) -> str:
        pairs = [{"key": f"feast.{k}", "value": v} for k, v in tags.items()]
        start = int(time.time() * 1000)
        body = {"experiment_id": experiment, "start_time": start, "tags": pairs}
        info = self.post("runs/create", **body)["run"]["info"]
        root = info["artifact_uri"].partition(":/")[2].lstrip("/")
        for path, content in (artifacts or {}).items():
            target = f"/api/2.0/mlflow-artifacts/artifacts/{root}/{path}"
            assert self._client.put(target, content=content).status_code == 200
        if status != "RUNNING":
            self.post("runs/update", run_id=info["run_id"], status=status, end_time=start + 1)
        return str(info["run_id"])

    def logged_model(self, experiment: str, run_id: str | None) -> str:
        body = {"experiment_id": experiment} | ({"source_run_id": run_id} if run_id else {})
        return str(self.post("logged-models", **body)["model"]["info"]["model_id"])

    def model(self, name: str | None = None, **more: Any) -> str:
        name = name or unique("model")
        self.post("registered-models/create", name=name, **more)
        return name

    def version(self, name: str, source: str = "s3://bucket/model", **more: Any) -> str:
        body = {"name": name, "source": source, **more}
        return str(self.post("model-versions/create", **body)["model_version"]["version"])

    def alias(self, name: str, alias: str, version: str) -> None:
        self.post("registered-models/alias", name=name, alias=alias, version=version)

    def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        self.post("model-versions/set-tag", name=name, version=version, key=key, value=value)

    def tags(self, name: str, version: str) -> dict[str, str]:
        found = self.call("GET", "model-versions/get", name=name, version=version)
        return {tag["key"]: tag["value"] for tag in found["model_version"].get("tags", ())}

    def get_artifact(self, run_id: str, path: str) -> int:
        """Return the status of a read of an artifact through the server."""
        query = {"run_id": run_id, "path": path}
        return self._client.get("/get-artifact", params=query).status_code

    def runs(self, experiment: str, view: str = "ALL") -> list[dict[str, Any]]:
        body = {"experiment_ids": [experiment], "run_view_type": view, "max_results": 1000}
        return list(self.post("runs/search", **body).get("runs", ()))


def unique(stem: str) -> str:
    return f"{stem}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def rest(mlflow_server: Server) -> Iterator[Rest]:
    rest = Rest(mlflow_server.url)
    yield rest
    rest.close()


@pytest_asyncio.fixture
async def registry(mlflow_server: Server) -> AsyncIterator[MLflowRegistry]:
    registry = MLflowRegistry(MLflowServer(mlflow_server.url))
    yield registry
    await registry.close()


@pytest_asyncio.fixture
async def client(mlflow_server: Server) -> AsyncIterator[MLflowClient]:
    client = MLflowClient(MLflowServer(mlflow_server.url))
    yield client
    await client.close()
