"""The images that the pods of the tests run: from this checkout, on a Debian made here.

``python -m tests.e2e.images`` builds them ahead: the tests themselves run where no network is.
"""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from images.archive import Built
from images.build import image, table
from images.buildah import BuildFailed, say

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
    return image("operator", TAG, base=None), image("runner", TAG, base=None)


def images() -> Images:
    operator, runner = built()
    return Images(operator.archive, runner.archive, operator.reference, runner.reference)


def main() -> int:
    try:
        sys.stdout.write(table(list(built())))
    except BuildFailed as failure:
        say(str(failure))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
