"""`source.configMapRef`: a small feature repo in the keys of a ConfigMap."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.refs import ObjectRef
from feature_lineage.errors import TerminalError
from feature_lineage.operations.pod_protocol import PodSource
from feature_lineage.reasons import Reason
from feature_lineage.shorten import cut
from feature_lineage.sources.interface import SourceChanged, SourceHost, SourceKind
from feature_lineage.sources.pod_mounts import MOUNTS, PodMount, mounted_keys
from feature_lineage.sources.tree import files_revision

REPO_DIR: Final = f"{MOUNTS}/repo"


class ConfigMapSourceKind(SourceKind[ObjectRef]):
    """A key is the name of a file; ``__`` in it is replaced by ``/``."""

    pod_field = "files"

    async def resolve(self, spec: ObjectRef, project: FeatureStoreProject, host: SourceHost) -> str:
        return files_revision(await _files(spec, project, host))

    async def prepare(
        self,
        spec: ObjectRef,
        project: FeatureStoreProject,
        host: SourceHost,
        revision: str,
        home: Path,
        *,
        exact: bool,
    ) -> Path:
        return _write(await _files(spec, project, host), revision if exact else "", home)

    def pod_source(self, spec: ObjectRef) -> PodSource:
        return PodSource(files=REPO_DIR)

    def mounts(self, spec: ObjectRef) -> tuple[PodMount, ...]:
        return (PodMount("repo", {"configMap": {"name": spec.name}}, REPO_DIR),)

    def fetch(self, value: str, revision: str, home: Path, *, exact: bool) -> Path:
        files = _named(mounted_keys(Path(value)))
        return _write(files, revision if exact else "", home / "repo")


async def _files(
    spec: ObjectRef, project: FeatureStoreProject, host: SourceHost
) -> dict[str, bytes]:
    return _named(await host.objects.contents("ConfigMap", project.metadata.namespace, spec.name))


def _named(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    return {key.replace("__", "/"): value for key, value in contents.items()}


def _write(files: Mapping[str, bytes], revision: str, home: Path) -> Path:
    """Write the repo's files and remove other Python files; data stays.

    Args:
        revision: of the files; "" for any.

    Raises:
        SourceChanged: the files have another revision.
        TerminalError: a key is no path in the repo.
    """
    if revision and files_revision(files) != revision:
        raise SourceChanged(
            "the ConfigMap changed since the operation was decided; its newest state is used next"
        )
    home.mkdir(parents=True, exist_ok=True)
    root = home.resolve()
    names: dict[Path, str] = {}
    for name, content in files.items():
        path = _path(root, name)
        other = names.setdefault(path, name)
        if other != name:
            raise TerminalError(
                f"ConfigMap keys {other!r} and {name!r} are the same file; rename one",
                reason=Reason.INVALID_REPO,
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise TerminalError(
                f"ConfigMap key {name!r} is a file where another key needs a folder; rename one",
                reason=Reason.INVALID_REPO,
            ) from error
    for path in sorted(root.rglob("*.py")):
        if path not in names and not path.is_dir():
            path.unlink()
    for cache in root.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)
    return home


def _path(root: Path, name: str) -> Path:
    """The file of a key.

    Raises:
        TerminalError: the key is no path in the repository, or one that no file system has.
    """
    possible = "\0" not in name and all(len(part.encode()) <= 255 for part in name.split("/"))
    path = (root / name).resolve() if possible else root
    if not path.is_relative_to(root) or path == root:
        raise TerminalError(
            f"ConfigMap key {cut(name, 300)!r} leads out of the repository, or is no file name; "
            "rename the key",
            reason=Reason.INVALID_REPO,
        )
    return path
