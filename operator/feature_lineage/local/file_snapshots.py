"""Snapshots of registries as JSON files in the state folder.

snapshots/<namespace>/<name>/<digest>.json
snapshots/<namespace>/<name>/history.json  the timeline of the registry
"""

import json
from datetime import datetime
from pathlib import Path

from feature_lineage.decide.facts import Key
from feature_lineage.errors import StateUnusable
from feature_lineage.features.history import SnapshotRecord, extended, rows_of
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.local.state_folder import StateFolder, write_atomically


class FileSnapshots:
    """`SnapshotStore` of the local host."""

    def __init__(self, state: StateFolder) -> None:
        self._root = state.root / "snapshots"

    async def put(self, key: Key, snapshot: RegistrySnapshot, record: SnapshotRecord) -> None:
        folder = self._folder(key)
        path = folder / f"{snapshot.digest}.json"
        if not path.exists():
            write_atomically(path, snapshot.to_json())
        history = await self.history(key)
        before, after = rows_of(history), rows_of(extended(history, record))
        if after != before:
            write_atomically(folder / "history.json", json.dumps(after, indent=0))

    async def get(self, key: Key, digest: str) -> RegistrySnapshot | None:
        try:
            text = (self._folder(key) / f"{digest}.json").read_bytes()
            return RegistrySnapshot.from_json(text, digest)
        except FileNotFoundError:
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

    def damage(self, key: Key) -> str:  # noqa: ARG002 - of the port
        """Nothing: a file that cannot be used is an error of the reconcile."""
        return ""

    def _folder(self, key: Key) -> Path:
        return self._root / key.namespace / key.name


def _record(at: str, digest: str, revision: str, seen_until: str | None = None) -> SnapshotRecord:
    seen = datetime.fromisoformat(seen_until) if seen_until is not None else None
    return SnapshotRecord(datetime.fromisoformat(at), digest, revision, seen)
