"""Real Git servers, over TLS with a login and over ssh, and an ssh client if none is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.sources.git_resolver import LOGIN
from tests.servers.git import GitServer
from tests.servers.ssh_client import path_with_ssh
from tests.servers.sshd import SshServer


@pytest.fixture(autouse=True)
def ssh_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", path_with_ssh(tmp_path / "ssh-client"))


@pytest.fixture
def https(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "https", LOGIN) as running:
        yield running


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "ssh") as running:
        yield running
