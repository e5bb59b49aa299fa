"""The records of the probes as JSON files in the state folder.

probes/<namespace>/<name>.json
"""

from pathlib import Path

from feature_lineage.decide.facts import Key
from feature_lineage.errors import InvalidReport
from feature_lineage.local.state_folder import StateFolder, write_atomically
from feature_lineage.operations.probe_record import ProbeRecord


class FileProbes:
    """`ProbeStore` of the local host."""

    def __init__(self, state: StateFolder) -> None:
        self._root = state.root / "probes"

    async def keep(self, key: Key, record: ProbeRecord) -> None:
        write_atomically(self._path(key), record.text)

    async def read(self, key: Key, digest: str) -> ProbeRecord | None:
        try:
            return ProbeRecord.parse(self._path(key).read_bytes(), digest)
        except (FileNotFoundError, InvalidReport):
            return None  # the next probe writes it again

    def delete(self, key: Key) -> None:
        """The project is deleted: its record has keys of entities."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: Key) -> Path:
        return self._root / key.namespace / f"{key.name}.json"
