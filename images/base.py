"""A Debian to stand on, made on this machine: for where no registry is, such as the tests.

It has Python, Git and ssh, of the release that this machine runs, from the mirror that its own apt
uses. It is made once for each content of this recipe; security updates come with a new one.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from images.buildah import Buildah, BuildFailed, say

PACKAGES: Final = ("ca-certificates", "git", "openssh-client", "python3", "python3-venv")
UNREAD: Final = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)
"""Folders whose content nobody reads in a container: half of what debootstrap makes."""
APT: Final = Path("/etc/apt")
OS_RELEASE: Final = Path("/etc/os-release")


def debian(buildah: Buildah, logs: Path) -> str:
    """The name of the base in buildah's store; makes it where it is not, in a minute or two.

    Raises:
        BuildFailed: it cannot be made here.
    """
    suite = release()
    name = base_name(suite, mirror(suite))
    if not buildah.has(name):
        _make(buildah, name, suite, mirror(suite), logs / "base.log")
    return name


def base_name(suite: str, url: str) -> str:
    """Another recipe is another name."""
    recipe = repr((suite, url, PACKAGES, UNREAD)).encode()
    return f"localhost/feature-lineage-base:{suite}-{hashlib.sha256(recipe).hexdigest()[:12]}"


def release() -> str:
    """The code name of this machine's Debian or Ubuntu."""
    if OS_RELEASE.exists():
        for line in OS_RELEASE.read_text(encoding="utf-8").splitlines():
            if line.startswith("VERSION_CODENAME="):
                return line.partition("=")[2].strip('"')
    raise BuildFailed(f"{OS_RELEASE} names no release of Debian: name an image with --base")


def mirror(suite: str) -> str:
    """The first that apt asks for `suite` with its main packages.

    Raises:
        BuildFailed: apt has none.
    """
    for url, suites, components in _sources():
        if suite in suites and "main" in components:
            return url
    raise BuildFailed(f"no source of apt in {APT} has {suite} main: name an image with --base")


def _sources() -> Iterator[tuple[str, list[str], list[str]]]:
    """Each source of binary packages, in both notations of apt."""
    folder = APT / "sources.list.d"
    for file in sorted(folder.glob("*.sources")):
        for stanza in file.read_text(encoding="utf-8").split("\n\n"):
            lines = [line for line in stanza.splitlines() if line and line[0] not in "# "]
            fields = {
                key.lower(): value.split()
                for key, _, value in (line.partition(":") for line in lines)
            }
            if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
                for url in fields.get("uris", []):
                    yield url, fields.get("suites", []), fields.get("components", [])
    for file in (APT / "sources.list", *sorted(folder.glob("*.list"))):
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            words = line.partition("]")[2].split() if "[" in line else line.split()[1:]
            if line.split()[:1] == ["deb"] and len(words) > 2:
                yield words[0], [words[1]], words[2:]


def _make(buildah: Buildah, name: str, suite: str, url: str, log: Path) -> None:
    program = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise BuildFailed("there is no debootstrap: install it, or name an image with --base")
    if os.geteuid() != 0:
        raise BuildFailed("debootstrap needs root: run this as root, or name an image with --base")
    say(f"making a base of {suite} from {url} (log: {log}) …")
    container = buildah("from", "scratch")
    root = Path(buildah("mount", container))
    command = [program, "--variant=minbase", f"--include={','.join(PACKAGES)}", suite]
    buildah.watched("debootstrap", log, [*command, str(root), url], lambda _: None)
    for folder in UNREAD:
        for path in (root / folder).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    buildah("config", "--cmd", "python3", container)
    buildah("commit", "--quiet", "--rm", container, name)
