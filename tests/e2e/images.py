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
from images.keeping import kept
from tests.e2e.own_image import OwnImage

TAG: Final = "e2e"
OWN_LIMITS: Final = {"operator": 200e6, "runner": 550e6}
"""In bytes: of the layers that are not the base's."""


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


@cache
def own() -> Built:
    """A repository's, which stands on a runner; only a node that needs it imports it."""
    return kept(OwnImage(TAG))


def images() -> Images:
    operator, runner = built()
    return Images(operator.archive, runner.archive, operator.reference, runner.reference)


def sizes() -> str:
    """What is to be told of them in one line."""
    return "; ".join(
        f"{image.name} {image.size / 1e6:.0f} MB, {image.own / 1e6:.0f} of them its own"
        f" (limit {OWN_LIMITS[image.name] / 1e6:.0f})"
        for image in built()
    )


if __name__ == "__main__":
    sys.exit(build.tell(lambda: [*built(), own()]))
