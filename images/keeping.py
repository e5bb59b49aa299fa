"""An image is built once for its inputs, into an archive that is kept.

Whoever wants one says how it is made and of what: those of the checkout in `images.build`, and an
image that stands on one of them wherever it is needed.
"""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from images.archive import Built, forget_others, found, write
from images.buildah import Buildah, say

_STAGE: Final = re.compile(r"\[\d+/\d+\] STEP 1/\d+: FROM \S+ AS (\S+)")


class Recipe(Protocol):
    """How an image is made, and of what.

    Attributes:
        name: with `tag`, of its archives; alone, of its log.
        reference: what it is called once imported.
    """

    @property
    def name(self) -> str: ...

    @property
    def tag(self) -> str: ...

    @property
    def reference(self) -> str: ...

    def digest(self) -> str:
        """Of everything that makes it, as it is now."""

    def build(self, buildah: Buildah, log: Path, seen: Callable[[str], None]) -> str:
        """Make it in buildah's store, under its reference.

        Returns:
            The image whose layers are not its own.
        """


def kept(recipe: Recipe) -> Built:
    """The image in its archive, built unless it is there.

    Raises:
        BuildFailed: it cannot be built.
    """
    folder = cache_folder()
    if built := found(_archive(folder, recipe)):
        return built
    buildah = Buildah(folder)
    with buildah.alone():
        while (built := found(archive := _archive(folder, recipe))) is None:
            _build(buildah, recipe, archive)
    return built


def cache_folder() -> Path:
    """Where archives and layers are kept, of this user."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "feature-lineage-operator" / "images"


def _archive(folder: Path, recipe: Recipe) -> Path:
    return folder / f"{recipe.name}-{recipe.tag}-{recipe.digest()}.tar"


def _build(buildah: Buildah, recipe: Recipe, archive: Path) -> None:
    """Build into `archive`; writes nothing if an input changed under the build."""
    log = archive.parent / f"{recipe.name}.log"
    say(f"building {recipe.reference} (log: {log}) …")
    began = time.monotonic()

    def progress(line: str) -> None:
        if stage := _STAGE.match(line):
            said(stage[1])

    def said(text: str) -> None:
        say(f"{time.monotonic() - began:6.0f} s  {text}")

    inherited = recipe.build(buildah, log, progress)
    if archive != _archive(archive.parent, recipe):
        said("the checkout changed meanwhile: once more")
        return
    said(f"writing {archive}")
    write(buildah, recipe.reference, inherited, archive)
    buildah.forget_old()
    forget_others(archive)
    said("done")
