"""The archive of an image, which containerd, podman and docker import; how much of it is ours."""

import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from images.buildah import Buildah

KEPT: Final = 3
"""Archives of one image: that of the last change and of the branch before."""


@dataclass(frozen=True)
class Built:
    """An image in an archive.

    Attributes:
        reference: what it is called once imported.
        archive: path of the docker archive.
        size: of all layers, in bytes, unpacked.
        own: of those that are not the base's.
    """

    reference: str
    archive: Path
    size: int
    own: int

    @property
    def name(self) -> str:
        """Of `IMAGES`."""
        return self.reference.partition(":")[0].rpartition("-")[2]


def found(archive: Path) -> Built | None:
    """What was written before, whole; the note is written last."""
    note = _note(archive)
    if not (note.exists() and archive.exists()):
        return None
    archive.touch()
    return Built(archive=archive, **json.loads(note.read_text(encoding="utf-8")))


def write(buildah: Buildah, reference: str, base: str, archive: Path) -> None:
    """Take an image out of buildah's store."""
    draft = archive.with_suffix(".partial")
    buildah("push", "--quiet", reference, f"docker-archive:{draft}:{reference}")
    sizes = layers(draft)
    inherited = len(_layers_of(buildah, base))
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    draft.rename(archive)
    note = archive.with_suffix(".note.partial")
    size, own = sum(sizes), sum(sizes[inherited:])
    facts = {"reference": reference, "size": size, "own": own}
    note.write_text(json.dumps(facts), encoding="utf-8")
    note.rename(_note(archive))


def forget_others(archive: Path) -> None:
    """Keep the newest of a name and tag: an archive is several hundred megabytes."""
    archives = [file for file in archive.parent.glob("*.tar") if _image(file) == _image(archive)]
    archives.sort(key=lambda file: file.stat().st_mtime)
    for old in archives[:-KEPT]:
        _note(old).unlink(missing_ok=True)
        old.unlink()


def layers(archive: Path) -> list[int]:
    """Their sizes, from the bottom up."""
    with tarfile.open(archive) as opened:
        manifest: Any = json.load(opened.extractfile("manifest.json"))  # type: ignore[arg-type]
        sizes = {member.name: member for member in opened}
        return [_real(sizes, name).size for name in manifest[0]["Layers"]]


def _real(members: dict[str, tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    """A layer that is there twice is a link to the first."""
    member = members[name]
    return _real(members, os.path.normpath(member.linkname)) if member.issym() else member


def _layers_of(buildah: Buildah, image: str) -> list[str]:
    inspected = json.loads(buildah("inspect", "--type", "image", image))
    digests: list[str] = inspected["OCIv1"]["rootfs"]["diff_ids"]
    return digests


def _image(archive: Path) -> str:
    """What the name says, without the digest; the tag may have a hyphen, too."""
    return archive.name.rpartition("-")[0]


def _note(archive: Path) -> Path:
    return archive.with_suffix(".json")
