"""https uses the proxy of the environment, and the proxy does not see the login."""

import base64
from collections.abc import Iterator

import pytest
from tests.contract.sources.git_resolver import LOGIN, TOKEN, key_of, resolve
from tests.servers.git import GitServer
from tests.servers.proxy import Proxy
from tests.servers.sshd import SshServer

from feature_lineage.errors import TransientError


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as running:
        yield running


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_https_goes_through_the_proxy(
    https: GitServer, proxy: Proxy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = https.commit("team", store="x")
    monkeypatch.setenv(name, proxy.url)

    assert commit == await resolve(f"{https.url}/team.git", TOKEN, https.authority)
    assert {where for where, _ in proxy.asked} == {f"localhost:{https.port}"}
    # The login of the Git server is sent inside the tunnel, where only that server can read it.
    said = str(proxy.asked)
    assert "t0k3n" not in said
    assert base64.b64encode(LOGIN.encode()).decode() not in said


async def test_what_needs_no_proxy_takes_none(
    https: GitServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = https.commit("team", store="x")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "localhost,10.0.0.0/8")

    assert commit == await resolve(f"{https.url}/team.git", TOKEN, https.authority)
    assert proxy.asked == []


async def test_a_proxy_with_a_login_of_its_own(
    https: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = https.commit("team", store="x")
    with Proxy("platform:s3cret") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//platform:s3cret@"))
        assert commit == await resolve(f"{https.url}/team.git", TOKEN, https.authority)

        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//platform:wr0ng@"))
        with pytest.raises(TransientError, match="check HTTPS_PROXY") as caught:
            await resolve(f"{https.url}/team.git", TOKEN, https.authority)

    assert caught.value.reason == "SourceUnreachable"
    assert "407" in caught.value.message
    assert "wr0ng" not in caught.value.message


async def test_ssh_goes_straight_to_its_host(
    ssh: SshServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = ssh.commit("team", store="x")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("ALL_PROXY", proxy.url)

    assert commit == await resolve(ssh.url("team"), key_of(ssh))
    assert proxy.asked == []


async def test_nothing_else_of_the_environment_reaches_git(
    https: GitServer, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    commit = https.commit("team", store="x")
    for name, value in {
        "GIT_SSL_NO_VERIFY": "1",
        "GIT_TRACE_CURL": f"{tmp_path}/trace",
        "GIT_CONFIG_PARAMETERS": "'http.proxy=http://127.0.0.1:1'",
        "GIT_EXEC_PATH": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)

    assert commit == await resolve(f"{https.url}/team.git", TOKEN, https.authority)
