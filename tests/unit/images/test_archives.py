"""The archives of `tests/e2e` are those of the current checkout, and are built once."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import images
from tests.e2e.image_files import layer_sizes
from tests.e2e.images import CHECKOUT, KEPT, SOURCES, digest

BUILD = """\
#!/bin/sh
cd "$(dirname "$0")/.."
echo "$TAG $EXTRAS" >>builds
# A source changes during the first build.
[ "$(wc -l <builds)" -gt 1 ] || echo >>LICENSE
[ -z "$ARCHIVES" ] || mkdir -p "$ARCHIVES"
"""
SLOW_TO_CLEAR = """\
#!/bin/bash
trap 'sleep 1; echo cleared >>"$FOLDER/builds"; exit 130' INT
: >"$FOLDER/started"
while :; do sleep 0.1; done
"""
CALL = """
import subprocess, sys
from pathlib import Path
from tests.e2e import images

images.CHECKOUT = Path(sys.argv[1])
pipes, wait = iter([images.CHECKOUT / "waiting"]), subprocess.Popen.wait

def waiting(*arguments):
    for pipe in pipes:
        pipe.write_text("")
    return wait(*arguments)

subprocess.Popen.wait = waiting
images.images()
"""
"""Build the archives; open `waiting` when another process waits for the build."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Small sources, and an `images/build` that records its calls in `builds`."""
    for source in SOURCES:
        path = tmp_path / source
        if (CHECKOUT / source).is_dir():
            path.mkdir()
            path /= "file"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    write_build(tmp_path, BUILD)
    monkeypatch.setattr(images, "CHECKOUT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images.images.cache_clear()
    yield tmp_path
    images.images.cache_clear()


def write_build(checkout: Path, script: str) -> None:
    program = checkout / "images" / "build"
    program.write_text(script)
    program.chmod(0o755)


def built(checkout: Path) -> list[str]:
    return (checkout / "builds").read_text().splitlines()


def archives() -> Path:
    images.images.cache_clear()
    return images.images().operator.archive.parent


def test_a_source_that_changes_during_a_build_is_built_again(checkout: Path) -> None:
    folder = archives()

    assert folder.name == digest()
    assert list(folder.parent.iterdir()) == [folder]
    assert built(checkout) == 2 * ["e2e ", "e2e-redis redis", "e2e "]


def test_what_was_built_is_not_built_again(checkout: Path) -> None:
    first = archives()

    assert archives() == first
    assert len(built(checkout)) == 6


def test_the_newest_archives_stay(checkout: Path) -> None:
    folders = []
    for number in range(KEPT + 1):
        (checkout / "README.md").write_text(str(number))
        folders.append(archives())
        os.utime(folders[-1], (number, number))

    assert set(folders[0].parent.iterdir()) == set(folders[1:])


@pytest.mark.parametrize("source", SOURCES)
def test_a_changed_source_is_another_digest(checkout: Path, source: str) -> None:
    before = digest()
    path = checkout / source
    (path / "new" if path.is_dir() else path).write_text("new")

    assert digest() != before


def test_byte_code_does_not_change_the_digest(checkout: Path) -> None:
    before = digest()
    cached = checkout / "operator" / "__pycache__"
    cached.mkdir()
    (cached / "new.pyc").touch()

    assert digest() == before


def test_the_digest_has_all_that_the_containerfile_copies() -> None:
    content = (CHECKOUT / "images" / "Containerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", content, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}

    assert sources >= {"operator", "pyproject.toml"}
    assert {s for s in sources if not s.startswith("images/")} == set(SOURCES) - {"images"}


def test_an_interrupt_waits_until_the_store_is_clear(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDER", str(checkout))
    write_build(checkout, SLOW_TO_CLEAR)
    for pipe in ("started", "waiting"):
        os.mkfifo(checkout / pipe)
    process = subprocess.Popen(
        [sys.executable, "-c", CALL, checkout],
        cwd=CHECKOUT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for pipe in ("started", "waiting"):
        (checkout / pipe).read_text()

    os.killpg(process.pid, signal.SIGINT)
    status = process.wait(60)

    assert status == -signal.SIGINT
    assert built(checkout) == ["cleared"]


def test_a_layer_that_is_a_link_has_the_size_of_its_target(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    with tarfile.open(path, "w") as archive:
        manifest = json.dumps([{"Layers": ["x.tar", "y.tar", "z.tar"]}]).encode()
        for name, content in {
            "x.tar": b"0" * 512,
            "y.tar": b"0" * 7,
            "manifest.json": manifest,
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("z.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "x.tar"
        archive.addfile(link)

    assert layer_sizes(path) == [512, 7, 512]
