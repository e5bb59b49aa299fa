"""Build the container images of operator and runner into archives that containerd imports.

Nothing is built whose inputs (this checkout, the locks, the arguments) are those of an archive that
is there. Import one by `ctr --namespace k8s.io image import ARCHIVE`, `podman load --input ARCHIVE`
or `docker load --input ARCHIVE`.

examples:
  python -m images.build                                     both, on the Containerfile's base
  python -m images.build --base registry.example.org/python:3.12-slim
  python -m images.build --debootstrap                       on a Debian made here: no registry
  python -m images.build runner --extras redis,snowflake     what your feature repositories need
"""

import argparse
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from images.archive import Built
from images.base import base_name, debian, mirror, release
from images.buildah import Buildah, BuildFailed, say
from images.inputs import CHECKOUT, FEAST, IMAGES, Wanted, digest, version
from images.keeping import kept

CONTAINERFILE: Final = CHECKOUT / "images" / "Containerfile"


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    return tell(
        lambda: [
            image(name, options.tag, options.base, extras=options.extras if name == FEAST else ())
            for name in options.names
        ]
    )


def tell(build: Callable[[], list[Built]]) -> int:
    """Print the table of what is built, or why it is not; the status for the shell."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    try:
        built = build()
    except BuildFailed as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        say("interrupted: what was not finished is gone")
        return 130
    sys.stdout.write(table(built))
    return 0


def image(name: str, tag: str, base: str | None, extras: tuple[str, ...] = ()) -> Built:
    """One image in its archive, built unless it is there; arguments as those of `recipe`.

    Raises:
        BuildFailed: it cannot be built.
    """
    return kept(recipe(name, tag, base, extras))


def recipe(name: str, tag: str, base: str | None, extras: tuple[str, ...] = ()) -> "OfCheckout":
    """How one image of the checkout is made.

    Args:
        name: of `IMAGES`.
        tag: of the image.
        base: an image that buildah finds, "" for the Containerfile's own, None for one made here.
        extras: of Feast; the runner only.
    """
    if base is not None:
        return OfCheckout(Wanted(name, tag, base, extras))
    suite = release()
    return OfCheckout(Wanted(name, tag, base_name(suite, mirror(suite)), extras), base_is_made=True)


@dataclass(frozen=True)
class OfCheckout:
    """An image of the checkout, from its Containerfile."""

    wanted: Wanted
    base_is_made: bool = False

    @property
    def name(self) -> str:
        return self.wanted.name

    @property
    def tag(self) -> str:
        return self.wanted.tag

    @property
    def reference(self) -> str:
        return self.wanted.reference

    def digest(self) -> str:
        return digest(self.wanted)

    def build(self, buildah: Buildah, log: Path, seen: Callable[[str], None]) -> str:
        if self.base_is_made:
            debian(buildah, log.parent)
        command = ["--file", str(CONTAINERFILE), "--target", self.name, "--tag", self.reference]
        command += ["--ignorefile", str(CHECKOUT / ".containerignore")]
        for argument, value in self.wanted.arguments().items():
            command += ["--build-arg", f"{argument}={value}"]
        buildah.build(self.reference, log, [*command, str(CHECKOUT)], seen)
        return self.wanted.base or default_base()


def default_base() -> str:
    """What the Containerfile stands on where nothing is said."""
    content = CONTAINERFILE.read_text(encoding="utf-8")
    return next(re.finditer(r"^ARG BASE=(\S+)$", content, re.MULTILINE))[1]


def table(built: list[Built]) -> str:
    """Each image, its size unpacked, and of that what is not the base's."""
    rows = [("image", "size", "own layers", "archive")]
    rows += [
        (one.reference, f"{one.size / 1e6:.0f} MB", f"{one.own / 1e6:.0f} MB", str(one.archive))
        for one in built
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m images.build",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="image", help=f"{' or '.join(IMAGES)}; both without"
    )
    parser.add_argument("--tag", default=version(), help=f"of the images; {version()}")
    base = parser.add_mutually_exclusive_group()
    base.add_argument(
        "--base",
        default="",
        metavar="IMAGE",
        help=f"a Debian or Ubuntu with Python 3.11 to 3.13 and venv; {default_base()}",
    )
    base.add_argument(
        "--debootstrap",
        dest="base",
        action="store_const",
        const=None,
        help="a base of this machine's Debian release, made here once (needs root)",
    )
    parser.add_argument(
        "--extras",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        metavar="A,B",
        help="extras of Feast, such as redis,snowflake, for the runner",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(IMAGES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(IMAGES)}")
    options.names = options.names or list(IMAGES)
    return options


if __name__ == "__main__":
    sys.exit(main())
