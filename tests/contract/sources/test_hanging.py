"""A host that takes the connection and says nothing is given up in time; nothing stays behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.sources.asking import key_of, resolve
from tests.servers.sshd import SshServer

from feature_lineage.errors import TransientError
from feature_lineage.sources import git


@pytest.fixture
async def silent() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Port of a server that never says a word, and whether somebody came."""
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
    """Command lines that name the port."""
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
