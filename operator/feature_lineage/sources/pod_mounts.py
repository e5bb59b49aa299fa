"""The mounts of a job's pod for a source, and how the pod reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from feature_lineage.api.refs import KeySource
from feature_lineage.errors import TerminalError
from feature_lineage.reasons import Reason

MOUNTS: Final = "/etc/feature-lineage"
"""Parent folder of the operator's mounts, except the pod's own folder."""


@dataclass(frozen=True, slots=True)
class PodMount:
    """A volume of a pod and its mount path.

    Attributes:
        name: of the volume, without the prefix of the operator's volumes.
        volume: Kubernetes' volume source, such as ``{"configMap": {"name": "repo"}}``.
        path: mount path.
    """

    name: str
    volume: Mapping[str, Any]
    path: str


def secret_volume(name: str) -> dict[str, Any]:
    """A volume with every key of a Secret."""
    return {"secret": {"secretName": name, "defaultMode": 0o440}}


def key_volume(source: KeySource) -> dict[str, Any]:
    """A volume with one key only; the file has the key's name."""
    ref = source.ref
    items = [{"key": ref.key, "path": ref.key}]
    if source.secret_key_ref is not None:
        return {"secret": {"secretName": ref.name, "items": items, "defaultMode": 0o440}}
    return {"configMap": {"name": ref.name, "items": items}}


def mounted_keys(folder: Path) -> dict[str, bytes]:
    """Keys and values of a mounted Secret or ConfigMap.

    Raises:
        TerminalError: the folder cannot be read.
    """
    try:
        return {
            path.name: path.read_bytes()
            for path in sorted(folder.iterdir())
            if not path.name.startswith("..")  # such as ..data, which the kubelet creates
        }
    except OSError as error:
        raise unreadable(folder, error) from error


def unreadable(path: Path, error: OSError) -> TerminalError:
    """The error for a mounted file or folder that cannot be read."""
    return TerminalError(f"{path} cannot be read: {error}", reason=Reason.JOB_FAILED)
