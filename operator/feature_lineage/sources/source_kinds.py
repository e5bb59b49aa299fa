"""The table of source kinds, and the functions that use it for a pod.

Nothing here may import `decide`, `ports` or `reconcile`: the runner imports this module.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from feature_lineage.api.sources import Source
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.pod_protocol import PodRequest, PodSource
from feature_lineage.sources.config_map_source import ConfigMapSourceKind
from feature_lineage.sources.git_source import GitSourceKind
from feature_lineage.sources.image_source import ImageSourceKind
from feature_lineage.sources.interface import SourceKind
from feature_lineage.sources.local_source import LocalSourceKind
from feature_lineage.sources.pod_mounts import PodMount

SOURCE_KINDS: Final[Mapping[str, SourceKind[Any]]] = {
    "git": GitSourceKind(),
    "config_map_ref": ConfigMapSourceKind(),
    "image": ImageSourceKind(),
    "local": LocalSourceKind(),
}
"""By the field of `spec.source`."""


def kind_of(source: Source) -> tuple[SourceKind[Any], Any]:
    """The kind of a source, and the value of its field."""
    return next(
        (kind, spec)
        for field, kind in SOURCE_KINDS.items()
        if (spec := getattr(source, field)) is not None
    )


def pod_source(source: Source | None) -> PodSource:
    """The description of the source for a pod.

    Raises:
        TerminalError: a pod cannot use a source of this kind.
    """
    if source is None:
        return PodSource()
    kind, spec = kind_of(source)
    return kind.pod_source(spec)


def mounts(source: Source | None) -> tuple[PodMount, ...]:
    """The mounts of a pod for the source."""
    if source is None:
        return ()
    kind, spec = kind_of(source)
    return kind.mounts(spec)


def fetch(order: PodRequest, home: Path) -> Path:
    """Provide the repo in a pod, at the revision of its request; returns its folder.

    Args:
        home: the pod's own folder.

    Raises:
        SourceChanged: the mounted files have another revision than the request.
        FeatureLineageError: the repo cannot be provided.
    """
    request = order.request
    exact = KINDS[request.kind].imports_repo_code
    for kind in SOURCE_KINDS.values():
        if kind.pod_field and (value := getattr(order, kind.pod_field)):
            return kind.fetch(value, request.revision, home, exact=exact)
    repo = home / "repo"
    repo.mkdir(parents=True, exist_ok=True)
    return repo
