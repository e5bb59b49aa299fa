"""Git: which URLs and refs are requested, and how Git is ended."""

import asyncio
import json
import os
import resource
import stat
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from feature_lineage.api.sources import GitRef
from feature_lineage.errors import FeatureLineageError, TerminalError, TransientError
from feature_lineage.sources import git, git_process
from feature_lineage.sources.git_process import run_git, within

URL = "https://git.example/team.git"


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example/team/repo.git",
        "https://git.example:8443/r",
        "https://git.example/a@b/r",
        "https://[::1]:8443/r",
        "ssh://git@git.example/team/repo.git",
        "ssh://git@git.example:2222/~team/repo.git",
        "ssh://git@[fd00::7]:2222/r",
    ],
)
def test_these_urls_are_allowed(url: str) -> None:
    git.check_url(url, git.NETWORK_SCHEMES)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ext::sh -c 'id >&2'", "control character"),
        ("ext::id", "not allowed; use one of: https, ssh"),
        ("https::ext::id", "not allowed"),
        ("file:///etc", "not allowed"),
        ("http://git.example/r", "not allowed"),
        ("git://git.example/r", "not allowed"),
        ("HTTPS://git.example/r", "not allowed"),
        ("git@git.example:team/repo.git", "not allowed"),
        ("/srv/repo.git", "not allowed"),
        ("", "not allowed"),
        ("--upload-pack=id", "not allowed"),
        ("-oProxyCommand=id", "not allowed"),
        ("ssh://-oProxyCommand=id/r", "read as an option"),
        ("ssh://-oProxyCommand=id@git.example/r", "read as an option"),
        ("ssh://git@git.example%2fx@evil.example/r", "has a % before its path"),
        ("ssh://git@git.example/x@[evil.example]/r", "a bracket in its path"),
        ("ssh://git.example/x%40%5Bevil.example%5D:22/r", "a bracket in its path"),
        ("https://git.example/r\n[core]", "control character"),
        ("https://git.example/r\tx", "control character"),
        ("https://git.example/r\x00x", "control character"),
        ("https:///r", "has no host"),
        ("https://git.example:port/r", "is not a URL"),
        ("https://[::1/r", "is not a URL"),
        ("https://git.example/r?ref=x", "query or a fragment"),
    ],
)
def test_these_urls_are_refused(url: str, why: str) -> None:
    with pytest.raises(TerminalError, match=why) as caught:
        git.check_url(url, git.NETWORK_SCHEMES)

    assert caught.value.reason == "HostNotAllowed"


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cret@git.example/r",
        "https://s3cret@git.example/r",
        "https://user:p@s3cret@git.example/r",
        "https://user:p/s3cret@git.example/r",
        "http://user:s3cret@git.example/r",
        "ssh://git:s3cret@git.example/r",
        "https://git.example/r?token=s3cret",
        "https://git.example/r#s3cret",
        "https://user:s3cret\n@git.example/r",
        "user:s3cret@git.example/r",
        "https:/user:s3cret@git.example/r",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(TerminalError) as caught:
        git.check_url(url, git.NETWORK_SCHEMES)

    assert caught.value.reason == "HostNotAllowed"
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize(
    "ref",
    [
        GitRef.model_construct(commit="abc123"),
        GitRef.model_construct(commit="--upload-pack=id"),
        GitRef(branch="main\nx"),
        GitRef(branch="ma*n"),
        GitRef(branch="a..b"),
        GitRef(tag="v1\0"),
        GitRef(tag="v1^{}"),
    ],
    ids=str,
)
async def test_an_invalid_ref_is_refused_without_a_request(
    ref: GitRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(TerminalError) as caught:
        await git.resolve_ref(URL, ref)

    assert caught.value.reason == "RefNotFound"


async def test_a_missing_git_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FeatureLineageError, match="install git") as caught:
        await git.resolve_ref(URL, GitRef(branch="main"))

    assert caught.value.reason == "SourceUnreachable"


@pytest.fixture
def slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that holds a lock file for long and removes it when it is asked to end."""
    lock = tmp_path / "index.lock"
    script = tmp_path / "git"
    script.write_text(
        f"#!/bin/sh\ntrap 'rm {lock}; exit 1' TERM\ntouch {lock}\n"
        "for _ in $(seq 200); do sleep 0.05; done\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(git_process, "GRACE_SECONDS", 60.0)  # also on a busy machine
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return lock


async def test_a_cancelled_git_leaves_no_lock(slow_git: Path) -> None:
    running = asyncio.create_task(run_git("fetch", url=URL))
    while not slow_git.exists():
        await asyncio.sleep(0.01)

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert not slow_git.exists()


async def test_a_git_cancelled_while_it_starts_leaves_no_lock(slow_git: Path) -> None:
    running = asyncio.create_task(run_git("fetch", url=URL))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the process exists; the event loop has not connected its pipes
    while not slow_git.exists():
        time.sleep(0.01)  # blocks the event loop

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert not slow_git.exists()


async def test_a_git_that_times_out_leaves_no_lock(slow_git: Path) -> None:
    with pytest.raises(TransientError, match=f"{URL}: git fetch did not end within 1 s"):
        async with within(1, URL, "git fetch"):
            await run_git("fetch", url=URL)

    assert not slow_git.exists()


async def test_only_the_first_mib_of_output_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "git"
    script.write_text("#!/bin/sh\nyes refs | head -c 8000000\nyes words | head -c 8000000 >&2\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert len(await run_git("ls-remote", url=URL)) == 1024 * 1024


async def test_only_the_end_of_the_errors_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "git"
    script.write_text(
        "#!/bin/sh\nyes words | head -c 8000000 >&2\necho >&2\necho the end >&2\nexit 1\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    tracemalloc.start()
    try:
        with pytest.raises(TransientError, match="git ls-remote: the end;"):
            await run_git("ls-remote", url=URL)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4_000_000


async def test_git_has_these_settings_and_variables_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the machine, of its user or of the operator."""
    script = tmp_path / "git"
    script.write_text(
        f"#!{sys.executable} -IS\n"
        "import json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("GIT_TRACE_CURL", f"{tmp_path}/trace")

    words, variables = json.loads(await run_git("ls-remote", "--", URL, url=URL))

    settings = ["http.followRedirects=false", "core.hooksPath=/dev/null", "gc.autoDetach=false"]
    assert words == [*(w for each in settings for w in ("-c", each)), "ls-remote", "--", URL]
    proxies = {n: v for n, v in os.environ.items() if n in git_process.PROXIES}
    variables.pop("LC_CTYPE", None)  # Python sets it
    assert variables == {
        **proxies,
        "PATH": path,
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_SSH": "false",
        "GIT_SSH_VARIANT": "ssh",
    }


@pytest.mark.parametrize("url", ["ext::touch ran", "ssh://git@git.example/r", "http://127.0.0.1/r"])
async def test_git_itself_refuses_what_a_check_let_through(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also ssh without the options of the operator."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(FeatureLineageError):
        await run_git("ls-remote", "--", url, url=URL)

    assert not (tmp_path / "ran").exists()


async def test_the_memory_limit_holds_for_git_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "git"
    script.write_text(
        f"#!{sys.executable} -IS\n"
        "import resource\nprint(*resource.getrlimit(resource.RLIMIT_DATA))\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    before = resource.getrlimit(resource.RLIMIT_DATA)

    assert await run_git("ls-remote", url=URL, memory=2**28) == f"{2**28} {2**28}\n"
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_only_a_whole_commit_of_a_listed_ref_is_read() -> None:
    output = f"{'a' * 39}\trefs/heads/a\n{'b' * 40}\trefs/heads/b\nwarning\trefs/heads/c\n"

    assert git.commit_of(output, ["refs/heads/b"]) == "b" * 40
    assert [git.commit_of(output, [f"refs/heads/{name}"]) for name in "acd"] == [None] * 3
