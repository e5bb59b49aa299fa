"""A repository's own image, as docs/images.md has it built: its Containerfile, on a runner with one
of Feast's extras."""

import hashlib
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from images import build
from images.buildah import Buildah
from tests.unit.docs.pages import ROOT, section

EXTRA: Final = "redis"
PACKAGE: Final = "haversine"
"""Pure Python and small; nothing else of the runner needs it."""
REQUIREMENTS: Final = f"{PACKAGE}==2.9.0\n"
ADDED: Final = {PACKAGE, "redis", "hiredis"}
"""Packages that the runner's lock does not have."""

_FROM: Final = re.compile(r"^(FROM localhost/feature-lineage-runner:)\S+$", re.MULTILINE)


@dataclass(frozen=True)
class OwnImage:
    """How it is made, for `images.keeping`."""

    tag: str
    name: str = "ranking-runner"

    @property
    def reference(self) -> str:
        return f"localhost/{self.name}:{self.tag}"

    @property
    def runner(self) -> build.OfCheckout:
        """What it stands on; nobody imports that, so there is no archive of it."""
        return build.recipe("runner", f"{self.tag}-{EXTRA}", base=None, extras=(EXTRA,))

    def digest(self) -> str:
        made_of = "\n".join((self.runner.digest(), self.containerfile(), REQUIREMENTS))
        return hashlib.sha256(made_of.encode()).hexdigest()[:16]

    def build(self, buildah: Buildah, log: Path, seen: Callable[[str], None]) -> str:
        inherited = self.runner.build(buildah, log.with_suffix(".base.log"), seen)
        with tempfile.TemporaryDirectory(prefix="own-image-") as folder:
            (Path(folder) / "Containerfile").write_text(self.containerfile())
            (Path(folder) / "requirements.txt").write_text(REQUIREMENTS)
            command = ["--file", f"{folder}/Containerfile", "--tag", self.reference, folder]
            buildah.build(self.reference, log, command, seen)
        return inherited

    def containerfile(self) -> str:
        """That of the docs, on this runner."""
        page = section(ROOT / "docs" / "images.md", "## A repository's own packages")
        (documented,) = re.findall(r"^```\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        content, replaced = _FROM.subn(rf"\g<1>{self.runner.tag}", documented)
        assert replaced == 1
        return content
