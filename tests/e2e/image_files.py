"""Reads the files of an image from its archive, without running or mounting the image."""

import json
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHITEOUT = ".wh."


def layer_sizes(archive: Path) -> list[int]:
    """Return the unpacked size of each layer in bytes, from the lowest layer up."""
    with tarfile.TarFile(archive) as outer:
        return [outer.getmember(name).size for name in _layer_members(outer)]


@dataclass(frozen=True)
class Entry:
    """A path in a layer."""

    member: tarfile.TarInfo
    layer: tarfile.TarFile


class ImageFiles:
    """An open archive.

    Attributes:
        config: configuration of the image: its user, entry point and labels.
        layers: from the lowest layer up, each by path without a leading slash.
    """

    def __init__(self, archive: Path) -> None:
        self._open = ExitStack()
        outer = self._open.enter_context(tarfile.TarFile(archive))
        config = _json(outer, "manifest.json")[0]["Config"]
        self.config: dict[str, Any] = _json(outer, config)["config"]
        self.layers = [self._layer(outer, name) for name in _layer_members(outer)]
        self.files = dict(self._merged())

    def close(self) -> None:
        self._open.close()

    def read(self, path: str, limit: int = -1) -> bytes:
        entry = self.files[path]
        content = entry.layer.extractfile(entry.member)
        assert content is not None
        return content.read(limit)

    def above(self, own: int) -> dict[str, Entry]:
        """Return the content of the topmost layers, which together have `own` bytes."""
        found: dict[str, Entry] = {}
        for layer in reversed(self.layers):
            if own <= 0:
                break
            own -= layer.size
            found = {**layer.entries, **found}
        return found

    def _layer(self, outer: tarfile.TarFile, name: str) -> "Layer":
        content = outer.extractfile(name)
        layer = self._open.enter_context(tarfile.TarFile(fileobj=content))
        entries = {member.name.strip("/"): Entry(member, layer) for member in layer}
        return Layer(outer.getmember(name).size, entries)

    def _merged(self) -> Iterator[tuple[str, Entry]]:
        merged: dict[str, Entry] = {}
        for layer in self.layers:
            gone = [
                posixpath.join(posixpath.dirname(path), posixpath.basename(path)[len(WHITEOUT) :])
                for path in layer.entries
                if posixpath.basename(path).startswith(WHITEOUT)
            ]
            for path in list(merged):
                if any(path == lost or path.startswith(f"{lost}/") for lost in gone):
                    del merged[path]
            merged.update(layer.entries)
        return iter(merged.items())


@dataclass(frozen=True)
class Layer:
    """One layer: its unpacked size in bytes, and its content."""

    size: int
    entries: dict[str, Entry]


def _json(archive: tarfile.TarFile, name: str) -> Any:
    content = archive.extractfile(name)
    assert content is not None
    return json.load(content)


def _layer_members(outer: tarfile.TarFile) -> list[str]:
    """Return the members with the layers. A layer that occurs twice is a link to the first copy."""
    members = map(outer.getmember, _json(outer, "manifest.json")[0]["Layers"])
    return [
        posixpath.normpath(member.linkname) if member.issym() else member.name for member in members
    ]
