"""The pod of a job fetches exactly its commit from a real Git server, also after later pushes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.sources.git_resolver import TOKEN, key_of
from tests.contract.sources.pod import GitSourcePod
from tests.servers.git import GitServer, Repositories
from tests.servers.sshd import SshServer

from feature_lineage.errors import AccessRefused, NotFound, TerminalError, TransientError

Served = tuple[Repositories, Callable[[], GitSourcePod]]


@pytest.fixture
def pod(https: GitServer, tmp_path: Path) -> GitSourcePod:
    return GitSourcePod(tmp_path / "pod", f"{https.url}/team.git", TOKEN, https.authority)


@pytest.fixture(params=["https", "https, old protocol", "ssh", "ssh, new protocol"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """Servers with default settings, and a pod with the credential of each."""
    folder, home = tmp_path / "served", tmp_path / "pod"
    protocol = 0 if request.param in ("ssh", "https, old protocol") else 2
    if request.param.startswith("ssh"):
        with SshServer(folder, protocol=protocol) as ssh:
            yield ssh, lambda: GitSourcePod(home, ssh.url("team"), key_of(ssh))
    else:
        with GitServer(folder, protocol=protocol) as https:
            yield https, lambda: GitSourcePod(home, f"{https.url}/team.git", None, https.authority)


def test_the_newest_commit_comes_alone(served: Served) -> None:
    server, made = served
    server.commit("team", features__store="old")
    commit = server.commit("team", features__store="new")
    pod = made()

    repo = pod.fetch(commit, "features")

    assert repo == pod.repo / "features"
    assert (repo / "store").read_text() == "new"
    assert [commit] == pod.commits


def test_a_commit_that_the_branch_has_left_behind(served: Served) -> None:
    server, made = served
    first = server.commit("team", store="old")
    for number in range(3):
        server.commit("team", store=str(number))
    pod = made()

    pod.fetch(first)

    assert (pod.repo / "store").read_text() == "old"


def test_a_commit_that_only_another_branch_leads_to(served: Served) -> None:
    server, made = served
    server.commit("team", store="main")
    server.tree("team", "checkout", "-q", "-b", "side")
    server.tree("team", "commit", "-q", "--allow-empty", "-m", "side")
    wanted = server.tree("team", "rev-parse", "HEAD").strip()
    server.tree("team", "commit", "-q", "--allow-empty", "-m", "more")
    server.tree("team", "push", "-q", str(server.folder / "team.git"), "side")
    pod = made()

    pod.fetch(wanted)

    assert wanted in pod.commits


def test_a_commit_that_is_gone_from_the_server(served: Served) -> None:
    server, made = served
    server.commit("team", store="x")
    server.commit("team", store="y")
    with pytest.raises(NotFound, match="push it again, or push a newer commit") as caught:
        made().fetch("a" * 40)

    assert caught.value.reason == "AppliedRevisionGone"


def test_a_commit_that_was_force_pushed_away(served: Served) -> None:
    server, made = served
    server.commit("team", store="kept")
    lost = server.commit("team", store="lost")
    server.tree("team", "reset", "-q", "--hard", "HEAD~1")
    server.commit("team", store="instead")
    server.bare("team", "reflog", "expire", "--expire=now", "--all")
    server.bare("team", "gc", "-q", "--prune=now")
    with pytest.raises(NotFound, match=lost) as caught:
        made().fetch(lost)

    assert caught.value.reason == "AppliedRevisionGone"


def test_a_commit_of_a_branch_that_was_deleted(served: Served) -> None:
    server, made = served
    commit = server.commit("team", store="x")
    server.bare("team", "update-ref", "-d", "refs/heads/main")
    server.bare("team", "gc", "-q", "--prune=now")
    with pytest.raises(NotFound, match=commit) as caught:
        made().fetch(commit)

    assert caught.value.reason == "AppliedRevisionGone"


def test_a_repository_that_has_no_commit_at_all(served: Served) -> None:
    server, made = served
    server.create("team")
    with pytest.raises(NotFound, match="a" * 40) as caught:
        made().fetch("a" * 40)

    assert caught.value.reason == "AppliedRevisionGone"


def test_how_far_an_old_commit_is_looked_for(tmp_path: Path) -> None:
    """A commit 100 to 2000 commits back is found with a second fetch."""
    with GitServer(tmp_path / "served", protocol=0) as server:
        server.commit("team", store="x")
        first = server.tree("team", "rev-parse", "HEAD").strip()
        stream = [
            f"commit refs/heads/main\ncommitter t <t@example> {number} +0000\ndata 1\nx\n"
            + (f"from {first}\n" if number == 0 else "")
            for number in range(2100)
        ]
        server.bare("team", "fast-import", "--quiet", content="".join(stream).encode())
        newest = server.bare("team", "rev-list", "main").split()
        url = f"{server.url}/team.git"

        GitSourcePod(tmp_path / "near", url, None, server.authority).fetch(newest[1500])
        with pytest.raises(NotFound, match="among the newest 2000") as caught:
            GitSourcePod(tmp_path / "far", url, None, server.authority).fetch(first)

    assert caught.value.reason == "AppliedRevisionGone"


def test_a_repository_of_long_ids(https: GitServer, pod: GitSourcePod) -> None:
    https.create("team", "--object-format=sha256")
    commit = https.commit("team", store="x")

    pod.fetch(commit)

    assert [commit] == pod.commits


def test_ten_thousand_files(https: GitServer, pod: GitSourcePod) -> None:
    content = "VALUE = 1\n" * 20
    files = [
        f"M 100644 inline views{number % 100}/view{number}.py\ndata {len(content)}\n{content}"
        for number in range(10_000)
    ]
    head = "commit refs/heads/main\ncommitter t <t@example> 1 +0000\ndata 1\nx\n"
    https.create("team")
    https.bare("team", "fast-import", "--quiet", content=(head + "\n".join(files)).encode())
    commit = https.bare("team", "rev-parse", "main").strip()
    started = time.monotonic()

    pod.fetch(commit)

    print(f"10,000 files fetched and checked out in {time.monotonic() - started:.1f} s")
    assert sum(1 for _ in pod.repo.rglob("*.py")) == 10_000


def test_a_token_that_is_refused(https: GitServer, tmp_path: Path) -> None:
    commit = https.commit("team", store="x")
    pod = GitSourcePod(
        tmp_path / "pod", f"{https.url}/team.git", {"token": b"wr0ng"}, https.authority
    )
    with pytest.raises(AccessRefused, match=r"check source\.git\.secretRef") as caught:
        pod.fetch(commit)

    assert caught.value.reason == "AuthFailed"
    assert "wr0ng" not in caught.value.message
    assert https.asked == 0


def test_a_server_of_an_unknown_authority_is_not_talked_to(
    https: GitServer, tmp_path: Path
) -> None:
    commit = https.commit("team", store="x")
    with pytest.raises(AccessRefused, match=r"source\.git\.caBundle"):
        GitSourcePod(tmp_path / "pod", f"{https.url}/team.git", TOKEN).fetch(commit)

    assert https.asked == 0


def test_a_server_that_is_down(tmp_path: Path) -> None:
    with GitServer(tmp_path / "served") as server:
        commit = server.commit("team", store="x")
    pod = GitSourcePod(tmp_path / "pod", f"{server.url}/team.git", None, server.authority)
    with pytest.raises(TransientError, match="check the network") as caught:
        pod.fetch(commit)

    assert caught.value.reason == "SourceUnreachable"


def test_an_image_without_the_programs_says_which(
    https: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    for url, program in ((f"{https.url}/team.git", "git"), ("ssh://git@git.example/r", "git")):
        with pytest.raises(TerminalError, match=f"the image has no {program}") as caught:
            GitSourcePod(tmp_path / url.partition(":")[0], url).fetch("a" * 40)

        assert caught.value.reason == "RunnerIncompatible"
