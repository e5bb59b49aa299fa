"""`source.local`: a feature repo in a folder of the local host's machine."""

from pathlib import Path
from typing import Any

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.sources import LocalSource
from feature_lineage.errors import TerminalError
from feature_lineage.operations.pod_protocol import PodSource
from feature_lineage.reasons import Reason
from feature_lineage.sources.interface import SourceChanged, SourceHost, SourceKind
from feature_lineage.sources.tree import tree_revision


class LocalSourceKind(SourceKind[LocalSource]):
    """A folder that jobs on the same machine use in place; pods cannot use it."""

    pod_field = ""

    async def resolve(
        self,
        spec: LocalSource,
        project: FeatureStoreProject,
        host: SourceHost,
    ) -> str:
        return tree_revision(_folder(spec, host))

    async def prepare(
        self,
        spec: LocalSource,
        project: FeatureStoreProject,
        host: SourceHost,
        revision: str,
        home: Path,
        *,
        exact: bool,
    ) -> Path:
        folder = _folder(spec, host)
        if exact and tree_revision(folder) != revision:
            raise SourceChanged(
                f"{folder} changed since the operation was decided; its newest state is used next"
            )
        return folder

    def watched(self, spec: LocalSource, host: SourceHost) -> Path | None:
        return _folder(spec, host)

    def pod_source(self, spec: LocalSource) -> PodSource:
        raise _no_folder()

    def fetch(self, value: Any, revision: str, home: Path, *, exact: bool) -> Path:
        raise _no_folder()


def _folder(spec: LocalSource, host: SourceHost) -> Path:
    if host.folder is None:
        raise _no_folder()
    return (host.folder / spec.path).resolve()


def _no_folder() -> TerminalError:
    return TerminalError(
        "source.local is a folder of one machine, and a cluster has no such folder; "
        "use source.git, configMapRef or image",
        reason=Reason.LOCAL_SOURCE_UNSUPPORTED,
    )
