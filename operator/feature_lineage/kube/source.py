"""At which revision a project's source stands, found out without a pod."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.sources import GitSource
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.errors import AccessRefused, TerminalError
from feature_lineage.objects import Objects, text_of
from feature_lineage.sources import git
from feature_lineage.sources.credential import git_environment
from feature_lineage.sources.slow_source_bulkhead import SlowSourceBulkhead
from feature_lineage.sources.tree import files_revision

SCHEMES: Final = frozenset({"https", "ssh"})


class KubeSource:
    """`Source` of the cluster host.

    Args:
        objects: where credentials and ConfigMaps are read.
        runner_image: of projects that name none.
        allowed: whether a repository may be on the host of this URL.
    """

    def __init__(self, objects: Objects, runner_image: str, allowed: Callable[[str], bool]) -> None:
        self._objects = objects
        self._runner_image = runner_image
        self._allowed = allowed
        self._unanswered = SlowSourceBulkhead()

    async def resolve(self, project: FeatureStoreProject) -> SourceFacts:
        namespace, spec, source = project.metadata.namespace, project.spec, project.spec.source
        replacement = None
        if spec.feature_store_yaml is not None:
            replacement = await text_of(self._objects, namespace, spec.feature_store_yaml)
        if source is None:
            return SourceFacts("", replacement)
        if source.git is not None:
            found = await self._git(namespace, project.metadata.name, source.git)
            return SourceFacts(found, replacement)
        if source.config_map_ref is not None:
            name = source.config_map_ref.name
            contents = await self._objects.contents("ConfigMap", namespace, name)
            files = {key.replace("__", "/"): value for key, value in contents.items()}
            return SourceFacts(files_revision(files), replacement)
        if source.image is not None:
            # Another image under the same tag is another digest, which only a node knows.
            return SourceFacts(f"image:{spec.runtime.image or self._runner_image}", replacement)
        raise TerminalError(
            "source.local is a folder of one machine, and a cluster has no such folder; "
            "use source.git, configMapRef or image",
            reason="LocalSourceUnsupported",
        )

    async def _git(self, namespace: str, name: str, source: GitSource) -> str:
        git.check_url(source.url, SCHEMES)
        if not self._allowed(source.url):
            raise AccessRefused(
                f"source.git.url {source.url} is on no host of the platform's allowedGitHosts; "
                "use one of them, or ask who runs the operator",
                reason="HostNotAllowed",
            )
        secret, authorities = None, None
        if source.secret_ref is not None:
            secret = await self._objects.contents("Secret", namespace, source.secret_ref.name)
        if source.ca_bundle is not None:
            authorities = (await text_of(self._objects, namespace, source.ca_bundle)).encode()
        ref = source.ref
        wanted = git.GitRef(branch=ref.branch or "", tag=ref.tag or "", commit=ref.commit or "")
        with tempfile.TemporaryDirectory(prefix="git-") as folder:
            environment = git_environment(source.url, secret, authorities, Path(folder))
            return await git.resolve_ref(
                source.url,
                wanted,
                environment=environment,
                asking=self._unanswered.asking(f"{namespace}/{name}"),
            )
