"""A pod fetches exactly its commit from a real Git server: with a token, and a CA of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.git import GitServer

from feature_lineage.errors import AccessRefused, NotFound, TerminalError, TransientError
from feature_lineage.operations.delivery import GitOrder, Order
from feature_lineage.operations.protocol import JobRequest, OperationKind
from feature_lineage.runner.fetch import fetch


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "served", "x-access-token:t0k3n") as running:
        yield running


@pytest.fixture
def mounted(tmp_path: Path, server: GitServer) -> Path:
    folder = tmp_path / "mounted"
    (folder / "secret").mkdir(parents=True)
    (folder / "secret" / "token").write_text("t0k3n\n")
    (folder / "ca.crt").write_bytes(server.authority)
    return folder


def order(server: GitServer, mounted: Path | None, commit: str, path: str = ".") -> Order:
    git = GitOrder(
        url=f"{server.url}/team.git",
        path=path,
        credential=str(mounted / "secret") if mounted else "",
        ca_file=str(mounted / "ca.crt") if mounted else "",
    )
    request = JobRequest(
        operation_id="apply-1-x-1",
        kind=OperationKind.APPLY,
        project="p",
        repo="",
        revision=commit,
    )
    return Order(request=request, git=git, namespace="n", reports=("r",))


def test_a_commit_that_is_not_the_newest_is_fetched_alone(
    server: GitServer, mounted: Path, tmp_path: Path
) -> None:
    first = server.commit("team", features__store="old")
    server.commit("team", features__store="new")

    repo = fetch(order(server, mounted, first, "features"), tmp_path / "job")

    assert repo == tmp_path / "job" / "repo" / "features"
    assert (repo / "store").read_text() == "old"
    shallow = (tmp_path / "job" / "repo" / ".git" / "shallow").read_text()
    assert shallow.strip() == first


def test_a_token_that_is_refused_says_where_to_look(
    server: GitServer, mounted: Path, tmp_path: Path
) -> None:
    commit = server.commit("team", store="x")
    (mounted / "secret" / "token").write_text("wrong")
    with pytest.raises(AccessRefused, match=r"check source\.git\.secretRef"):
        fetch(order(server, mounted, commit), tmp_path / "job")
    assert server.asked == 0


def test_a_server_of_an_unknown_authority_is_not_talked_to(
    server: GitServer, mounted: Path, tmp_path: Path
) -> None:
    commit = server.commit("team", store="x")
    with pytest.raises(TransientError, match="certificate"):
        fetch(order(server, None, commit), tmp_path / "job")
    assert server.asked == 0


def test_a_commit_that_is_gone_was_pushed_away(
    server: GitServer, mounted: Path, tmp_path: Path
) -> None:
    server.commit("team", store="x")
    with pytest.raises(NotFound, match="force-pushed away") as caught:
        fetch(order(server, mounted, "a" * 40), tmp_path / "job")
    assert caught.value.reason == "AppliedRevisionGone"


def test_a_folder_that_the_commit_has_not_is_named(
    server: GitServer, mounted: Path, tmp_path: Path
) -> None:
    commit = server.commit("team", store="x")
    with pytest.raises(NotFound, match=r"has no folder nowhere; check source\.git\.path"):
        fetch(order(server, mounted, commit, "nowhere"), tmp_path / "job")


def test_another_scheme_is_refused_before_anything_runs(
    server: GitServer, mounted: Path, tmp_path: Path
) -> None:
    hostile = order(server, mounted, "a" * 40)
    assert hostile.git is not None
    for url in ("ext::sh -c id", "file:///etc", "-oProxyCommand=id", "http://localhost/x.git"):
        git = hostile.git.model_copy(update={"url": url})
        with pytest.raises(TerminalError, match="is not allowed"):
            fetch(hostile.model_copy(update={"git": git}), tmp_path / "job")
