"""Puts the repo of a pod where the worker finds it: from Git, from a ConfigMap, from the image."""

import asyncio
from pathlib import Path

from feature_lineage.errors import NotFound, TerminalError
from feature_lineage.operations.delivery import GitOrder, Order
from feature_lineage.operations.protocol import OperationKind
from feature_lineage.runner.ending import InvalidRepo, SteppedBack
from feature_lineage.sources import git
from feature_lineage.sources.credential import git_environment
from feature_lineage.sources.tree import files_revision

SCHEMES = frozenset({"https", "ssh"})
IMPORTING = (OperationKind.APPLY, OperationKind.PLAN)


def fetch(order: Order, home: Path) -> Path:
    """The folder of feature_store.yaml, at the revision the request names.

    Args:
        home: where it is put; kept by nobody.

    Raises:
        SteppedBack: the ConfigMap is not what it was when the operation was decided on.
        NotFound: the commit, or the folder in it, is gone.
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


async def _from_git(order: GitOrder, commit: str, repo: Path, private: Path) -> Path:
    git.check_url(order.url, SCHEMES)
    environment = git_environment(
        order.url,
        _contents(Path(order.credential)) if order.credential else {},
        Path(order.ca_file).read_bytes() if order.ca_file else b"",
        private,
    )
    await git.check_out(order.url, commit, repo, environment=environment)
    folder = (repo / order.path).resolve()
    if not folder.is_relative_to(repo.resolve()) or not folder.is_dir():
        raise NotFound(
            f"{order.url} at {commit[:12]} has no folder {order.path}; check source.git.path",
            reason="RefNotFound",
        )
    return folder


def _from_files(mounted: Path, order: Order, repo: Path) -> Path:
    contents = {name.replace("__", "/"): value for name, value in _contents(mounted).items()}
    request = order.request
    if request.kind in IMPORTING and files_revision(contents) != request.revision:
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
