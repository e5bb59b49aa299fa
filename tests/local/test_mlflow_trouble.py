"""MLflow refuses, answers wrongly, hangs or is down: no unguarded apply, and no lost record."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import read_state, registry_of
from tests.servers.mlflow import free_port
from tests.servers.tcp import Script, Seen, answer, bad_server, silence

from feature_lineage.local.host import LocalHost
from feature_lineage.ports import Ports

LONGEST = 45.0
"""Seconds for a read of all servers; one deadline is 18 s, and only one of them hangs."""

PASSWORD = "hunter2-is-not-shown"
HOST_CHECK = "Invalid Host header - possible DNS rebinding attack detected"


async def half_a_body(seen: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"registered_models": [')
    await writer.drain()


TROUBLES: dict[str, tuple[Script | None, str, str]] = {
    # name: script, fact, next step
    "refused": (None, "no connection", "check that the server runs"),
    "html": (
        answer(200, "<html>Please log in</html>", kind="text/html"),
        "not JSON",
        "check that trackingUri leads to MLflow itself",
    ),
    "unauthorized": (
        answer(401, "You are not authenticated"),
        "refuses the credential (401)",
        "check the secret named under spec.mlflow.auth",
    ),
    "hostcheck": (answer(403, HOST_CHECK), "(403)", "--allowed-hosts"),
    "failing": (answer(500, "oops"), "with 500", "see the server's log"),
    "half": (
        half_a_body,
        "the connection broke",
        "check that the server runs",
    ),
    "silent": (silence, "was not answered within", "check that the server"),
}


@pytest.mark.slow
async def test_without_facts_nothing_is_applied(
    tmp_path: Path,
) -> None:
    """Seven servers with different faults, read in one run."""
    write_repo(tmp_path / "repo", "unseen")
    documents: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "mlflow"},
            "type": "kubernetes.io/basic-auth",
            "stringData": {"username": "operator", "password": PASSWORD},
        }
    ]
    async with all_servers() as urls:
        for name, url in urls.items():
            mlflow: dict[str, Any] = {"trackingUri": url, "pollInterval": "1s"}
            if name == "unauthorized":
                mlflow["auth"] = {"basic": {"secretRef": {"name": "mlflow"}}}
            project = project_manifest(f"unseen_{name}", name=name)
            project["spec"]["mlflow"] = mlflow
            documents += [
                project,
                model_manifest("m", name=name, projectRef={"name": name}),
            ]
        write_yaml(tmp_path / "manifests.yaml", *documents)
        started, recorder = time.monotonic(), EventRecorder()
        assert not await run_once(tmp_path, recorder)
        assert time.monotonic() - started < LONGEST

    assert recorder.failures == []
    assert not (tmp_path / ".feature-lineage" / "jobs").exists()
    assert not (tmp_path / "repo" / "data" / "registry.db").exists()
    for name, (_, fact, step) in TROUBLES.items():
        project, model = read_state(tmp_path, name), read_state(tmp_path, name, "ftm")
        assert project.state("Applied") == ("False", "GuardUnavailable"), name
        assert project.state("Ready") == ("False", "GuardUnavailable"), name
        assert project.state("FactsCurrent") == ("False", "MLflowViewOld"), name
        assert project.state("Stalled") == ("", ""), name
        for text in (urls[name], fact, step):
            assert text in project.message("Applied"), name
            assert text in model.message("Ready"), name
        assert model.state("Resolved") == ("Unknown", "MLflowUnavailable"), name
    written = [path for path in (tmp_path / ".feature-lineage").rglob("*") if path.is_file()]
    assert not any(PASSWORD.encode() in path.read_bytes() for path in written)


async def test_missing_objects_of_a_manifest_are_reported(tmp_path: Path) -> None:
    """A Secret that does not exist, and a platform's server, which a local host does not have."""
    write_repo(tmp_path / "repo", "unnamed")
    secretive, served = (project_manifest(f"un{name}", name=name) for name in ("keyed", "served"))
    auth = {"bearer": {"secretRef": {"name": "absent"}}}
    secretive["spec"]["mlflow"] = {"trackingUri": "http://127.0.0.1:9", "auth": auth}
    served["spec"]["mlflow"] = {"serverRef": "prod"}
    write_yaml(tmp_path / "manifests.yaml", secretive, served)

    assert not await run_once(tmp_path)

    missing = read_state(tmp_path, "keyed").message("Applied")
    assert "Secret default/absent does not exist; add its manifest to the folder" in missing
    served_says = read_state(tmp_path, "served").message("Applied")
    assert "(a local host has none)" in served_says
    assert "or use spec.mlflow.trackingUri" in served_says
    for name in ("keyed", "served"):
        assert read_state(tmp_path, name).state("Applied") == ("False", "GuardUnavailable")
    assert not (tmp_path / ".feature-lineage" / "jobs").exists()


@pytest.mark.slow
async def test_operations_are_recorded_after_an_outage(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    """MLflow stops while a job runs; the decided operation continues, and the next one waits."""
    project = unique("outage")
    repo = write_repo(tmp_path / "repo", project)
    async with tcp_forwarder(mlflow.url) as forwarder:
        write_yaml(
            tmp_path / "manifests.yaml",
            project_manifest(project, forwarder.url),
            model_manifest("whatever"),
        )

        def shut_at_start(ports: Ports) -> Ports:
            return replace(ports, jobs=ClosesForwarder(ports.jobs, forwarder))

        host = LocalHost(
            tmp_path, tmp_path / ".feature-lineage", EventRecorder(), wrap=shut_at_start
        )
        async with asyncio.timeout(200), host:
            await host.run_once()
        missed = read_state(tmp_path)
        assert missed.state("Applied")[0] == "True"
        assert missed.state("Ready")[0] == "True"
        assert missed.state("Recorded") == ("False", "MLflowUnavailable")
        assert "1 operations wait for MLflow" in missed.message("Recorded")
        assert registry_of(repo)["services"] == ["driver_activity_v1"]
        assert len(list((tmp_path / ".feature-lineage" / "jobs").iterdir())) == 1

        # MLflow is still down: a new revision is not applied without a guard, and no record is
        # lost.
        (repo / "features.py").write_text(FEATURES.replace("driver_activity_v1", "renamed"))
        assert not await run_once(tmp_path)
        waiting = read_state(tmp_path)
        assert waiting.state("Applied") == ("False", "GuardUnavailable")
        assert waiting.state("Recorded") == ("False", "MLflowUnavailable")
        assert registry_of(repo)["services"] == ["driver_activity_v1"]
        assert mlflow.ops_runs(project) == []

        await forwarder.open()
        await run_once(tmp_path)
    back = read_state(tmp_path)
    assert back.state("Recorded")[0] == back.state("FactsCurrent")[0] == "True"
    assert registry_of(repo)["services"] == ["renamed"]
    runs = mlflow.ops_runs(project)
    assert [run["status"] for run in runs] == ["FINISHED", "FINISHED"]
    ids = [run["tags"]["featurelineage.io/operation-id"] for run in runs]
    assert ids == [op["id"] for op in reversed(back.status["operations"])]
    assert all(run["tags"]["featurelineage.io/attempt"] == "1" for run in runs)
    assert not list((tmp_path / ".feature-lineage" / "jobs").iterdir())


@asynccontextmanager
async def all_servers() -> AsyncIterator[dict[str, str]]:
    urls: dict[str, str] = {}
    async with contextlib.AsyncExitStack() as stack:
        for name, (script, *_) in TROUBLES.items():
            if script is None:
                urls[name] = f"http://127.0.0.1:{free_port()}"
            else:
                urls[name] = (await stack.enter_async_context(bad_server(script))).url
        yield urls


class TcpForwarder:
    """A connection to a server that a test can close: then the port refuses connections."""

    def __init__(self, url: str) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._own = free_port()
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.url = f"http://127.0.0.1:{self._own}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._own)

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        while self._writers:
            self._writers.pop().close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, onward]
        await asyncio.gather(self._copy(reader, onward), self._copy(there, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def tcp_forwarder(url: str) -> AsyncIterator[TcpForwarder]:
    forwarder = TcpForwarder(url)
    await forwarder.open()
    try:
        yield forwarder
    finally:
        await forwarder.shut()


class ClosesForwarder:
    """A job runner that stops MLflow during its jobs."""

    def __init__(self, jobs: Any, forwarder: TcpForwarder) -> None:
        self._jobs = jobs
        self._forwarder = forwarder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def start(self, *args: Any) -> None:
        await self._jobs.start(*args)
        await self._forwarder.shut()
