"""`source.git`: a feature repo in a folder of a Git repository."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.sources import GitSource
from feature_lineage.errors import HostNotAllowed, NotFound, TerminalError
from feature_lineage.objects import text_of
from feature_lineage.operations.pod_protocol import GitCheckout, PodSource
from feature_lineage.reasons import Reason
from feature_lineage.sources import git
from feature_lineage.sources.credential import git_environment
from feature_lineage.sources.interface import SourceHost, SourceKind
from feature_lineage.sources.pod_mounts import (
    MOUNTS,
    PodMount,
    key_volume,
    mounted_keys,
    secret_volume,
    unreadable,
)
from feature_lineage.sources.tree import defining_files

CREDENTIAL_DIR: Final = f"{MOUNTS}/git"
CA_DIR: Final = f"{MOUNTS}/git-ca"
POINTER: Final = b"version https://git-lfs.github.com/spec/"
MAX_POINTER_BYTES: Final = 1024


class GitSourceKind(SourceKind[GitSource]):
    """The revision is a commit id."""

    pod_field = "git"

    async def resolve(self, spec: GitSource, project: FeatureStoreProject, host: SourceHost) -> str:
        git.check_url(spec.url, host.git.schemes)
        if not host.git.allows(spec.url):
            raise HostNotAllowed(
                f"source.git.url {spec.url} is not on a host in the platform's allowedGitHosts; "
                "use one of them, or ask the team that runs the operator"
            )
        namespace, bulkhead = project.metadata.namespace, host.git.bulkhead
        with tempfile.TemporaryDirectory(prefix="git-") as folder:
            return await git.resolve_ref(
                spec.url,
                spec.ref,
                environment=await _environment(spec, namespace, host, Path(folder)),
                slot=bulkhead.slot(f"{namespace}/{project.metadata.name}") if bulkhead else None,
            )

    async def prepare(
        self,
        spec: GitSource,
        project: FeatureStoreProject,
        host: SourceHost,
        revision: str,
        home: Path,
        *,
        exact: bool,
    ) -> Path:
        # A folder of its own for each URL: another URL is another repository.
        tree = home / hashlib.sha256(spec.url.encode()).hexdigest()[:12]
        with tempfile.TemporaryDirectory(prefix="git-") as folder:
            environment = await _environment(spec, project.metadata.namespace, host, Path(folder))
            return await _check_out(spec.url, spec.path, revision, tree, environment)

    def pod_source(self, spec: GitSource) -> PodSource:
        return PodSource(
            git=GitCheckout(
                url=spec.url,
                path=spec.path,
                credential=CREDENTIAL_DIR if spec.secret_ref else "",
                ca_file=f"{CA_DIR}/{spec.ca_bundle.ref.key}" if spec.ca_bundle else "",
            )
        )

    def mounts(self, spec: GitSource) -> tuple[PodMount, ...]:
        found = []
        if spec.secret_ref is not None:
            found.append(PodMount("git", secret_volume(spec.secret_ref.name), CREDENTIAL_DIR))
        if spec.ca_bundle is not None:
            found.append(PodMount("git-ca", key_volume(spec.ca_bundle), CA_DIR))
        return tuple(found)

    def fetch(
        self,
        value: GitCheckout,
        revision: str,
        home: Path,
        *,
        exact: bool,
    ) -> Path:
        git.check_url(value.url, git.NETWORK_SCHEMES)
        _check_programs(value.url)
        environment = git_environment(
            value.url,
            mounted_keys(Path(value.credential)) if value.credential else None,
            _authorities(Path(value.ca_file)) if value.ca_file else None,
            home / "git",
        )
        checkout = _check_out(value.url, value.path, revision, home / "repo", environment)
        return asyncio.run(checkout)


async def _environment(
    spec: GitSource, namespace: str, host: SourceHost, folder: Path
) -> Mapping[str, str]:
    """Environment variables with which Git reaches the source.

    Args:
        folder: private folder for credentials that must be files.
    """
    secret, authorities = None, None
    if not host.git.credentials:
        if spec.secret_ref is None and spec.ca_bundle is None:
            return {}
        raise TerminalError(
            "the local host passes no credentials to Git; clone the repository yourself "
            "and use source.local",
            reason=Reason.AUTH_FAILED,
        )
    if spec.secret_ref is not None:
        secret = await host.objects.contents("Secret", namespace, spec.secret_ref.name)
    if spec.ca_bundle is not None:
        authorities = (await text_of(host.objects, namespace, spec.ca_bundle)).encode()
    return git_environment(spec.url, secret, authorities, folder)


async def _check_out(
    url: str, path: str, commit: str, tree: Path, environment: Mapping[str, str]
) -> Path:
    """The folder `path` of the repository at `commit`, checked out into `tree`.

    Raises:
        NotFound: the commit, or the folder in it, does not exist.
        TerminalError: the folder is outside the repository, or part of its content is missing.
        FeatureLineageError: as `git.check_out` lists them.
    """
    await git.check_out(url, commit, tree, environment=environment)
    root = Path(os.path.realpath(tree))
    folder = Path(os.path.realpath(root / path.replace("\0", "\N{REPLACEMENT CHARACTER}")))
    where = f"{url} at {commit[:12]}"
    if not folder.is_relative_to(root):
        raise TerminalError(
            f"{where}: {path} leads out of the repository; correct source.git.path, or the link",
            reason=Reason.INVALID_REPO,
        )
    if not folder.is_dir():
        raise NotFound(
            f"{where} has no folder {path}; check source.git.path", reason=Reason.REF_NOT_FOUND
        )
    for file in defining_files(folder):
        small = file.stat().st_size <= MAX_POINTER_BYTES
        if small and file.read_bytes().startswith(POINTER):
            raise TerminalError(
                f"{where}: {file.relative_to(folder)} is a pointer of Git LFS, which is not "
                "fetched; keep what defines features in Git itself",
                reason=Reason.INVALID_REPO,
            )
    return folder


def _check_programs(url: str) -> None:
    """Find git and ssh, which the image of a tenant may lack."""
    for program in ("git", "ssh") if urlsplit(url).scheme == "ssh" else ("git",):
        if shutil.which(program) is None:
            raise TerminalError(
                f"{url}: the image has no {program}; build spec.runtime.image on the runner's",
                reason=Reason.RUNNER_INCOMPATIBLE,
            )


def _authorities(mounted: Path) -> bytes:
    try:
        return mounted.read_bytes()
    except OSError as error:
        raise unreadable(mounted, error) from error
