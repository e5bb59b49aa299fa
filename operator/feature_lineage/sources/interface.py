"""The interface of a kind of `spec.source`, and the parts that a host provides to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import WaitingError
from feature_lineage.objects import Objects
from feature_lineage.operations.pod_protocol import PodSource
from feature_lineage.reasons import Reason
from feature_lineage.sources.git import NETWORK_SCHEMES
from feature_lineage.sources.pod_mounts import PodMount
from feature_lineage.sources.slow_source_bulkhead import SlowSourceBulkhead

SpecT = TypeVar("SpecT")


class SourceChanged(WaitingError):
    """The source changed after the operation was decided: the job has the wrong revision."""

    reason = Reason.PROGRESSING


@dataclass(frozen=True, slots=True)
class GitAccess:
    """How a host uses Git.

    Attributes:
        schemes: URL schemes that a source may use.
        allows: whether the platform allows the host of a URL.
        credentials: whether Git gets the Secret and the CA bundle of the source.
        bulkhead: limits the projects that wait for slow hosts at a time; None for no limit.
    """

    schemes: frozenset[str] = NETWORK_SCHEMES
    allows: Callable[[str], bool] = lambda _url: True
    credentials: bool = True
    bulkhead: SlowSourceBulkhead | None = None


@dataclass(frozen=True, slots=True)
class SourceHost:
    """The parts that a host provides to the source kinds.

    Attributes:
        objects: reads ConfigMaps and Secrets.
        git: how this host uses Git.
        runner_image: image of the jobs of projects that set none; None if jobs run without one.
        folder: base of the relative paths of ``source.local``; None if sources cannot be
            folders.
    """

    objects: Objects
    git: GitAccess = field(default_factory=GitAccess)
    runner_image: str | None = None
    folder: Path | None = None


class SourceKind(ABC, Generic[SpecT]):
    """One kind of source: one field of `spec.source`, whose value is `SpecT`.

    Attributes:
        pod_field: the field of `PodSource` that describes such a source to a pod; "" for a kind
            that no pod can use.
    """

    pod_field: ClassVar[str]

    @abstractmethod
    async def resolve(self, spec: SpecT, project: FeatureStoreProject, host: SourceHost) -> str:
        """The newest revision, without starting a job.

        Raises:
            FeatureLineageError: as `ports.SourceResolver.resolve` lists them.
        """

    @abstractmethod
    async def prepare(
        self,
        spec: SpecT,
        project: FeatureStoreProject,
        host: SourceHost,
        revision: str,
        home: Path,
        *,
        exact: bool,
    ) -> Path:
        """Provide the repo to a job on this machine; returns its folder.

        Args:
            exact: the job imports the repo, so that no revision but `revision` will do.
            home: folder for the files of this project's repo. Feast's own files in it (registry,
                online store) must stay.

        Raises:
            SourceChanged: the source no longer has this revision.
            FeatureLineageError: the repo cannot be provided.
        """

    def watched(self, spec: SpecT, host: SourceHost) -> Path | None:
        """The folder whose changes are new revisions; None if there is no such folder."""
        return None

    @abstractmethod
    def pod_source(self, spec: SpecT) -> PodSource:
        """The description of the source for a pod: paths and URLs, never contents of Secrets.

        Raises:
            TerminalError: a pod cannot use a source of this kind.
        """

    def mounts(self, spec: SpecT) -> tuple[PodMount, ...]:
        """The mounts of a pod for this source."""
        return ()

    @abstractmethod
    def fetch(self, value: Any, revision: str, home: Path, *, exact: bool) -> Path:
        """Provide the repo in a pod; returns its folder.

        Args:
            value: value of `pod_field` in the pod's request.
            home: the pod's own folder.
            exact: the job imports the repo, so that no revision but `revision` will do.

        Raises:
            SourceChanged: the mounted files have another revision.
            FeatureLineageError: the repo cannot be provided.
        """
