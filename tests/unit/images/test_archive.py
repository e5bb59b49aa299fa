"""What is told of an image is read from its archive; only a whole archive counts."""

import json
import os
from pathlib import Path
from typing import Any

from images.archive import KEPT, Built, forget_others, found, layers
from images.build import table
from tests.unit.images.docker import docker_archive


def noted(archive: Path) -> Built:
    """An archive as `write` leaves it."""
    archive.write_bytes(b"")
    facts: dict[str, Any] = {
        "reference": "localhost/runner:1",
        "size": 732_000_000,
        "own": 514_000_000,
    }
    archive.with_suffix(".json").write_text(json.dumps(facts))
    return Built(archive=archive, **facts)


def test_linked_layer_has_the_size_of_its_target(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", {"x.tar": 512, "y.tar": 7}, {"z.tar": "x.tar"})

    assert layers(archive) == [512, 7, 512]


def test_an_archive_is_found_only_with_its_note(tmp_path: Path) -> None:
    whole = noted(tmp_path / "runner-1-aa.tar")
    (tmp_path / "runner-1-bb.tar").write_bytes(b"")

    seen = [found(tmp_path / f"runner-1-{digest}.tar") for digest in ("aa", "bb", "cc")]

    assert seen == [whole, None, None]


def test_the_newest_archives_of_an_image_stay(tmp_path: Path) -> None:
    for age in range(KEPT + 2):
        archive = tmp_path / f"runner-1-{age}.tar"
        noted(archive)
        os.utime(archive, (1000 - age, 1000 - age))
    others = {"runner-2-0", "runner-1-redis-0"}
    for other in others:
        noted(tmp_path / f"{other}.tar")

    forget_others(tmp_path / "runner-1-0.tar")

    kept = {file.name for file in tmp_path.iterdir()}
    wanted = {f"runner-1-{age}" for age in range(KEPT)} | others
    assert kept == {f"{name}.{ending}" for name in wanted for ending in ("tar", "json")}


def test_the_table_has_a_line_for_each_image(tmp_path: Path) -> None:
    built = Built("localhost/runner:1", Path("/c/runner.tar"), size=732_400_000, own=514_000_000)

    assert table([built]) == (
        "image               size    own layers  archive\n"
        "localhost/runner:1  732 MB  514 MB      /c/runner.tar\n"
    )
