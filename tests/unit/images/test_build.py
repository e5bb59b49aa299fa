"""`images/build` with a buildah that records its commands; `tests/e2e` runs the real one."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.e2e.images import CHECKOUT

import feature_lineage

BUILDAH = """\
#!/bin/sh
shift 4 # --root and --runroot
echo "$*" >>"$FOLDER/commands"
case $1 in
  build) [ ! -p "$FOLDER/building" ] || exec cat "$FOLDER/building"
    for word; do
      case $word in type=local,dest=*) written=${word#*dest=}
        [ ! -e "$FOLDER/no-sbom" ] || exit 1
        mkdir "$written" && echo components >"$written/sbom.cdx.json" ;;
      esac
    done ;;
  push) for archive; do :; done; archive=${archive#docker-archive:}
    [ ! -e "${archive%%:*}" ] || exit 1 # as the real one
    echo layers >"${archive%%:*}"
    [ ! -e "$FOLDER/full" ] ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a test: `dist` gets the archives.

    A build hangs while the file `building` is a pipe; a push fails if the file `full` exists.
    """
    program = tmp_path / "bin" / "buildah"
    program.parent.mkdir()
    program.write_text(BUILDAH)
    program.chmod(0o755)
    for variable in ("BASE", "EXTRAS", "TAG", "SSL_CERT_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ARCHIVES", str(tmp_path / "dist"))
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def start(*names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [CHECKOUT / "images" / "build", *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def build(*names: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    process = start(*names)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def commands(folder: Path, verb: str) -> list[str]:
    """Return the commands of buildah that begin with `verb`."""
    lines = (folder / "commands").read_text().splitlines()
    return [line for line in lines if line.split()[0] == verb]


def builds(folder: Path) -> list[str]:
    """Return the commands that build an image, without those that write what an image contains."""
    return [line for line in commands(folder, "build") if " --output " not in line]


def written(folder: Path) -> set[str]:
    return {path.name for path in (folder / "dist").glob("*")}


def both(name: str) -> list[str]:
    """Return the names of the archive of an image, and of the list of its content."""
    return [f"{name}.tar", f"{name}.cdx.json"]


def test_both_images_are_built_by_default(folder: Path) -> None:
    status, out, _ = build()

    version = feature_lineage.__version__
    names = [f"feature-lineage-{name}" for name in ("operator", "runner")]
    assert status == 0
    files = [file for name in names for file in both(f"{name}-{version}")]
    assert out.splitlines() == [str(folder / "dist" / file) for file in files]
    assert written(folder) == set(files)
    for line, name in zip(builds(folder), names, strict=True):
        assert f"--target {name.rpartition('-')[2]} --build-arg VERSION={version} " in line
        assert f"--tag localhost/{name}:{version} {CHECKOUT}" in line
        assert "BASE=" not in line


def test_variables_reach_the_containerfile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BASE": "debian:12", "EXTRAS": "redis,aws", "TAG": "1-redis"}.items():
        monkeypatch.setenv(name, value)

    build()

    operator, runner = builds(folder)
    assert "--build-arg BASE=debian:12 " in operator
    assert "--build-arg BASE=debian:12 --build-arg EXTRAS=redis,aws " in runner
    assert "EXTRAS" not in operator
    assert written(folder) == {
        file for n in ("operator", "runner") for file in both(f"feature-lineage-{n}-1-redis")
    }


def test_certificates_are_mounted_for_the_build(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = folder / "bundle.crt"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))

    build("operator")

    (line,) = builds(folder)
    assert f"--volume {bundle}:/etc/ssl/certs/ca-certificates.crt:ro " in line


def test_no_archive_is_written_without_a_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVES", "")

    assert build("runner")[:2] == (0, "")
    assert commands(folder, "push") == []


def test_the_content_is_listed_with_the_arguments_of_the_image(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the list would be that of another image, such as the runner without extras."""
    monkeypatch.setenv("EXTRAS", "redis")

    build("runner")

    image, content = commands(folder, "build")
    assert "--build-arg EXTRAS=redis" in image
    same, target, rest = content.partition(" --target runner-sbom --output ")
    assert image.startswith(f"{same} --tag ")
    assert (bool(target), rest.split()[-1]) == (True, str(CHECKOUT))
    listed = folder / "dist" / f"feature-lineage-runner-{feature_lineage.__version__}.cdx.json"
    assert listed.read_text() == "components\n"


def test_an_image_whose_content_cannot_be_listed_is_not_written(folder: Path) -> None:
    (folder / "no-sbom").touch()

    assert build("operator")[:2] == (1, "")
    assert written(folder) == set()


def test_a_folder_is_built_by_its_own_containerfile(folder: Path) -> None:
    own = folder / "ranking-runner"
    own.mkdir()
    (own / "Containerfile").touch()

    build(str(own))

    (line,) = builds(folder)
    version = feature_lineage.__version__
    assert line.endswith(f" --tag localhost/ranking-runner:{version} {own}")
    assert "--target" not in line
    assert written(folder) == {f"ranking-runner-{version}.tar"}


def test_an_unknown_image_is_refused_before_any_build(folder: Path) -> None:
    status, _, err = build("runner", "jobs")

    assert status == 1
    assert err == (
        "images/build: there is no image jobs;"
        " name operator, runner or a folder that has a Containerfile\n"
    )
    assert not (folder / "commands").exists()


def test_a_missing_buildah_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bash").symlink_to("/bin/bash")
    monkeypatch.setenv("PATH", str(tmp_path))

    status, _, err = build()

    assert status == 1
    assert "there is no buildah; install it (on Debian: apt-get install buildah)" in err


def test_a_failed_push_leaves_no_archive(folder: Path) -> None:
    (folder / "full").touch()

    assert build("operator")[:2] == (1, "")
    assert written(folder) == set()


def test_what_a_killed_build_left_is_removed_first(folder: Path) -> None:
    archive = f"feature-lineage-operator-{feature_lineage.__version__}.tar"
    (folder / "dist").mkdir()
    (folder / "dist" / f"{archive}.partial").touch()

    assert build("operator")[0] == 0
    assert (folder / "commands").read_text().splitlines()[0] == "rm --all"
    assert written(folder) == {archive, archive.replace(".tar", ".cdx.json")}


def test_an_archive_of_before_is_replaced(folder: Path) -> None:
    build("operator")
    archive = folder / "dist" / f"feature-lineage-operator-{feature_lineage.__version__}.tar"
    archive.write_text("before")

    assert build("operator")[0] == 0
    assert archive.read_text() == "layers\n"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_removes_working_containers(folder: Path, sign: signal.Signals) -> None:
    os.mkfifo(folder / "building")
    process = start("operator")

    with (folder / "building").open("w"):
        before = len(commands(folder, "rm"))
        os.killpg(process.pid, sign)
        process.communicate(timeout=60)

    assert process.returncode != 0
    assert commands(folder, "rm")[before:] == ["rm --all"]
    assert written(folder) == set()


def test_a_second_build_waits_for_the_first(folder: Path) -> None:
    os.mkfifo(folder / "building")
    first = start("operator")

    with (folder / "building").open("w"):
        second = start("operator")
        assert second.stderr is not None
        waiting = second.stderr.readline()
        (folder / "building").unlink()
        built_meanwhile = len(builds(folder))

    assert waiting == "images/build: waiting for another build\n"
    assert built_meanwhile == 1
    assert [
        process.communicate(timeout=60) and process.returncode for process in (first, second)
    ] == [0, 0]
    assert len(builds(folder)) == 2
