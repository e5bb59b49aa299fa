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
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Final

from images.archive import Built, forget_others, found, write
from images.base import base_name, debian, mirror, release
from images.buildah import Buildah, BuildFailed, say
from images.inputs import CHECKOUT, FEAST, IMAGES, Wanted, digest, version

CONTAINERFILE: Final = CHECKOUT / "images" / "Containerfile"
_STAGE: Final = re.compile(r"\[\d+/\d+\] STEP 1/\d+: FROM \S+ AS (\S+)")


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    try:
        built = [
            image(name, options.tag, options.base, extras=options.extras if name == FEAST else ())
            for name in options.names
        ]
    except BuildFailed as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        say("interrupted: what was not finished is gone")
        return 130
    sys.stdout.write(table(built))
    return 0


def image(name: str, tag: str, base: str | None, extras: tuple[str, ...] = ()) -> Built:
    """One image in its archive, built unless it is there.

    Args:
        name: of `IMAGES`.
        tag: of the image.
        base: an image that buildah finds, "" for the Containerfile's own, None for one made here.
        extras: of Feast; the runner only.

    Raises:
        BuildFailed: it cannot be built.
    """
    suite = release() if base is None else ""
    wanted = Wanted(name, tag, base_name(suite, mirror(suite)) if base is None else base, extras)
    folder = cache_folder()
    if built := found(_archive(folder, wanted)):
        return built
    buildah = Buildah(folder)
    with buildah.alone():
        while (built := found(archive := _archive(folder, wanted))) is None:
            if base is None:
                debian(buildah, folder)
            _build(buildah, wanted, archive)
    return built


def _archive(folder: Path, wanted: Wanted) -> Path:
    return folder / f"{wanted.name}-{wanted.tag}-{digest(wanted)}.tar"


def _build(buildah: Buildah, wanted: Wanted, archive: Path) -> None:
    """Build into `archive`; writes nothing if the checkout changed under the build."""
    log = archive.parent / f"{wanted.name}.log"
    say(f"building {wanted.reference} (log: {log}) …")
    began = time.monotonic()

    def progress(line: str) -> None:
        if stage := _STAGE.match(line):
            said(stage[1])

    def said(text: str) -> None:
        say(f"{time.monotonic() - began:6.0f} s  {text}")

    command = ["--file", str(CONTAINERFILE), "--target", wanted.name, "--tag", wanted.reference]
    command += ["--ignorefile", str(CHECKOUT / ".containerignore")]
    for argument, value in wanted.arguments().items():
        command += ["--build-arg", f"{argument}={value}"]
    buildah.build(wanted.reference, log, [*command, str(CHECKOUT)], progress)
    if archive != _archive(archive.parent, wanted):
        said("the checkout changed meanwhile: once more")
        return
    said(f"writing {archive}")
    write(buildah, wanted, wanted.base or default_base(), archive)
    buildah.forget_old()
    forget_others(archive)
    said("done")


def default_base() -> str:
    """What the Containerfile stands on where nothing is said."""
    content = CONTAINERFILE.read_text(encoding="utf-8")
    return next(re.finditer(r"^ARG BASE=(\S+)$", content, re.MULTILINE))[1]


def cache_folder() -> Path:
    """Where archives and layers are kept, of this user."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "feature-lineage-operator" / "images"


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
