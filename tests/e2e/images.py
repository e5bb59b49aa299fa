"""The images that the pods of the tests run: from this checkout, on a Debian made here.

``python -m tests.e2e.images`` builds them ahead: the tests themselves run where no network is.
"""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from images import build
from images.archive import Built

TAG: Final = "e2e"


@dataclass(frozen=True)
class Images:
    """Archives to import into a node, and what the images in them are called."""

    operator: Path
    runner: Path
    operator_tag: str
    runner_tag: str


@cache
def built() -> tuple[Built, Built]:
    """Operator and runner; minutes on a bare machine, milliseconds where nothing changed."""
    return build.image("operator", TAG, base=None), build.image("runner", TAG, base=None)


def images() -> Images:
    operator, runner = built()
    return Images(operator.archive, runner.archive, operator.reference, runner.reference)


if __name__ == "__main__":
    sys.exit(build.main(["--debootstrap", "--tag", TAG]))
