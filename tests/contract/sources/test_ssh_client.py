"""The ssh client of the tests behaves like the installed one, as far as the product needs."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.sources.git_resolver import key_of, resolve
from tests.contract.sources.pod import GitSourcePod
from tests.servers.ssh_client import install
from tests.servers.sshd import SshServer

from feature_lineage.errors import FeatureLineageError

UseOwnClient = Callable[[], None]


@pytest.fixture
def use_own_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UseOwnClient:
    """After this call, ssh is the client of the tests."""
    folder = install(tmp_path / "own-client")
    return lambda: monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    "change",
    [
        lambda ssh: {"ssh-privatekey": ssh.other_key},
        lambda ssh: {"ssh-privatekey": b"junk"},
        lambda ssh: {"known_hosts": b"elsewhere ssh-rsa AAAA"},
        lambda ssh: {"known_hosts": f"{ssh.host} {ssh.public('other')}".encode()},
    ],
    ids=["refused key", "no key", "unknown host key", "changed host key"],
)
async def test_both_clients_name_the_same_cause(
    change: Callable[[SshServer], dict[str, bytes]], ssh: SshServer, use_own_client: UseOwnClient
) -> None:
    ssh.commit("team", store="x")
    secret = key_of(ssh) | change(ssh)
    with pytest.raises(FeatureLineageError) as installed:
        await resolve(ssh.url("team"), secret)
    use_own_client()
    with pytest.raises(FeatureLineageError) as own:
        await resolve(ssh.url("team"), secret)

    assert own.value.message == installed.value.message
    assert own.value.reason == installed.value.reason == "AuthFailed"


@pytest.mark.parametrize("host", ["127.0.0.1", "git.invalid"])
async def test_both_clients_name_the_host_not_reached(
    host: str, ssh: SshServer, use_own_client: UseOwnClient
) -> None:
    with socket.socket() as bound:  # bound and not listening: no other process gets the port
        bound.bind(("127.0.0.1", 0))
        url = f"ssh://git@{host}:{bound.getsockname()[1]}/team.git"
        with pytest.raises(FeatureLineageError) as installed:
            await resolve(url, key_of(ssh))
        use_own_client()
        with pytest.raises(FeatureLineageError) as own:
            await resolve(url, key_of(ssh))

    assert own.value.message == installed.value.message
    assert own.value.reason == installed.value.reason == "SourceUnreachable"


@pytest.mark.parametrize("protocol", [0, 2])
def test_the_own_client_fetches_a_large_commit(
    protocol: int, tmp_path: Path, use_own_client: UseOwnClient
) -> None:
    use_own_client()
    content = os.urandom(3_000_000).hex()
    with SshServer(tmp_path / "served", protocol=protocol) as ssh:
        commit = ssh.commit("team", store=content)
        pod = GitSourcePod(tmp_path / "pod", ssh.url("team"), key_of(ssh))
        pod.fetch(commit)

    assert (pod.repo / "store").read_text() == content
