"""Refuses a registry or online store on the job's own disk, which is deleted with the job."""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from feature_lineage.errors import TerminalError
from feature_lineage.reasons import Reason
from feature_lineage.runner.address import registry_address
from feature_lineage.runner.settings import Settings

MOUNTS: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def check_stores(settings: Settings, repo: Path, ephemeral: Collection[str]) -> None:
    """Check that the stores outlive the job.

    Args:
        ephemeral: mount points that are deleted with the job; empty for local runs.

    Raises:
        TerminalError: a store is on one of them.
    """
    if not ephemeral:
        return
    mounts = mount_points(MOUNTS.read_text())
    for what, path in _local_stores(settings, repo):
        if mount_of(path, mounts) in ephemeral:
            raise TerminalError(
                f"the {what} {path} is on the job's own disk, which is deleted with the job: use a "
                "database or an object store, or a volume (spec.runtime.volumes)",
                reason=Reason.EPHEMERAL_STORE,
            )


def mount_points(table: str) -> frozenset[str]:
    """Mount points of a ``mountinfo``, from the fifth field, which escapes blanks in octal."""
    fields = (line.split(" ") for line in table.splitlines())
    return frozenset(
        _OCTAL.sub(lambda digits: chr(int(digits[1], 8)), field[4])
        for field in fields
        if len(field) > 4
    )


def mount_of(path: str, mounts: Collection[str]) -> str:
    """The mount point of a path, which need not exist."""
    found = os.path.realpath(path)
    while found not in mounts and found != "/":
        found = os.path.dirname(found)  # noqa: PTH120 - a path that may not exist
    return found


def _local_stores(settings: Settings, repo: Path) -> Iterator[tuple[str, str]]:
    registry = settings.config.registry
    address = registry_address(settings.registry_type, str(registry.path), repo)
    path = address.removeprefix("sqlite:")
    if path.startswith("/"):
        yield "registry", path
    online = getattr(settings.config.online_store, "path", None)
    if settings.online_store_type == "sqlite" and online:
        yield "online store", str(repo / online)
