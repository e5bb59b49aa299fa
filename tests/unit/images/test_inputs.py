"""An image is made anew when something changed that it is made of, and only then."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from images import inputs
from images.inputs import CHECKOUT, Wanted, digest

import feature_lineage

RUNNER = Wanted("runner", "1")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what goes in, to be changed."""
    for name in ("operator", "requirements", "images"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, tmp_path)
    monkeypatch.setattr(inputs, "CHECKOUT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "file",
    [
        "images/Containerfile",
        "images/tools.txt",
        "operator/feature_lineage/new.py",
        "pyproject.toml",
        "requirements/runner.txt",
    ],
)
def test_a_changed_file_is_another_image(checkout: Path, file: str) -> None:
    before = digest(RUNNER)
    with (checkout / file).open("a") as changed:
        changed.write("\n")

    assert digest(RUNNER) != before


def test_byte_code_and_the_other_images_lock_change_nothing(checkout: Path) -> None:
    before = digest(RUNNER)
    cached = checkout / "operator" / "feature_lineage" / "__pycache__"
    cached.mkdir(exist_ok=True)
    (cached / "new.pyc").touch()
    (checkout / "requirements" / "operator.txt").write_text("")

    assert digest(RUNNER) == before


def test_tag_base_and_extras_make_another_image() -> None:
    wanted = [
        RUNNER,
        replace(RUNNER, tag="2"),
        replace(RUNNER, base="debian"),
        replace(RUNNER, extras=("redis",)),
        replace(RUNNER, name="operator"),
    ]

    assert len(set(map(digest, wanted))) == len(wanted)


def test_the_version_is_that_of_the_package() -> None:
    assert inputs.version() == feature_lineage.__version__


def test_what_is_not_said_is_left_to_the_containerfile() -> None:
    given = [RUNNER.arguments(), replace(RUNNER, base="a:1", extras=("redis", "aws")).arguments()]

    version = feature_lineage.__version__
    assert given == [
        {"VERSION": version},
        {"BASE": "a:1", "VERSION": version, "EXTRAS": "redis,aws"},
    ]
