"""The content of a repository has no effect on the pod that fetches it; missing paths are named."""

import contextlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.contract.sources.git_resolver import TOKEN
from tests.contract.sources.pod import GitSourcePod
from tests.servers.git import GitServer

from feature_lineage.api.sources import GitRef
from feature_lineage.errors import FeatureLineageError, NotFound, TerminalError
from feature_lineage.sources import git


@pytest.fixture
def pod(https: GitServer, tmp_path: Path) -> GitSourcePod:
    return GitSourcePod(tmp_path / "pod", f"{https.url}/team.git", TOKEN, https.authority)


def raw_commit(server: GitServer, *entries: tuple[str, str, str]) -> str:
    """Create a commit with these root entries (mode, name, content), without Git's checks."""
    server.commit("team", store="x")
    tree = b""
    for mode, name, content in entries:
        if mode == "160000":
            sha = content
        else:
            sha = server.bare(
                "team", "hash-object", "-w", "--stdin", content=content.encode()
            ).strip()
        if mode == "40000":
            inner = b"100755 post-checkout\0" + bytes.fromhex(sha)
            sha = server.bare(
                *("team", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"),
                content=inner,
            ).strip()
        tree += f"{mode} {name}\0".encode() + bytes.fromhex(sha)
    root = server.bare(
        *("team", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"), content=tree
    ).strip()
    commit = server.bare("team", "commit-tree", root, "-m", "hostile").strip()
    server.bare("team", "update-ref", "refs/heads/main", commit)
    return commit


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(("120000", ".git", "/etc"), id="a link named .git"),
        pytest.param(("40000", ".git", "#!/bin/sh\ntouch /tmp/ran\n"), id="a folder .git"),
        pytest.param(("40000", ".GIT", "#!/bin/sh\n"), id="a folder .GIT"),
        pytest.param(("100644", "../escaped", "x"), id="a file outside"),
        pytest.param(("100644", "..", "x"), id="a file called .."),
    ],
)
def test_a_tree_that_git_would_not_make_is_not_checked_out(
    https: GitServer, pod: GitSourcePod, entry: tuple[str, str, str]
) -> None:
    commit = raw_commit(https, entry)
    with pytest.raises(TerminalError, match="cannot be checked out") as caught:
        pod.fetch(commit)

    assert caught.value.reason == "InvalidRepo"
    assert not (pod.repo.parent / "escaped").exists()
    assert not list((pod.repo / ".git" / "hooks").glob("post-checkout"))


def test_filters_and_hooks_of_the_repository_do_not_run(
    https: GitServer, pod: GitSourcePod, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    commit = https.commit(
        "team",
        **{
            ".gitattributes": "*.py filter=evil diff=evil merge=evil\n",
            ".gitconfig": f'[filter "evil"]\n smudge = touch {ran}; cat\n',
            "hooks__post-checkout": f"#!/bin/sh\ntouch {ran}\n",
            "features.py": "X = 1\n",
        },
    )

    pod.fetch(commit)

    assert (pod.repo / "features.py").read_text() == "X = 1\n"
    assert not ran.exists()


def test_submodules_are_refused_and_not_fetched(https: GitServer, pod: GitSourcePod) -> None:
    config = f'[submodule "x"]\n path = x\n url = {https.url}/other.git\n'
    commit = raw_commit(https, ("100644", ".gitmodules", config), ("160000", "x", "a" * 40))
    with pytest.raises(TerminalError, match="submodules, which are not fetched") as caught:
        pod.fetch(commit)

    assert caught.value.reason == "SubmodulesUnsupported"


def test_definitions_in_git_lfs_are_named(https: GitServer, pod: GitSourcePod) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12345\n"
    commit = https.commit("team", **{"a__features.py": pointer, "a__data.parquet": pointer})
    with pytest.raises(TerminalError, match=r"a/features\.py is a pointer of Git LFS") as caught:
        pod.fetch(commit)

    assert caught.value.reason == "InvalidRepo"


def test_an_emptied_branch_has_no_folder(https: GitServer, pod: GitSourcePod) -> None:
    https.commit("team", features__store="x")
    https.tree("team", "rm", "-q", "-r", "features")
    commit = https.commit("team")
    assert [path.name for path in pod.fetch(commit).iterdir()] == [".git"]
    with pytest.raises(NotFound, match=r"has no folder features; check source\.git\.path") as e:
        pod.fetch(commit, "features")

    assert e.value.reason == "RefNotFound"


@pytest.mark.parametrize("path", ["nowhere", "store", "store/x", "a\0b"])
def test_a_folder_that_the_commit_has_not_is_named(
    https: GitServer, pod: GitSourcePod, path: str
) -> None:
    commit = https.commit("team", store="x")
    with pytest.raises(NotFound, match=r"has no folder .*; check source\.git\.path") as caught:
        pod.fetch(commit, path)

    assert caught.value.reason == "RefNotFound"


@pytest.mark.parametrize("path", ["..", "../secret", "/etc", "a/../../secret", "out", "out/home"])
def test_a_path_that_leads_out_of_the_repository(
    https: GitServer, pod: GitSourcePod, path: str
) -> None:
    commit = raw_commit(https, ("120000", "out", str(pod.repo.parent.parent)))
    with pytest.raises(TerminalError, match="leads out of the repository") as caught:
        pod.fetch(commit, path)

    assert caught.value.reason == "InvalidRepo"


def test_a_link_that_leads_to_itself(https: GitServer, pod: GitSourcePod) -> None:
    commit = raw_commit(https, ("120000", "loop", "loop"))
    with pytest.raises(NotFound, match="has no folder loop"):
        pod.fetch(commit, "loop")


def test_another_scheme_is_refused_before_anything_runs(tmp_path: Path) -> None:
    for number, url in enumerate(
        ("ext::sh -c id", "file:///etc", "-oProxyCommand=id", "http://localhost/x.git")
    ):
        with pytest.raises(TerminalError) as caught:
            GitSourcePod(tmp_path / str(number), url).fetch("a" * 40)

        assert caught.value.reason == "HostNotAllowed"


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git@git.example/team/repo.git",
        "ssh://git@git.example:2222/~team/repo.git",
        "ssh://git@[fd00::7]:2222/r",
        "ssh://git@git.example/x@evil.example/r",
        "ssh://git@git.example/x@[evil.example]/r",
        "ssh://git.example/@[evil.example]:22/r",
        "ssh://git@git.example/x%40%5Bevil.example%5D/r",
        "ssh://git@git.example/x%2540%255Bevil.example%255D/r",
        "ssh://git@git.example%2fx@evil.example/r",
        "ssh://git%40evil.example@git.example/r",
        "ssh://a@evil.example@git.example/r",
        "ssh://git@git.example:22:evil.example/r",
        "ssh://git@git.example\\evil.example/r",
    ],
)
async def test_ssh_goes_to_the_host_that_was_looked_at_or_nowhere(url: str, tmp_path: Path) -> None:
    """Git parses an address by its own rules."""
    asked, ssh = tmp_path / "asked", tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{asked}\nexit 1\n')
    ssh.chmod(0o755)
    environment = {"GIT_SSH": str(ssh)}

    with contextlib.suppress(FeatureLineageError):
        git.check_url(url, frozenset({"https", "ssh"}))
        await git.resolve_ref(url, GitRef(branch="main"), environment=environment)

    words = asked.read_text().splitlines() if asked.exists() else []
    hosts = [word.rpartition("@")[2] for word in words[-2:-1]]
    assert hosts in ([], [urlsplit(url).hostname])
