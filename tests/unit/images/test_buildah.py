"""A build that fails tells why; one that is interrupted leaves nothing behind that runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from images.buildah import Buildah, BuildFailed

# What a script puts into the background is deaf to SIGINT until it says otherwise, as `build` does.
SCRIPT = """
import signal, sys
from pathlib import Path
from images.buildah import Buildah

signal.signal(signal.SIGINT, signal.default_int_handler)
folder = Path(sys.argv[1])
child = f"import os, time; held = open('{folder}/held', 'w'); os.fork(); time.sleep(600)"
command = [sys.executable, "-c", child]
Buildah(folder).watched("the build", folder / "log", command, lambda _: None)
"""


@pytest.fixture
def buildah(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Buildah:
    """With a program that only says what it was asked."""
    program = tmp_path / "bin" / "buildah"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return Buildah(tmp_path)


def test_a_failed_build_ends_with_what_it_last_said(buildah: Buildah, tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no space left on device; exit 3"]

    with pytest.raises(BuildFailed, match=r"(?s)the runner failed; .*log ends:.*no space left"):
        buildah.watched("the runner", tmp_path / "log", command, lambda _: None)


def test_drafts_of_a_killed_build_are_cleared_before_the_next(
    buildah: Buildah, tmp_path: Path
) -> None:
    draft = tmp_path / "runner-1-aa.partial"
    draft.touch()

    with buildah.alone():
        assert not draft.exists()


def test_a_machine_without_buildah_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BuildFailed, match="apt-get install buildah"):
        Buildah(tmp_path)


def test_an_interrupt_ends_what_the_build_started(buildah: Buildah, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "held")
    builder = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)])

    with (tmp_path / "held").open() as held:
        builder.send_signal(signal.SIGINT)

        assert held.read() == ""
    assert builder.wait(30) != 0
