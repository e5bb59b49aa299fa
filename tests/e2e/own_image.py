"""The image of a repository, by the Containerfile in docs/images.md, on a runner with an extra."""

import re
from typing import Final

from tests.unit.docs.pages import ROOT, section

EXTRA: Final = "redis"
PACKAGE: Final = "haversine"
"""Pure Python and small; the runner does not need it."""
REQUIREMENTS: Final = f"{PACKAGE}==2.9.0\n"
ADDED: Final = {PACKAGE, "redis", "hiredis"}
"""Packages that the lock of the runner does not contain."""

_FROM: Final = re.compile(r"^(FROM localhost/feature-lineage-runner:)\S+$", re.MULTILINE)


def containerfile(tag: str) -> str:
    """The documented Containerfile, on the runner with the tag `tag`."""
    page = section(ROOT / "docs" / "images.md", "## A repository's own packages")
    (documented,) = re.findall(r"^```\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    content, replaced = _FROM.subn(rf"\g<1>{tag}", documented)
    assert replaced == 1
    return content
