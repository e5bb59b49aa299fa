"""The HTTP API of the local host: the answers of the commands, over the loopback address."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import MLflow, model_manifest, project_manifest, write_repo, write_yaml
from tests.local.state_reader import command

from feature_lineage.lineage.endpoints import ENDPOINTS, FEAST_ENDPOINTS
from feature_lineage.local.api_server import serve_api
from feature_lineage.local.host import LocalHost

CONV, TRIPS = "driver_hourly_stats:conv_rate", "driver_hourly_stats:trips"
DRIVER = "/api/v1alpha1/namespaces/default/projects/driver"


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[LocalHost, httpx.AsyncClient]]:
    """A host of the folder, and a client of its API."""
    async with LocalHost(folder, folder / ".feature-lineage", EventRecorder()) as host:
        server = serve_api(host, 0)
        try:
            base = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=base, timeout=60) as client:
                yield host, client
        finally:
            await asyncio.to_thread(server.stop)


def asked(*arguments: str) -> Any:
    (answer,) = json.loads(command(*arguments, "-o", "json").stdout)
    return answer


@pytest.mark.slow
async def test_the_api_answers_what_the_commands_answer(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("api")
    model = f"{project}_model"
    write_repo(tmp_path / "repo", project)
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url), model_manifest(model))
    folder = str(tmp_path)
    await run_once(tmp_path)
    mlflow.train(model, project, [TRIPS, CONV], alias="champion")
    async with served(tmp_path) as (host, client):
        early = await client.get(f"{DRIVER}/versions")
        assert early.status_code == 404, "no manifest was read"
        assert await host.run_once()

        listed = (await client.get("/api/v1alpha1/projects")).json()
        assert [item["url"] for item in listed["items"]] == [DRIVER]
        for path, query, arguments in (
            ("impact", {"name": TRIPS}, ("impact", folder, TRIPS)),
            ("graph", {"name": "source/driver_stats"}, ("graph", folder, "source/driver_stats")),
            ("versions", {}, ("versions", folder)),
            ("search", {"text": "trips"}, ("search", folder, "trips")),
        ):
            answer = await client.get(f"{DRIVER}/{path}", params=query)
            assert answer.status_code == 200, answer.text
            found, expected = answer.json(), asked(*arguments)
            assert found.pop("asOf").keys() == expected.pop("asOf").keys()
            assert found == expected
        features = await client.get(
            f"{DRIVER}/features", params={"name": f"models:/{model}@champion"}
        )
        assert features.json()["items"][0]["refs"] == [TRIPS, CONV]
        unused = await client.get(f"{DRIVER}/unused", params={"days": "1"})
        assert [item["name"] for item in unused.json()["items"]] == ["driver_hourly_stats:acc_rate"]

        # Unchanged: 304 without a body, and compressed for who asks.
        first = await client.get(f"{DRIVER}/graph", headers={"Accept-Encoding": "identity"})
        again = await client.get(
            f"{DRIVER}/graph", headers={"If-None-Match": first.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
        plain = await client.get("/openapi.json", headers={"Accept-Encoding": "identity"})
        async with client.stream("GET", "/openapi.json") as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            raw = b"".join([piece async for piece in packed.aiter_raw()])
        assert gzip.decompress(raw) == plain.content

        # A change is seen at the next reconcile: no prepared answer outlives it.
        manifest = project_manifest(project, mlflow.url)
        write_yaml(tmp_path / "m.yaml", manifest, model_manifest(model, name="other"))
        await host.run_once()
        changed = await client.get(f"{DRIVER}/versions")
        assert changed.json()["items"][0]["declaredBy"] == ["default/other"]


@pytest.mark.slow
async def test_a_wrong_request_has_a_problem_that_says_what_to_do(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("api_wrong")
    write_repo(tmp_path / "repo", project)
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url))
    async with served(tmp_path) as (host, client):
        host.load()
        early = await client.get(f"{DRIVER}/versions")
        assert (early.status_code, early.headers["Retry-After"]) == (503, "5")
        assert "MLflow was not read yet" in early.json()["detail"]
        await host.run_once()
        for path, status, part in (
            (f"{DRIVER}/impact?name=driver_hourly_stat", 404, "did you mean driver_hourly_stats?"),
            (f"{DRIVER}/impact", 400, "name: Field required; parameters are asOf, name"),
            (f"{DRIVER}/impact?name=x&nome=y", 400, "nome: Extra inputs are not permitted"),
            (f"{DRIVER}/impact?name=x&name=y", 400, "name: give the parameter once"),
            (f"{DRIVER}/graph?limit=1", 400, "fewer steps"),
            (f"{DRIVER}/graph?asOf=yesterday", 400, "asOf"),
            (f"{DRIVER}/graph?asOf=2020-01-01T00:00:00Z", 404, "MLflow has no record"),
            (f"{DRIVER}/graph?asOf=2999-01-01T00:00:00Z", 404, "is in the future"),
            (f"{DRIVER}/nothing", 404, "Not Found"),
            (DRIVER.replace("driver", "other") + "/graph", 404, "default/other"),
            ("/", 404, "Not Found"),
        ):
            answer = await client.get(path)
            assert answer.status_code == status, (path, answer.text)
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "aiohttp" not in answer.headers["Server"]
            assert part in answer.json()["detail"], path
        posted = await client.post(f"{DRIVER}/graph")
        assert (posted.status_code, posted.headers["Allow"]) == (405, "GET,HEAD")

        # A page of another site that lets its own name point here reads nothing.
        rebound = await client.get("/openapi.json", headers={"Host": "evil.example:80"})
        assert rebound.status_code == 421
        for name in ("localhost:1", "127.0.0.1", "[::1]:8080"):
            assert (await client.get("/openapi.json", headers={"Host": name})).status_code == 200


def test_the_port_of_the_api_is_one_of_the_loopback_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        done = command("local", str(tmp_path), "--once", "--api-port", str(port))
    assert done.returncode == 2
    assert f"127.0.0.1 port {port}: the port is in use" in done.stderr


@pytest.mark.slow
async def test_the_api_is_what_its_document_says(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    """Made-up requests, right and wrong: each answer has a status and a form of the document."""
    project = unique("document")
    write_repo(tmp_path / "repo", project)
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url))
    async with served(tmp_path) as (host, client):
        await host.run_once()
        document = (await client.get("/openapi.json")).json()
        validate(document)
        assert len(document["paths"]) == len(ENDPOINTS) + len(FEAST_ENDPOINTS) + 1
        schema = schemathesis.openapi.from_dict(document)
        for found in schema.get_all_operations():
            await asyncio.to_thread(_fuzz, found.ok(), str(client.base_url))


def _fuzz(operation: Any, url: str) -> None:
    fixed = {"namespace": "default", "name": "driver"}

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), known=st.booleans())
    def answers(case: Any, known: bool) -> None:
        if known and case.path_parameters:
            case.path_parameters.update(fixed)
        case.call_and_validate(base_url=url)

    answers()
