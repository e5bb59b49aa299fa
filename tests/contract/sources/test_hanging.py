"""A host that accepts the connection and never answers: requests end, and no process remains."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.sources.git_resolver import key_of, project, resolve
from tests.servers.git import GitServer
from tests.servers.sshd import SshServer

from feature_lineage.api import ConfigMap
from feature_lineage.decide.facts import Key
from feature_lineage.errors import FeatureLineageError, TransientError
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.sources import git, slow_source_bulkhead
from feature_lineage.sources.project_sources import cluster_sources
from feature_lineage.workqueue.workers import WorkerPool


@pytest.fixture
async def silent() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Port of a server that never answers, and an event for its first connection."""
    came = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        while await reader.read(1024):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], came
    server.close()


def running(port: int) -> list[str]:
    """Return the command lines that name the port."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f":{port}/" in line or f"-p {port} " in line:
            found.append(line)
    return found


@pytest.mark.parametrize("scheme", ["https", "ssh"])
async def test_a_host_that_hangs(
    scheme: str,
    silent: tuple[int, asyncio.Event],
    ssh: SshServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(git, "LS_REMOTE_SECONDS", 2.0)
    port, _ = silent
    url = f"{scheme}://git@127.0.0.1:{port}/team.git".replace("https://git@", "https://")
    with pytest.raises(TransientError) as caught:
        await resolve(url, key_of(ssh) if scheme == "ssh" else None)

    assert caught.value.reason == "SourceUnreachable"
    assert caught.value.message == (
        f"{url}: git ls-remote did not end within 2 s; check the network to the host, and the size "
        "of the repository"
    )
    assert running(port) == []


@pytest.mark.parametrize("scheme", ["https", "ssh"])
async def test_who_no_longer_wants_to_know_leaves_nothing_running(
    scheme: str, silent: tuple[int, asyncio.Event], ssh: SshServer
) -> None:
    port, came = silent
    url = f"{scheme}://git@127.0.0.1:{port}/team.git".replace("https://git@", "https://")
    asked = asyncio.create_task(resolve(url, key_of(ssh) if scheme == "ssh" else None))
    await came.wait()
    assert running(port) != []

    asked.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asked
    assert running(port) == []


class Team:
    """45 projects on a host that never answers, one on a host that does, and 16 workers.

    A namespace has 12 of the workers: without the bulkhead, nine requests to the silent host run
    beside the last project's.

    Attributes:
        results: result of the newest reconcile of each project.
        asking: number of reconciles that wait for their host.
    """

    def __init__(self, silent_port: int, good: GitServer) -> None:
        authority = {"metadata": {"name": "ca"}, "data": {"ca.crt": good.authority.decode()}}
        self._source = cluster_sources(
            FolderObjects([ConfigMap.model_validate(authority)]), "runner:1", lambda _: True
        )
        self._urls = {f"p{n}": f"https://127.0.0.1:{silent_port}/r{n}.git" for n in range(45)}
        self._urls["good"] = f"{good.url}/team.git"
        self.results: dict[str, str] = {}
        self.asking = 0
        self.good_found = asyncio.Event()
        self.queue = WorkerPool(self._work, workers=16)

    async def _work(self, key: Key) -> None:
        self.asking += 1
        try:
            named = project(self._urls[key.name], {"branch": "main"}, name=key.name, bundle=True)
            self.results[key.name] = (await self._source.resolve(named)).revision
        except FeatureLineageError as error:
            self.results[key.name] = error.message
        finally:
            self.asking -= 1
            self.queue.done(key)
        if key.name == "good":
            self.good_found.set()

    def enqueue_all(self) -> None:
        """Enqueue all projects, the one on the good host last."""
        for name in self._urls:
            self.queue.enqueue(Key("FeatureStoreProject", "ml", name))


async def test_a_host_that_hangs_holds_up_no_project_of_another_host(
    silent: tuple[int, asyncio.Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "LS_REMOTE_SECONDS", 4.0)
    monkeypatch.setattr(slow_source_bulkhead, "SLOW_SECONDS", 1.0)
    port, _ = silent
    with GitServer(tmp_path / "good") as good:
        commit = good.commit("team", store="x")
        team = Team(port, good)
        working = asyncio.create_task(team.queue.run())
        team.enqueue_all()  # no result is known yet
        await team.queue.quiet()
        before = dict(team.results)
        team.good_found.clear()

        team.enqueue_all()
        await team.good_found.wait()
        held = team.asking
        await team.queue.quiet()
        team.queue.stop()
        await working

    assert held <= slow_source_bulkhead.SLOTS
    assert team.results.pop("good") == before.pop("good") == commit
    assert ["git ls-remote did not end within 4 s" in message for message in before.values()] == [
        True
    ] * 45
    assert team.results == before
