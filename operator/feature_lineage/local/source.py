"""Where the local host finds a project's feature repo, and at which revision it stands."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.sources import GitSource
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.errors import NotFound, TerminalError, WaitingError
from feature_lineage.local.objects import FolderObjects
from feature_lineage.objects import text_of
from feature_lineage.sources import git
from feature_lineage.sources.tree import files_revision, tree_revision

SCHEMES = frozenset({"https", "ssh", "file"})


class LocalSource:
    """`Source` of the local host: folders, Git repositories and ConfigMaps.

    Args:
        base: folder that relative paths in manifests start from.
        repos: where working trees of Git and ConfigMap sources live; what Feast writes beside the
            definitions (registry, online store) stays there from revision to revision.
        objects: the folder's Secrets and ConfigMaps.
    """

    def __init__(self, base: Path, repos: Path, objects: FolderObjects) -> None:
        self._base = base
        self._repos = repos
        self._objects = objects

    async def resolve(self, project: FeatureStoreProject) -> SourceFacts:
        spec, source = project.spec, project.spec.source
        replacement = None
        if spec.feature_store_yaml is not None:
            replacement = await text_of(
                self._objects, project.metadata.namespace, spec.feature_store_yaml
            )
        if source is None:
            return SourceFacts("", replacement)
        if source.git is not None:
            return SourceFacts(await _resolve_git(source.git), replacement)
        if source.config_map_ref is not None:
            return SourceFacts(files_revision(await self._files(project)), replacement)
        if source.local is not None:
            return SourceFacts(tree_revision(self._folder(project)), replacement)
        raise TerminalError(
            "source.image is a folder of the runner's image, and a local host has no images; "
            "use source.local",
            reason="RefNotFound",
        )

    async def prepare(self, project: FeatureStoreProject, revision: str, *, exact: bool) -> Path:
        """Put the repo at `revision` where a job can read it.

        Args:
            exact: the job imports the repo, so it must be that revision and no other.

        Raises:
            WaitingError: the folder changed since it was resolved.
            NotFound: the commit or the folder in it is gone.
        """
        source = project.spec.source
        home = self._repos / project.metadata.namespace / project.metadata.name
        if source is None:
            home.mkdir(parents=True, exist_ok=True)
            return home
        if source.git is not None:
            return await _check_out(source.git, revision, home)
        if source.config_map_ref is not None:
            files = await self._files(project)
            _write_files(home, files)
            found, folder = files_revision(files), home
        else:
            folder = self._folder(project)
            found = tree_revision(folder) if exact else revision
        if exact and found != revision:
            raise WaitingError(f"{folder} changed since it was looked at; its newest state is next")
        return folder

    def watched(self, project: FeatureStoreProject) -> Path | None:
        """The folder whose files a host should watch, None where there is none."""
        source = project.spec.source
        return self._folder(project) if source is not None and source.local is not None else None

    def _folder(self, project: FeatureStoreProject) -> Path:
        assert project.spec.source is not None
        assert project.spec.source.local is not None
        return (self._base / project.spec.source.local.path).resolve()

    async def _files(self, project: FeatureStoreProject) -> dict[str, bytes]:
        assert project.spec.source is not None
        assert project.spec.source.config_map_ref is not None
        name = project.spec.source.config_map_ref.name
        contents = await self._objects.contents("ConfigMap", project.metadata.namespace, name)
        return {key.replace("__", "/"): value for key, value in contents.items()}


async def _resolve_git(source: GitSource) -> str:
    git.check_url(source.url, SCHEMES)
    if source.secret_ref is not None or source.ca_bundle is not None:
        raise TerminalError(
            "the local host hands no credentials to Git; clone the repository yourself "
            "and use source.local",
            reason="AuthFailed",
        )
    ref = source.ref
    return await git.resolve_ref(
        source.url,
        git.GitRef(branch=ref.branch or "", tag=ref.tag or "", commit=ref.commit or ""),
    )


async def _check_out(source: GitSource, commit: str, home: Path) -> Path:
    # Another URL is another repository: what lies in the folder does not belong to it.
    tree = home / hashlib.sha256(source.url.encode()).hexdigest()[:12]
    await git.check_out(source.url, commit, tree)
    folder = (tree / source.path).resolve()
    if not folder.is_relative_to(tree.resolve()) or not folder.is_dir():
        raise NotFound(
            f"{source.url} at {commit[:12]} has no folder {source.path}; check source.git.path",
            reason="RefNotFound",
        )
    return folder


def _write_files(home: Path, files: Mapping[str, bytes]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    root = home.resolve()
    for name, content in files.items():
        path = (home / name).resolve()
        if not path.is_relative_to(root):
            raise TerminalError(
                f"ConfigMap key {name!r} leads out of the repository", reason="InvalidRepo"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    for path in sorted(home.rglob("*.py")):
        if str(path.relative_to(home)) not in files:
            path.unlink()
    for cache in home.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)
