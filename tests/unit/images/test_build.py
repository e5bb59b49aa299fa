"""What is in an archive is what its name says, whoever edits the checkout meanwhile."""

import os
import shutil
from pathlib import Path

import pytest
from images import build, inputs
from images.inputs import CHECKOUT, Wanted, digest
from tests.unit.images.docker import docker_archive

BUILDAH = """\
#!/bin/sh
# Somebody saves a file while the first image is built.
cd "$FOLDER"
case " $* " in
  *" build "*) echo "$*" >>builds; [ "$(wc -l <builds)" -gt 1 ] || echo >>LICENSE ;;
  *" push "*) for last; do :; done; last=${last#docker-archive:}; cp layers.tar "${last%%:*}" ;;
  *" inspect "*) echo '{"OCIv1": {"rootfs": {"diff_ids": ["sha256:0"]}}}' ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what goes in, and a buildah that builds layers of nothing."""
    for name in ("operator", "requirements", "images"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, tmp_path)
    docker_archive(tmp_path / "layers.tar", {"base.tar": 700, "ours.tar": 30}, {})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "buildah").write_text(BUILDAH)
    (tmp_path / "bin" / "buildah").chmod(0o755)
    monkeypatch.setattr(inputs, "CHECKOUT", tmp_path)
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def test_checkout_changed_during_a_build_is_built_again(checkout: Path) -> None:
    built = build.image("runner", "1", base="debian")

    wanted = Wanted("runner", "1", "debian")
    assert built.archive.name == f"runner-1-{digest(wanted)}.tar"
    assert list(built.archive.parent.glob("*.tar")) == [built.archive]
    assert len((checkout / "builds").read_text().splitlines()) == 2


def test_what_was_built_is_not_built_again(checkout: Path) -> None:
    first = build.image("runner", "1", base="debian")

    assert build.image("runner", "1", base="debian") == first
    assert (first.size, first.own) == (730, 30)
    assert len((checkout / "builds").read_text().splitlines()) == 2


def test_arguments_reach_the_containerfile(checkout: Path) -> None:
    build.image("runner", "1", base="debian", extras=("redis", "aws"))

    line = (checkout / "builds").read_text().splitlines()[-1]
    assert "--target runner --tag localhost/feature-lineage-runner:1 " in line
    assert "--build-arg BASE=debian " in line
    assert "--build-arg EXTRAS=redis,aws " in line


def test_unknown_image_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        build.main(["jobs"])

    assert "there is no jobs; there are operator, runner" in capsys.readouterr().err
