"""Finds changed files by their times and sizes, which is cheap enough for every second."""

from collections.abc import Iterable
from pathlib import Path

from feature_lineage.errors import FeatureLineageError
from feature_lineage.local.folder import manifest_files
from feature_lineage.sources.tree import defining_files

Signature = tuple[tuple[str, int, int], ...]


class FileWatch:
    """Compares times and sizes of files with those of the last call.

    Args:
        folder: of manifests.
        state: the state folder, which is not watched.
    """

    def __init__(self, folder: Path, state: Path) -> None:
        self._folder = folder
        self._state = state
        self._manifests = self._manifest_signature()
        self._repos: dict[Path, Signature] = {}

    def manifests_changed(self) -> bool:
        before, self._manifests = self._manifests, self._manifest_signature()
        return before != self._manifests

    def repo_changed(self, repo: Path) -> bool:
        """Whether definitions of a repo changed since the last call; False at the first one."""
        try:
            now = _signature(defining_files(repo)) if repo.is_dir() else ()
        except (FeatureLineageError, OSError):
            now = ()
        before = self._repos.get(repo)
        self._repos[repo] = now
        return before is not None and before != now

    def _manifest_signature(self) -> Signature:
        try:
            return _signature(manifest_files(self._folder, self._state))
        except OSError:
            return ()


def _signature(paths: Iterable[Path]) -> Signature:
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(found)
