"""Snapshots of registries as JSON files in the state folder.

snapshots/<namespace>/<name>/<digest>.json
snapshots/<namespace>/<name>/history.json  the timeline of the registry
"""

import json
import logging
from datetime import datetime
from pathlib import Path

from feature_lineage.decide.facts import Key
from feature_lineage.errors import StateUnusable, TooManyDependencies
from feature_lineage.features.bounds import read_stored
from feature_lineage.features.history import SnapshotRecord, extended, rows_of
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.local.state_folder import StateFolder, write_atomically

_log = logging.getLogger(__name__)


class FileSnapshots:
    """`SnapshotStore` of the local host."""

    def __init__(self, state: StateFolder) -> None:
        self._root = state.root / "snapshots"
        self._refused: set[Path] = set()
        self._damage: dict[Key, str] = {}

    async def put(self, key: Key, snapshot: RegistrySnapshot, record: SnapshotRecord) -> None:
        folder = self._folder(key)
        path = folder / f"{snapshot.digest}.json"
        if not path.exists():
            write_atomically(path, snapshot.to_json())
        history = await self.history(key)
        before, after = rows_of(history), rows_of(extended(history, record))
        if after != before:
            write_atomically(folder / "history.json", json.dumps(after, indent=0))
        self._damage.pop(key, None)

    async def get(self, key: Key, digest: str) -> RegistrySnapshot | None:
        path = self._folder(key) / f"{digest}.json"
        if path in self._refused:
            return None
        try:
            return read_stored(path.read_bytes(), digest)
        except FileNotFoundError:
            return None
        except TooManyDependencies as error:  # whole, and perhaps read by another version
            fact = f"{path} cannot be used: {error.message}"
            _log.warning("%s: %s", key, fact)
            self._damage.setdefault(key, fact)
            self._refused.add(path)
            return None

    async def history(self, key: Key) -> tuple[SnapshotRecord, ...]:
        path = self._folder(key) / "history.json"
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            return tuple(_record(*row) for row in rows)
        except FileNotFoundError:
            return ()
        except (ValueError, TypeError) as error:
            raise StateUnusable(f"{path} cannot be read ({error}); delete it") from error

    def damage(self, key: Key) -> str:
        """As the port says; a file with another digest is an error of the reconcile."""
        return self._damage.get(key, "")

    def _folder(self, key: Key) -> Path:
        return self._root / key.namespace / key.name


def _record(at: str, digest: str, revision: str, seen_until: str | None = None) -> SnapshotRecord:
    seen = datetime.fromisoformat(seen_until) if seen_until is not None else None
    return SnapshotRecord(datetime.fromisoformat(at), digest, revision, seen)
