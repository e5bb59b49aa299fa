"""`source.image`: a feature repo in a folder of the job's image."""

from pathlib import Path

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.sources import ImageSource
from feature_lineage.errors import NotFound, TerminalError
from feature_lineage.operations.pod_protocol import PodSource
from feature_lineage.reasons import Reason
from feature_lineage.sources.interface import SourceHost, SourceKind


class ImageSourceKind(SourceKind[ImageSource]):
    """The revision is the name of the image; a local job has no image."""

    pod_field = "folder"

    async def resolve(
        self,
        spec: ImageSource,
        project: FeatureStoreProject,
        host: SourceHost,
    ) -> str:
        if host.runner_image is None:
            raise _no_image()
        # The tag may get another digest, which only a node detects.
        return f"image:{project.spec.runtime.image or host.runner_image}"

    async def prepare(
        self,
        spec: ImageSource,
        project: FeatureStoreProject,
        host: SourceHost,
        revision: str,
        home: Path,
        *,
        exact: bool,
    ) -> Path:
        raise _no_image()

    def pod_source(self, spec: ImageSource) -> PodSource:
        return PodSource(folder=spec.path)

    def fetch(
        self,
        value: str,
        revision: str,
        home: Path,
        *,
        exact: bool,
    ) -> Path:
        folder = Path(value)
        if not folder.is_dir():
            raise NotFound(
                f"the image has no folder {folder}; check source.image.path and spec.runtime.image",
                reason=Reason.REF_NOT_FOUND,
            )
        return folder


def _no_image() -> TerminalError:
    return TerminalError(
        "source.image is a folder of the runner's image, and a local host has no images; "
        "use source.local",
        reason=Reason.REF_NOT_FOUND,
    )
