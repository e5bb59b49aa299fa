"""A repository's own image by the Containerfile in docs/images.md, on a runner with an extra."""

import re
from typing import Final

from tests.unit.docs.pages import ROOT, section

EXTRA: Final = "redis"
PACKAGE: Final = "haversine"
"""Pure Python and small; nothing else of the runner needs it."""
REQUIREMENTS: Final = f"{PACKAGE}==2.9.0\n"
ADDED: Final = {PACKAGE, "redis", "hiredis"}
"""Packages that the runner's lock does not have."""

_FROM: Final = re.compile(r"^(FROM localhost/feature-lineage-runner:)\S+$", re.MULTILINE)


def containerfile(tag: str) -> str:
    """The documented one, on the runner of `tag`."""
    page = section(ROOT / "docs" / "images.md", "## A repository's own packages")
    (documented,) = re.findall(r"^```\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    content, replaced = _FROM.subn(rf"\g<1>{tag}", documented)
    assert replaced == 1
    return content
