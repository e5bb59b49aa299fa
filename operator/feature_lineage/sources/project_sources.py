"""The feature repos of projects, as both hosts resolve and provide them."""

from collections.abc import Callable
from pathlib import Path

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.objects import Objects, text_of
from feature_lineage.sources.git import LOCAL_SCHEMES
from feature_lineage.sources.interface import GitAccess, SourceHost
from feature_lineage.sources.slow_source_bulkhead import SlowSourceBulkhead
from feature_lineage.sources.source_kinds import kind_of


class ProjectSources:
    """`SourceResolver` of a host."""

    def __init__(self, host: SourceHost) -> None:
        self._host = host

    async def resolve(self, project: FeatureStoreProject) -> SourceFacts:
        """The newest revision of the repo, and the text that replaces its feature_store.yaml.

        Raises:
            FeatureLineageError: as `ports.SourceResolver.resolve` lists them.
        """
        spec, namespace = project.spec, project.metadata.namespace
        replacement = None
        if spec.feature_store_yaml is not None:
            replacement = await text_of(self._host.objects, namespace, spec.feature_store_yaml)
        if spec.source is None:
            return SourceFacts("", replacement)
        kind, source = kind_of(spec.source)
        return SourceFacts(await kind.resolve(source, project, self._host), replacement)


class LocalProjectSources(ProjectSources):
    """`SourceResolver` of the local host, which provides the repos to its jobs, too.

    Args:
        repos: where the files of Git and ConfigMap sources are kept. Feast's own files in them
            (registry, online store) stay from revision to revision.
    """

    def __init__(self, host: SourceHost, repos: Path) -> None:
        super().__init__(host)
        self._repos = repos

    async def prepare(self, project: FeatureStoreProject, revision: str, *, exact: bool) -> Path:
        """Provide the repo at `revision` to a job; returns its folder.

        Args:
            exact: the job imports the repo, so that no other revision will do.

        Raises:
            SourceChanged: the source no longer has this revision.
            NotFound: the commit, or the folder in it, does not exist.
        """
        home = self._repos / project.metadata.namespace / project.metadata.name
        if project.spec.source is None:
            home.mkdir(parents=True, exist_ok=True)
            return home
        kind, spec = kind_of(project.spec.source)
        return await kind.prepare(spec, project, self._host, revision, home, exact=exact)

    def watched(self, project: FeatureStoreProject) -> Path | None:
        """The folder whose changes are new revisions; None if there is no such folder."""
        if project.spec.source is None:
            return None
        kind, spec = kind_of(project.spec.source)
        return kind.watched(spec, self._host)


def cluster_sources(
    objects: Objects, runner_image: str, allows_git: Callable[[str], bool]
) -> ProjectSources:
    """The sources of a cluster's projects.

    Args:
        objects: reads ConfigMaps and Secrets.
        runner_image: of projects that set no image.
        allows_git: whether the platform allows the host of a URL.
    """
    git = GitAccess(allows=allows_git, bulkhead=SlowSourceBulkhead())
    return ProjectSources(SourceHost(objects, git, runner_image=runner_image))


def local_sources(objects: Objects, folder: Path, repos: Path) -> LocalProjectSources:
    """The sources of a local host's projects.

    Args:
        objects: reads ConfigMaps and Secrets.
        folder: base of the relative paths of ``source.local``.
        repos: where the files of Git and ConfigMap sources are kept.
    """
    git = GitAccess(schemes=LOCAL_SCHEMES, credentials=False)
    return LocalProjectSources(SourceHost(objects, git, folder=folder), repos)
