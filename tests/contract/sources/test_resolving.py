"""The operator resolves refs on real servers, and reports why a ref cannot be resolved."""

import socket
from pathlib import Path

import pytest
from tests.contract.sources.git_resolver import LOGIN, TOKEN, key_of, resolve
from tests.servers.git import GitServer
from tests.servers.sshd import SshServer

from feature_lineage.api.conditions import PROJECT_REASONS, ProjectCondition
from feature_lineage.errors import (
    AccessRefused,
    FeatureLineageError,
    HostNotAllowed,
    NotFound,
    TransientError,
)


def problem(caught: pytest.ExceptionInfo[FeatureLineageError]) -> tuple[str, str]:
    """Return the reason and the message of an error, which contain no secrets."""
    error = caught.value
    assert error.reason in PROJECT_REASONS[ProjectCondition.SOURCE_READY]
    assert "t0k3n" not in error.message
    assert "PRIVATE KEY" not in error.message
    return error.reason, error.message


async def test_a_public_repository_asks_for_nothing(tmp_path: Path) -> None:
    with GitServer(tmp_path / "public") as server:
        commit = server.commit("team", store="x")

        found = await resolve(f"{server.url}/team.git", None, server.authority)

    assert commit == found


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(TOKEN, id="token"),
        pytest.param({"username": b"x-access-token", "password": b"t0k3n"}, id="basic-auth"),
    ],
)
async def test_a_login_opens_a_private_one(https: GitServer, secret: dict[str, bytes]) -> None:
    commit = https.commit("team", store="x")

    assert commit == await resolve(f"{https.url}/team.git", secret, https.authority)


async def test_a_key_opens_one_behind_ssh(ssh: SshServer) -> None:
    commit = ssh.commit("team", store="x")

    assert commit == await resolve(ssh.url("team"), key_of(ssh))
    assert "Accepted publickey" in ssh.log


async def test_a_branch_follows_its_pushes_and_tags_stay(ssh: SshServer) -> None:
    first = ssh.commit("team", store="1")
    ssh.tree("team", "tag", "light")
    ssh.tree("team", "tag", "-a", "annotated", "-m", "x")
    ssh.tree("team", "push", "-q", str(ssh.folder / "team.git"), "--tags")
    second = ssh.commit("team", store="2")
    refs = [{"branch": "main"}, {"tag": "light"}, {"tag": "annotated"}, {"commit": first}]

    found = [await resolve(ssh.url("team"), key_of(ssh), **ref) for ref in refs]

    assert [second, first, first, first] == found


async def test_a_repository_of_long_ids_is_one_like_any_other(https: GitServer) -> None:
    https.create("team", "--object-format=sha256")
    commit = https.commit("team", store="x")

    assert len(commit) == 64
    assert commit == await resolve(f"{https.url}/team.git", TOKEN, https.authority)


@pytest.mark.parametrize("secret", [{"token": b"wrong"}, None], ids=["wrong", "none"])
async def test_a_login_that_is_refused(https: GitServer, secret: dict[str, bytes] | None) -> None:
    https.commit("team", store="x")
    url = f"{https.url}/team.git"
    with pytest.raises(AccessRefused) as caught:
        await resolve(url, secret, https.authority)

    assert problem(caught) == (
        "AuthFailed",
        f"{url}: Authentication failed; check source.git.secretRef, and its permissions",
    )
    assert https.asked == 0


@pytest.mark.parametrize("bundle", ["none", "another"])
async def test_a_server_whose_authority_is_not_trusted(https: GitServer, bundle: str) -> None:
    https.commit("team", store="x")
    with GitServer(https.folder / "another") as other:
        authority = other.authority if bundle == "another" else None
        with pytest.raises(AccessRefused) as caught:
            await resolve(f"{https.url}/team.git", TOKEN, authority)

    reason, message = problem(caught)
    assert reason == "AuthFailed"
    assert "certificate" in message
    assert "source.git.caBundle" in message
    assert https.asked == 0


async def test_a_bundle_that_holds_no_certificates(https: GitServer) -> None:
    with pytest.raises(AccessRefused, match="caBundle has no certificates") as caught:
        await resolve(f"{https.url}/team.git", TOKEN, b"junk")

    assert problem(caught)[0] == "AuthFailed"


async def test_a_key_that_is_not_let_in(ssh: SshServer) -> None:
    ssh.commit("team", store="x")
    secret = {**key_of(ssh), "ssh-privatekey": ssh.other_key}
    with pytest.raises(AccessRefused, match=r"Permission denied \(publickey\)") as caught:
        await resolve(ssh.url("team"), secret)

    assert problem(caught)[0] == "AuthFailed"
    assert "source.git.secretRef" in caught.value.message


async def test_a_key_that_is_none(ssh: SshServer) -> None:
    ssh.commit("team", store="x")
    secret = {**key_of(ssh), "ssh-privatekey": b"junk"}
    with pytest.raises(
        AccessRefused, match=r"the key ssh-privatekey: .* without a passphrase"
    ) as e:
        await resolve(ssh.url("team"), secret)

    assert problem(e)[0] == "AuthFailed"


@pytest.mark.parametrize("kind", ["unknown", "changed"])
async def test_a_host_key_that_is_not_the_known_one(ssh: SshServer, kind: str) -> None:
    ssh.commit("team", store="x")
    known = f"{ssh.host} {ssh.public('other')}" if kind == "changed" else "elsewhere ssh-rsa AAAA"
    secret = {**key_of(ssh), "known_hosts": known.encode()}
    with pytest.raises(AccessRefused) as caught:
        await resolve(ssh.url("team"), secret)

    reason, message = problem(caught)
    assert reason == "AuthFailed"
    assert {
        "unknown": f"No ED25519 host key is known for {ssh.host};",
        "changed": f"Host key for {ssh.host} has changed;",
    }[kind] in message
    assert "known_hosts" in message
    assert "Accepted" not in ssh.log


@pytest.mark.parametrize(
    ("secret", "missing"),
    [
        (None, "ssh needs a key"),
        ({}, "has no key ssh-privatekey"),
        ({"ssh-privatekey": b"x"}, "has no key known_hosts"),
    ],
    ids=["no Secret", "empty", "no known_hosts"],
)
async def test_ssh_without_what_it_needs(secret: dict[str, bytes] | None, missing: str) -> None:
    with pytest.raises(AccessRefused, match=missing) as caught:
        await resolve("ssh://git@git.example/team.git", secret)

    assert problem(caught)[0] == "AuthFailed"


@pytest.mark.parametrize("ref", [{"branch": "gone"}, {"tag": "main"}], ids=["branch", "tag"])
async def test_a_ref_that_is_not_there(https: GitServer, ref: dict[str, str]) -> None:
    https.commit("team", store="x")
    kind, name = next(iter(ref.items()))
    url = f"{https.url}/team.git"
    with pytest.raises(NotFound) as caught:
        await resolve(url, TOKEN, https.authority, **ref)

    assert problem(caught) == (
        "RefNotFound",
        f"{url} has no {kind} {name}; check source.git.ref, or push it",
    )


async def test_a_branch_that_was_deleted(https: GitServer) -> None:
    https.commit("team", store="x")
    https.bare("team", "update-ref", "-d", "refs/heads/main")
    with pytest.raises(NotFound, match="has no branch main") as caught:
        await resolve(f"{https.url}/team.git", TOKEN, https.authority)

    assert problem(caught)[0] == "RefNotFound"


async def test_a_repository_without_any_commit(https: GitServer) -> None:
    https.create("team")
    with pytest.raises(NotFound, match="has no branch main") as caught:
        await resolve(f"{https.url}/team.git", TOKEN, https.authority)

    assert problem(caught)[0] == "RefNotFound"


async def test_a_repository_that_is_not_there(https: GitServer, ssh: SshServer) -> None:
    for url, secret in ((f"{https.url}/none.git", TOKEN), (ssh.url("none"), key_of(ssh))):
        with pytest.raises(NotFound, match=r"; check source\.git\.url") as caught:
            await resolve(url, secret, https.authority)

        assert problem(caught)[0] == "RefNotFound"


async def test_a_redirect_is_not_followed(https: GitServer, tmp_path: Path) -> None:
    https.commit("team", store="x")
    with GitServer(tmp_path / "elsewhere", LOGIN) as other:
        other.commit("team", store="x")
        https.moved = other.url
        with pytest.raises(HostNotAllowed, match="redirects are not followed") as caught:
            await resolve(f"{https.url}/team.git", TOKEN, https.authority)

        assert problem(caught)[0] == "HostNotAllowed"
        assert other.asked == 0


@pytest.mark.parametrize("scheme", ["https", "ssh"])
async def test_a_host_without_a_listening_server(scheme: str, ssh: SshServer) -> None:
    with socket.socket() as bound:  # bound and not listening: no other process gets the port
        bound.bind(("127.0.0.1", 0))
        url = f"{scheme}://127.0.0.1:{bound.getsockname()[1]}/team.git"
        with pytest.raises(TransientError, match="check the network") as caught:
            await resolve(url, key_of(ssh) if scheme == "ssh" else None)

        reason, message = problem(caught)
        with pytest.raises(TransientError) as again:
            await resolve(url, key_of(ssh) if scheme == "ssh" else None)

    assert reason == "SourceUnreachable"
    assert message == again.value.message
    assert "onnect" in message


async def test_a_host_that_has_no_address(ssh: SshServer) -> None:
    for scheme, secret in (("https", None), ("ssh", key_of(ssh))):
        with pytest.raises(TransientError, match="Could not resolve host") as caught:
            await resolve(f"{scheme}://git.invalid/team.git", secret)

        assert problem(caught)[0] == "SourceUnreachable"
