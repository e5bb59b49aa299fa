"""Real Git servers: over TLS with a login, and behind OpenSSH's sshd."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.sources.git_resolver import LOGIN
from tests.servers.git import GitServer
from tests.servers.sshd import SshServer


@pytest.fixture
def https(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "https", LOGIN) as running:
        yield running


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "ssh") as running:
        yield running
