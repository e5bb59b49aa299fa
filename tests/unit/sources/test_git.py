"""Git: what its last words mean, and how it is ended."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from feature_lineage.errors import AccessRefused, FeatureLineageError, NotFound, TransientError
from feature_lineage.sources import git


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "fatal: unable to access 'https://git.example/': The requested URL returned error: 403",
            AccessRefused,
            id="the server refuses",
        ),
        pytest.param("git@git.example: Permission denied (publickey).", AccessRefused, id="ssh"),
        pytest.param(
            "fatal: remote error: upload-pack: not our ref 403a1d0c", TransientError, id="an id"
        ),
        pytest.param("remote: Repository not found.", NotFound, id="no repository"),
    ],
)
def test_what_git_says_is_told_apart(text: str, expected: type[FeatureLineageError]) -> None:
    assert type(git._failure("fetch", text)) is expected


@pytest.fixture
def slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that holds a lock file for long and takes it away when it is asked to end."""
    lock = tmp_path / "index.lock"
    script = tmp_path / "git"
    script.write_text(
        f"#!/bin/sh\ntrap 'rm {lock}; exit 1' TERM\ntouch {lock}\n"
        "for _ in $(seq 200); do sleep 0.05; done\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return lock


async def test_a_git_that_is_called_off_leaves_no_lock(slow_git: Path) -> None:
    running = asyncio.create_task(git.run_git("fetch", timeout=30))
    while not slow_git.exists():
        await asyncio.sleep(0.01)

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert not slow_git.exists()


async def test_a_git_that_takes_too_long_leaves_no_lock(slow_git: Path) -> None:
    with pytest.raises(TransientError, match="did not end within"):
        await git.run_git("fetch", timeout=1)

    assert not slow_git.exists()
