"""The images that the pods of the tests run, built from this checkout by `images/build`.

debootstrap creates their base, because a test machine may have no access to an image registry.
``python -m tests.e2e.images`` builds the images in advance, because the sandbox of the tests has no
network.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.e2e.image_files import layer_sizes
from tests.e2e.own_image import EXTRA, REQUIREMENTS, containerfile

CHECKOUT: Final = Path(__file__).parents[2]
SOURCES: Final = (
    "images",
    "operator",
    "requirements/operator.txt",
    "requirements/runner.txt",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
"""Files and folders of the checkout from which the images are built."""
TAG: Final = "e2e"
ABOVE_BASE_LIMITS: Final = {"operator": 200e6, "runner": 550e6}
"""Sizes in bytes of the layers above the base."""
KEPT: Final = 3
"""Number of sets of archives to keep, of 2 GB each: other checkouts have their own sets."""


@dataclass(frozen=True)
class Image:
    """An image in an archive.

    Attributes:
        kind: operator or runner.
        name: name of the image.
        folder: folder of the archive.
    """

    kind: str
    name: str
    folder: Path

    @property
    def reference(self) -> str:
        """The name of the image in a node that imported the archive."""
        return f"localhost/{self.name}:{TAG}"

    @property
    def archive(self) -> Path:
        return self.folder / f"{self.name}-{TAG}.tar"

    @property
    def content(self) -> Path:
        """The document of CycloneDX that lists what the image contains."""
        return self.archive.with_suffix(".cdx.json")

    @property
    def size(self) -> int:
        """Return the unpacked size of all layers in bytes."""
        return sum(layer_sizes(self.archive))

    @property
    def above_base(self) -> int:
        """Return the size of the layers above the base; a debootstrap base is one layer."""
        return sum(layer_sizes(self.archive)[1:])


@dataclass(frozen=True)
class Images:
    """The images of the operator, of the runner, and of a repository, built on a runner."""

    operator: Image
    runner: Image
    own: Image


@cache
def images() -> Images:
    """Return the images; a build takes minutes, and is skipped if no source has changed."""
    folder = _archives()
    return Images(
        Image("operator", "feature-lineage-operator", folder),
        Image("runner", "feature-lineage-runner", folder),
        Image("runner", "ranking-runner", folder),
    )


def sizes() -> str:
    return "; ".join(
        f"{image.kind} {image.size / 1e6:.0f} MB, {image.above_base / 1e6:.0f} MB above the base"
        f" (limit {ABOVE_BASE_LIMITS[image.kind] / 1e6:.0f})"
        for image in (images().operator, images().runner)
    )


def digest() -> str:
    """Return the digest of all files from which the archives are built."""
    found = hashlib.sha256(f"{containerfile(TAG)}{REQUIREMENTS}".encode())
    for file in (Path("/etc/os-release"), *_files()):
        content = file.read_bytes()
        found.update(f"{file.relative_to(file.anchor)} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:16]


def _files() -> Iterator[Path]:
    for source in SOURCES:
        path = CHECKOUT / source
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


def _archives() -> Path:
    """Return the folder of the archives; a lock prevents that two processes build the same."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    sets = root / "feature-lineage-operator" / "images" / "e2e"
    sets.mkdir(parents=True, exist_ok=True)
    with (sets.parent / "e2e.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # A source that changes during a build may be in one image only: build again.
        while not (found := sets / digest()).is_dir():
            with tempfile.TemporaryDirectory(prefix="partial-", dir=sets) as partial:
                _build(Path(partial))
                if found.name == digest():
                    os.sync()
                    (Path(partial) / "archives").rename(found)
        found.touch()
        for old in sorted(sets.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old)
        return found


def _build(folder: Path) -> None:
    archives = str(folder / "archives")
    _images_build("operator", "runner", TAG=TAG, EXTRAS="", ARCHIVES=archives)
    # The node does not import the runner with an extra: the repository's image has its layers.
    _images_build("runner", TAG=f"{TAG}-{EXTRA}", EXTRAS=EXTRA, ARCHIVES="")
    own = folder / "ranking-runner"
    own.mkdir()
    (own / "Containerfile").write_text(containerfile(f"{TAG}-{EXTRA}"), encoding="utf-8")
    (own / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")
    _images_build(str(own), TAG=TAG, ARCHIVES=archives)


def _images_build(*names: str, **variables: str) -> None:
    environment = {**os.environ, "BASE": "debootstrap", **variables}
    command = [str(CHECKOUT / "images" / "build"), *names]
    with subprocess.Popen(command, env=environment, stdout=sys.stderr) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            # The terminal interrupts the script too, and the script then removes its store.
            with suppress(KeyboardInterrupt):
                process.wait()
            raise
    if status != 0:
        raise RuntimeError(f"{' '.join(command)} failed with status {status}; its output is above")


if __name__ == "__main__":
    images()
    print(sizes())
