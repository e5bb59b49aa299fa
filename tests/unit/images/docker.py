"""Archives as buildah writes them, with layers of nothing."""

import io
import json
import tarfile
from pathlib import Path


def docker_archive(path: Path, sizes: dict[str, int], links: dict[str, str]) -> Path:
    """With layers of `sizes` bytes, and `links` from one layer to another."""
    with tarfile.open(path, "w") as archive:
        for name, size in sizes.items():
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, io.BytesIO(b"0" * size))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
        manifest = json.dumps([{"Layers": [*sizes, *links]}]).encode()
        member = tarfile.TarInfo("manifest.json")
        member.size = len(manifest)
        archive.addfile(member, io.BytesIO(manifest))
    return path
