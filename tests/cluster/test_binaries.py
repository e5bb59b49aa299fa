"""The source of the Kubernetes programs: a named folder, or one build."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.cluster.binaries import BUILDS, KUBERNETES, Build, ProgramMissing, binary, built
from tests.cluster.binaries import cache_folder as cache_of

ROOT = Path(__file__).parents[2]
HELLO = 'package main\n\nfunc main() { println("hello") }\n'


@pytest.fixture(autouse=True)
def nothing_is_remembered():
    binary.cache_clear()
    yield
    binary.cache_clear()


@pytest.fixture
def module(tmp_path):
    """A Go module that builds in a second."""
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "go.mod").write_text("module hello\n\ngo 1.26.0\n")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text(HELLO)
    return Build(module=str(folder), package="hello")


def program(folder: Path, name: str, says: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_kubebuilder_assets_come_before_a_build(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    there = program(tmp_path, "kube-apiserver", f"Kubernetes v{KUBERNETES}")

    assert binary("kube-apiserver") == there


def test_assets_of_another_version_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    program(tmp_path, "kube-apiserver", "Kubernetes v1.29.0")

    with pytest.raises(ProgramMissing) as refused:
        binary("kube-apiserver")

    minor = KUBERNETES.rpartition(".")[0]
    assert f"Kubernetes v1.29.0: the tests are about {minor}" in str(refused.value)


def test_assets_without_a_program_say_what_belongs_there(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

    with pytest.raises(ProgramMissing, match="has no etcd: point it at a folder with kube-apis"):
        binary("etcd")


def test_what_assets_never_hold_is_taken_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = cache_of(BUILDS["kube-controller-manager"])
    folder.mkdir(parents=True)
    cached = program(folder, "kube-controller-manager", "")

    assert binary("kube-controller-manager") == cached


def test_without_go_the_message_says_which_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ProgramMissing, match=r"there is no go: install Go 1\.26\.0 or later"):
        built("etcd", BUILDS["etcd"], tmp_path / "cache")


def test_another_content_of_a_module_is_another_folder(module):
    before = cache_of(module)

    (Path(module.module) / "go.sum").write_text("something else\n")

    assert cache_of(module) != before
    assert cache_of(Build(module.module, module.package, "-X a=b")) != cache_of(module)


def test_two_processes_build_once(module, tmp_path):
    script = textwrap.dedent(f"""
        from pathlib import Path
        from tests.cluster.binaries import Build, built
        print(built("hello", {module!r}, Path({str(tmp_path / "cache")!r})))
    """)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], said
    assert sum("built hello in" in stderr for _, stderr in said) == 1
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {".lock", "hello"}
    ran = subprocess.run([tmp_path / "cache" / "hello"], capture_output=True, text=True, check=True)
    assert ran.stderr == "hello\n"


def test_a_build_that_fails_leaves_nothing_and_says_why(module, tmp_path):
    (Path(module.module) / "main.go").write_text("package main\n")

    with pytest.raises(ProgramMissing, match="function main is undeclared"):
        built("hello", module, tmp_path / "cache")

    assert {path.name for path in (tmp_path / "cache").iterdir()} == {".lock"}


def test_the_version_is_built_in(control_plane):
    assert f"Server Version: v{KUBERNETES}" in control_plane.kubectl("version")
