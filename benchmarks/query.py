"""Which models use a feature: Feast's UI server and our HTTP API on the same MLflow server.

Both are real processes: ``feast ui``, which asks MLflow for each request, and ``feature-lineage
local --api-port``, which has read it. The champion of each model is its first version of four, as
after a rollback. Latencies are those of one client, one request after another.
"""

import math
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import yaml
from examples.mlflow_server import start_mlflow
from tests.cluster.servers import free_port

from benchmarks.measure import Row, Size
from benchmarks.project_fixture import PER_MODEL, PROJECT
from benchmarks.seed import seed

FASTER = 100
"""How many times faster the answer about features shall be than Feast's."""
P99_GOAL = 0.010
MEMORY_GOAL = 256.0
FEAST = "/api/mlflow-feature-models"
OURS = "/feast/default/bench/api/mlflow-feature-models"
API = "/api/v1alpha1/namespaces/default/projects/bench"
READY_SECONDS = 300


def query(size: Size) -> Iterator[Row]:
    """Completeness and latency with 1,000 versions, then ours with 10,000."""
    versions = 48 if size.quick else 1_000
    with (
        tempfile.TemporaryDirectory(prefix="bench-query-") as tmp,
        _scene(Path(tmp), versions) as (folder, url),
    ):
        name = f"{versions:,} versions"
        with _feast_ui(folder, url) as feast, _ours(folder, url, versions // PER_MODEL) as ours:
            of = f"{name}: champions told, of {versions // PER_MODEL}"
            for whom, served, path in (("Feast's UI server", feast, FEAST), ("ours", ours, OURS)):
                yield Row(f"{of}, by {whom}", [float(_champions(served, path))], unit="models")
            theirs = _latencies(feast, FEAST, 2 if size.quick else max(3, size.pairs))[1:]
            mine = _latencies(ours, OURS, 20 if size.quick else 1_000)[1:]
            yield Row(
                f"{name}: feature-models, p50",
                [median(mine)],
                [median(theirs)],
                "Feast's UI server",
                goal=1 / FASTER,
            )
            yield Row(f"{name}: feature-models, p99", [_p99(mine)], [max(theirs)], "its maximum")
    if not size.quick:
        yield from _large()


def _large() -> Iterator[Row]:
    """Ours with 2,500 models of four versions."""
    versions = 10_000
    with (
        tempfile.TemporaryDirectory(prefix="bench-query-") as tmp,
        _scene(Path(tmp), versions) as (folder, url),
        _ours(folder, url, versions // PER_MODEL) as ours,
    ):
        for what, path in (
            ("feature-models", OURS),
            ("impact of a view", f"{API}/impact?name=view_000"),
            ("search", f"{API}/search?text=model_0001"),
            ("graph of an alias", f"{API}/graph?name=models:/model_00100@champion"),
        ):
            times = _latencies(ours, path, 200)
            name = f"{versions:,} versions: {what}"
            yield Row(f"{name}, first, with the index", times[:1])
            yield Row(f"{name}, p50", [median(times[1:])])
            yield Row(f"{name}, p99", [_p99(times[1:])], limit=P99_GOAL)
        memory = _resident(ours)
        yield Row(f"{versions:,} versions: memory", [memory], unit="MiB", limit=MEMORY_GOAL)


@contextmanager
def _scene(folder: Path, versions: int) -> Iterator[tuple[Path, str]]:
    """A folder of manifests beside a repo, and an MLflow server with the versions."""
    with start_mlflow(folder / "mlflow") as server:
        seed(server.url, folder / "mlflow" / "mlflow.db", versions)
        with sqlite3.connect(folder / "mlflow" / "mlflow.db", timeout=30) as connection:
            connection.execute("UPDATE registered_model_aliases SET version = 1")
        settings = {
            "project": PROJECT,
            "registry": "registry.db",
            "provider": "local",
            "online_store": {"type": "sqlite", "path": "online.db"},
            "entity_key_serialization_version": 3,
            "mlflow": {"enabled": True, "tracking_uri": server.url},
        }
        (folder / "repo").mkdir()
        (folder / "repo" / "feature_store.yaml").write_text(yaml.safe_dump(settings))
        (folder / "manifests").mkdir()
        manifest = {
            "apiVersion": "featurelineage.io/v1alpha1",
            "kind": "FeatureStoreProject",
            "metadata": {"name": "bench"},
            "spec": {
                "project": PROJECT,
                "source": {"local": {"path": "../repo"}},
                "apply": {"mode": "Observe"},
                "mlflow": {"trackingUri": server.url},
            },
        }
        (folder / "manifests" / "project.yaml").write_text(yaml.safe_dump(manifest))
        yield folder, server.url


class _Served:
    """A server and a client of it."""

    def __init__(self, client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
        self.client = client
        self.process = process


@contextmanager
def _feast_ui(folder: Path, url: str) -> Iterator[_Served]:
    del url
    port = free_port()
    command = [str(Path(sys.executable).with_name("feast")), "-c", str(folder / "repo")]
    subprocess.run([*command, "apply"], check=True, capture_output=True)
    with _process([*command, "ui", "--host", "127.0.0.1", "--port", str(port)], port) as served:
        _until(served, FEAST, lambda _: True)
        yield served


@contextmanager
def _ours(folder: Path, url: str, champions: int) -> Iterator[_Served]:
    del url
    port = free_port()
    program = str(Path(sys.executable).with_name("feature-lineage"))
    command = [program, "local", str(folder / "manifests"), "--api-port", str(port)]
    with _process(command, port) as served:
        _until(served, OURS, lambda body: len(_models(body)) == champions)
        yield served


@contextmanager
def _process(command: list[str], port: int) -> Iterator[_Served]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base, timeout=120, trust_env=False) as client:
            yield _Served(client, process)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _until(served: _Served, path: str, holds: Any) -> None:
    """Wait until the server has an answer of which this is true."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and served.process.poll() is None:
        try:
            answer = served.client.get(path)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code == 200 and holds(answer.json()):
            return
        time.sleep(0.2)
    raise RuntimeError(f"no answer to {path} in {READY_SECONDS} s, or the server has ended")


def _models(body: Any) -> set[str]:
    return {each["model_name"] for models in body["feature_models"].values() for each in models}


def _champions(served: _Served, path: str) -> int:
    """How many models are in the answer with their champion, which is version 1."""
    found = served.client.get(path).json()["feature_models"]
    return len(
        {
            each["model_name"]
            for models in found.values()
            for each in models
            if each["version"] == "1"
        }
    )


def _latencies(served: _Served, path: str, requests: int) -> list[float]:
    """Seconds of each request; the answer is read, and neither unpacked nor parsed."""
    taken = []
    for _ in range(requests + 1):
        started = time.perf_counter()
        with served.client.stream("GET", path) as answer:
            answer.raise_for_status()
            for _ in answer.iter_raw():
                pass
        taken.append(time.perf_counter() - started)
    return taken


def _p99(times: list[float]) -> float:
    return sorted(times)[math.ceil(len(times) * 0.99) - 1]


def _resident(served: _Served) -> float:
    """Resident memory of the process in MiB."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    if found is None:
        raise RuntimeError("the process has ended")
    return int(found[1]) / 1024
