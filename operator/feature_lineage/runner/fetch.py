"""Puts the repo of a pod where the worker finds it: from Git, from a ConfigMap, from the image."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from feature_lineage.errors import NotFound, TerminalError
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.pod_protocol import GitCheckout, PodRequest
from feature_lineage.runner.errors import InvalidRepo, SteppedBack
from feature_lineage.sources import git
from feature_lineage.sources.credential import git_environment
from feature_lineage.sources.tree import defining_files, files_revision

SCHEMES: Final = frozenset({"https", "ssh"})
POINTER: Final = b"version https://git-lfs.github.com/spec/"
MAX_POINTER_BYTES: Final = 1024


def fetch(order: PodRequest, home: Path) -> Path:
    """The folder of feature_store.yaml, at the revision the request names.

    Args:
        home: where it is put; kept by nobody.

    Raises:
        SteppedBack: the ConfigMap is not what it was when the operation was decided on.
        NotFound: the commit, or the folder in it, is gone.
        InvalidRepo: the folder leads out of the repo, or is not all there.
        FeatureLineageError: as `sources.git` says.
    """
    repo = home / "repo"
    if order.git is not None:
        return asyncio.run(_from_git(order.git, order.request.revision, repo, home / "git"))
    if order.files:
        return _from_files(Path(order.files), order, repo)
    if order.folder:
        folder = Path(order.folder)
        if not folder.is_dir():
            raise NotFound(
                f"the image has no folder {folder}; check source.image.path and spec.runtime.image",
                reason="RefNotFound",
            )
        return folder
    repo.mkdir(parents=True, exist_ok=True)
    return repo


async def _from_git(order: GitCheckout, commit: str, repo: Path, private: Path) -> Path:
    git.check_url(order.url, SCHEMES)
    _check_programs(order.url)
    environment = git_environment(
        order.url,
        _contents(Path(order.credential)) if order.credential else None,
        _authorities(Path(order.ca_file)) if order.ca_file else None,
        private,
    )
    await git.check_out(order.url, commit, repo, environment=environment)
    folder = _folder_of(order, commit, repo)
    _check_content(order, commit, folder)
    return folder


def _check_programs(url: str) -> None:
    """A tenant's image need not have them."""
    for program in ("git", "ssh") if urlsplit(url).scheme == "ssh" else ("git",):
        if shutil.which(program) is None:
            raise TerminalError(
                f"{url}: the image has no {program}; build spec.runtime.image on the runner's",
                reason="RunnerIncompatible",
            )


def _folder_of(order: GitCheckout, commit: str, repo: Path) -> Path:
    root = Path(os.path.realpath(repo))
    folder = Path(os.path.realpath(root / order.path.replace("\0", "\N{REPLACEMENT CHARACTER}")))
    if not folder.is_relative_to(root):
        raise InvalidRepo(
            f"{order.url} at {commit[:12]}: {order.path} leads out of the repository; correct "
            "source.git.path, or the link"
        )
    if not folder.is_dir():
        raise NotFound(
            f"{order.url} at {commit[:12]} has no folder {order.path}; check source.git.path",
            reason="RefNotFound",
        )
    return folder


def _check_content(order: GitCheckout, commit: str, folder: Path) -> None:
    """Git LFS is not spoken: a definition that lies there is not here."""
    for path in defining_files(folder):
        small = path.stat().st_size <= MAX_POINTER_BYTES
        if small and path.read_bytes().startswith(POINTER):
            raise InvalidRepo(
                f"{order.url} at {commit[:12]}: {path.relative_to(folder)} is a pointer of Git "
                "LFS, which is not fetched; keep what defines features in Git itself"
            )


def _authorities(mounted: Path) -> bytes:
    try:
        return mounted.read_bytes()
    except OSError as error:
        raise TerminalError(f"{mounted} cannot be read: {error}", reason="JobFailed") from error


def _from_files(mounted: Path, order: PodRequest, repo: Path) -> Path:
    contents = {name.replace("__", "/"): value for name, value in _contents(mounted).items()}
    request = order.request
    exact = KINDS[request.kind].imports_repo_code
    if exact and files_revision(contents) != request.revision:
        raise SteppedBack(
            "the ConfigMap changed since the operation was decided on; its newest state is next",
            reason="Progressing",
        )
    root = repo.resolve()
    for name, value in contents.items():
        path = (root / name).resolve()
        if not path.is_relative_to(root) or path == root:
            raise InvalidRepo(f"ConfigMap key {name!r} leads out of the repository")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InvalidRepo(
                f"ConfigMap key {name!r} is a file where another key needs a folder"
            ) from error
    return repo


def _contents(mounted: Path) -> dict[str, bytes]:
    """Keys and values of a mounted Secret or ConfigMap; ``..data`` is the kubelet's own."""
    try:
        return {
            path.name: path.read_bytes()
            for path in sorted(mounted.iterdir())
            if not path.name.startswith("..")
        }
    except OSError as error:
        raise TerminalError(f"{mounted} cannot be read: {error}", reason="JobFailed") from error
