"""Finds the Kubernetes programs for the tests, or builds them once from pinned Go modules.

`KUBEBUILDER_ASSETS` names a folder with kube-apiserver, etcd and kubectl, as `setup-envtest`
creates it. Without the variable, all programs are built from the modules in `kubernetes/` into a
cache of this user, once for each content of the modules; with it, only the programs that the folder
lacks.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

KUBERNETES: Final = "1.36.4"
MODULES: Final = Path(__file__).parent / "kubernetes"

_MAJOR, _MINOR, _ = KUBERNETES.split(".")
_LEAN: Final = "-s -w"
_VERSION: Final = "k8s.io/component-base/version"
_KUBE_FLAGS: Final = " ".join(
    (
        _LEAN,
        f"-X {_VERSION}.gitVersion=v{KUBERNETES}",
        f"-X {_VERSION}.gitMajor={_MAJOR}",
        f"-X {_VERSION}.gitMinor={_MINOR}",
    )
)
_ASSETS: Final = ("kube-apiserver", "etcd", "kubectl")


class ProgramMissing(RuntimeError):
    """A program is missing and cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Build:
    """How to build one program.

    Attributes:
        module: folder below `MODULES`; its files pin all versions.
        package: the main package of the program.
        ldflags: flags for the linker.
    """

    module: str
    package: str
    ldflags: str = _LEAN


BUILDS: Final = {
    "kube-apiserver": Build("kube", "k8s.io/kubernetes/cmd/kube-apiserver", _KUBE_FLAGS),
    "kube-controller-manager": Build(
        "kube", "k8s.io/kubernetes/cmd/kube-controller-manager", _KUBE_FLAGS
    ),
    "kubectl": Build("kube", "k8s.io/kubernetes/cmd/kubectl", _KUBE_FLAGS),
    "etcd": Build("etcd", "go.etcd.io/etcd/server/v3"),
    "helm": Build("helm", "helm.sh/helm/v4/cmd/helm"),
    # Programs of a node, for `tests/e2e`.
    "kube-scheduler": Build("kube", "k8s.io/kubernetes/cmd/kube-scheduler", _KUBE_FLAGS),
    "kubelet": Build("kube", "k8s.io/kubernetes/cmd/kubelet", _KUBE_FLAGS),
    "kube-proxy": Build("kube", "k8s.io/kubernetes/cmd/kube-proxy", _KUBE_FLAGS),
    "coredns": Build("coredns", "."),
    "pause": Build("pause", "."),
}


@cache
def binary(name: str) -> Path:
    """Return the path of a program. The first call may take minutes; it then prints this to stderr.

    Raises:
        ProgramMissing: the program cannot be found or built.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and name in _ASSETS:
        return _asset(Path(assets), name)
    return built(name, BUILDS[name], cache_folder(BUILDS[name]))


def cache_folder(build: Build) -> Path:
    """Return the folder for the programs of a module; another content has another folder."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha256(build.ldflags.encode())
    for file in sorted((MODULES / build.module).iterdir()):
        digest.update(file.read_bytes())
    folder = f"kubernetes-{KUBERNETES}-{build.module}-{digest.hexdigest()[:12]}"
    return Path(root) / "feature-lineage-operator" / folder


def built(name: str, build: Build, folder: Path) -> Path:
    """Build a program into `folder` if it is missing; of several processes only one builds it."""
    program = folder / name
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        raise ProgramMissing(
            f"{name} has to be built and there is no go: install Go"
            f" {_go_version(build.module)} or later, or set KUBEBUILDER_ASSETS to a folder with"
            f" {', '.join(_ASSETS)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / ".lock"):
        if not program.exists():
            _build(go, name, build, program)
    return program


def _build(go: str, name: str, build: Build, program: Path) -> None:
    began = time.monotonic()
    _progress(f"building {name} of {build.module} (minutes where Go's cache is cold) …")
    draft = program.with_name(f".{name}.{os.getpid()}")
    command = [go, "build", "-trimpath", "-mod=readonly", "-ldflags", build.ldflags]
    done = subprocess.run(
        [*command, "-o", str(draft), build.package],
        cwd=MODULES / build.module,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        draft.unlink(missing_ok=True)
        raise ProgramMissing(f"building {name} failed:\n{done.stderr[-3000:]}")
    draft.rename(program)
    _progress(f"built {name} in {time.monotonic() - began:.0f} s: {program}")


def _asset(folder: Path, name: str) -> Path:
    program = folder / name
    if not program.exists():
        raise ProgramMissing(
            f"KUBEBUILDER_ASSETS is {folder}, which has no {name}: point it at a folder with"
            f" {', '.join(_ASSETS)}, or unset it and they are built"
        )
    if name == "kube-apiserver":
        version = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True
        ).stdout
        if f" v{_MAJOR}.{_MINOR}." not in version:
            raise ProgramMissing(
                f"KUBEBUILDER_ASSETS is {folder} with {version.strip()}: the tests are about"
                f" {_MAJOR}.{_MINOR}"
            )
    return program


def _go_version(module: str) -> str:
    lines = (MODULES / module / "go.mod").read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("go ") for line in lines if line.startswith("go "))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _progress(f"another process builds into {path.parent}: waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _progress(text: str) -> None:
    """Print past pytest's capture, so that a user sees why the tests wait for minutes."""
    print(f"test-cluster: {text}", file=sys.__stderr__, flush=True)


def main() -> None:
    """Build the programs that are named, or all programs."""
    for name in sys.argv[1:] or BUILDS:
        print(binary(name))


if __name__ == "__main__":
    main()
