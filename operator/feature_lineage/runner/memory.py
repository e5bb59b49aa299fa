"""Bounds the memory of a materialization by Feast's `online_write_batch_size`.

Without it Feast converts all rows of a view to Python objects at once: 400,000 rows of 10 features
take 4 GiB. In batches of 10,000 rows they take 550 MiB, and no more time.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from feast import FeatureStore
from feast.protos.feast.types.Value_pb2 import ValueType

MOST_ROWS: Final = 10_000
"""Larger batches are not faster."""
FEWEST_ROWS: Final = 100
SHARE: Final = 8
"""A batch takes at most this part of the limit: the source of the view is read whole beside it."""
BYTES_PER_VALUE: Final = 1024
BYTES_PER_ROW: Final = 2048
VALUES_PER_LIST: Final = 32
"""A list, set, map or JSON text counts as this many values; its length is not known."""

_MANY_VALUES: Final = ("LIST", "SET", "MAP", "JSON", "STRUCT")
_MIB: Final = 1024**2


class WriteBatches:
    """Chooses the `online_write_batch_size` of each view, unless feature_store.yaml sets it.

    Args:
        store: its configuration is changed before each view.
        in_process: whether the process of the job writes the rows.
        limit: the memory limit of the job, in bytes.
    """

    def __init__(self, store: FeatureStore, *, in_process: bool, limit: int) -> None:
        self._settings = store.config.materialization_config
        self._own: int | None = self._settings.online_write_batch_size
        self._in_process, self._limit = in_process, limit
        self._chosen: dict[str, tuple[int, int]] = {}

    def choose(self, message: Any) -> int | None:
        """Rows of a batch of this view; None if Feast or another engine decides.

        Args:
            message: Feast's message of the view.
        """
        if self._own is not None or not self._in_process:
            return self._own
        features = message.spec.features
        rows = batch_rows(self._limit, sum(_values(feature.value_type) for feature in features))
        self._settings.online_write_batch_size = rows
        self._chosen[message.spec.name] = (rows, len(features))
        return rows

    @property
    def why(self) -> str:
        """The sizes and who chose them, in one sentence; "" if the job bounds nothing."""
        if self._own is not None:
            return f"online_write_batch_size is {self._own} rows, as feature_store.yaml says"
        if not self._chosen:
            return ""
        rows = sorted({rows for rows, _ in self._chosen.values()})
        widest, (_, features) = min(self._chosen.items(), key=lambda item: item[1])
        sizes = f"{rows[0]} rows" if len(rows) == 1 else f"{rows[0]} to {rows[-1]} rows"
        return (
            f"online_write_batch_size is {sizes}, for a memory limit of {self._limit // _MIB} MiB "
            f"and views of up to {features} features ({widest})"
        )


def batch_rows(limit: int, values: int) -> int:
    """Rows of a batch for a limit in bytes and a number of values in each row."""
    rows = limit // SHARE // (BYTES_PER_ROW + values * BYTES_PER_VALUE)
    return max(FEWEST_ROWS, min(MOST_ROWS, rows))


def _values(value_type: int) -> int:
    name = ValueType.Enum.Name(value_type) if value_type in ValueType.Enum.values() else "LIST"
    return VALUES_PER_LIST if name.endswith(_MANY_VALUES) else 1


def memory_limit(root: Path = Path("/")) -> int:
    """The memory limit of this process in bytes: the smallest of its cgroups and the machine's.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min((machine, *_cgroup_limits(root)))


def peak_memory() -> int | None:
    """The most memory that this process had at any moment, in bytes; None if it is not known."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(kib) * 1024 for _, kib, _ in lines), None)


def _cgroup_limits(root: Path) -> Iterator[int]:
    """The limits of the process's cgroup and of those above it; v2, and v1 where it is in use.

    In a container the path in ``/proc/self/cgroup`` may be that of the host, which the container
    does not see; its own cgroup is then the root.
    """
    groups = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _limits(groups, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits(groups / "memory", path, "memory.limit_in_bytes")


def _limits(base: Path, path: str, name: str) -> Iterator[int]:
    folder = base / path.lstrip("/")
    for each in (folder, *folder.parents):
        if each.is_relative_to(base):
            try:
                yield int((each / name).read_text())
            except (OSError, ValueError):  # "max", or not there
                continue
