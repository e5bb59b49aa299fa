"""The state folder: statuses as YAML, snapshots as JSON, one host at a time.

<state>/
    lock                                   held by the host while it runs
    resources/<kind>/<namespace>/<name>.yaml   manifest and status, as kubectl would show them
    snapshots/<namespace>/<name>/<digest>.json
    snapshots/<namespace>/<name>/history.json  the registry's timeline
    jobs/…                                 see `jobs`
    repos/…                                working trees of Git sources
    events.jsonl                           what was told, newest last
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import yaml

from feature_lineage.decide.facts import Event, Key
from feature_lineage.errors import StateUnusable
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot

KINDS: Final = ("FeatureStoreProject", "TrainedModel")
EVENTS_KEPT: Final = 1000
EVENTS_MAX_BYTES: Final = 4 * 1024 * 1024


def write_atomically(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        StateUnusable: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise StateUnusable(
            f"{path} cannot be written ({error.strerror}); make the state folder writable "
            "or name another with --state"
        ) from error


class StateFolder:
    """Everything the local host keeps between runs.

    Args:
        root: the folder; made when missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._lock: IO[str] | None = None

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def repos(self) -> Path:
        return self.root / "repos"

    def acquire(self) -> None:
        """Become the one host of this folder, until the process ends or `release`.

        Raises:
            StateUnusable: read-only, or another host runs on it.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            lock = (self.root / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise StateUnusable(
                f"state folder {self.root} cannot be written ({error.strerror}); "
                "make it writable or name another with --state"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise StateUnusable(
                f"state folder {self.root} is in use by another host (process {holder}); "
                "stop it, or name another folder with --state"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def load(self, key: Key) -> dict[str, Any] | None:
        """The resource as last written, None when it never was.

        Raises:
            StateUnusable: the file is not what was written.
        """
        path = self._resource(key)
        try:
            value = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
        except FileNotFoundError:
            return None
        except (OSError, yaml.YAMLError) as error:
            raise StateUnusable(
                f"{path} cannot be read ({error}); restore it, or delete it to start it afresh"
            ) from error
        if not isinstance(value, dict):
            raise StateUnusable(f"{path} holds no resource; delete it to start it afresh")
        return value

    def save(self, key: Key, resource: dict[str, Any]) -> None:
        """Write a resource with its status."""
        text = yaml.dump(resource, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        write_atomically(self._resource(key), text)

    def delete(self, key: Key) -> None:
        self._resource(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[Key]:
        """Every resource that has a state, sorted."""
        for kind in KINDS:
            for path in sorted((self.root / "resources" / kind).glob("*/*.yaml")):
                yield Key(kind, path.parent.name, path.stem)

    def _resource(self, key: Key) -> Path:
        return self.root / "resources" / key.kind / key.namespace / f"{key.name}.yaml"


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
        if history and history[-1].digest == record.digest:
            after = (*history[:-1], history[-1].seen_again(record))
            if _rows(after) == _rows(history):
                return
        else:
            after = tuple(sorted((*history, record)))
        write_atomically(folder / "history.json", json.dumps(_rows(after), indent=0))

    async def get(self, key: Key, digest: str) -> RegistrySnapshot | None:
        try:
            return RegistrySnapshot.from_json((self._folder(key) / f"{digest}.json").read_bytes())
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

    def _folder(self, key: Key) -> Path:
        return self._root / key.namespace / key.name


def _rows(records: Iterable[SnapshotRecord]) -> list[list[str]]:
    """``[at, digest, revision]``, and `seen_until` where there is one."""
    return [
        [r.at.isoformat(), r.digest, r.revision]
        + ([r.seen_until.isoformat()] if r.seen_until is not None else [])
        for r in records
    ]


def _record(at: str, digest: str, revision: str, seen_until: str | None = None) -> SnapshotRecord:
    seen = datetime.fromisoformat(seen_until) if seen_until is not None else None
    return SnapshotRecord(datetime.fromisoformat(at), digest, revision, seen)


class FileEvents:
    """`Events` of the local host: a file that `describe` reads, and a listener for the terminal."""

    def __init__(self, state: StateFolder, clock_now: Any, tell: Any) -> None:
        self._path = state.root / "events.jsonl"
        self._now = clock_now
        self._tell = tell

    async def emit(self, event: Event) -> None:
        line = {
            "at": self._now().isoformat(timespec="seconds"),
            "object": str(event.key),
            "type": event.kind,
            "reason": event.reason,
            "message": event.message,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            size = file.tell()
        if size > EVENTS_MAX_BYTES:
            lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_atomically(self._path, "".join(lines[-EVENTS_KEPT:]))
        self._tell(event)


def read_events(state: StateFolder, key: Key) -> list[dict[str, str]]:
    """Events about one resource, oldest first, at most `EVENTS_KEPT`."""
    try:
        lines = (state.root / "events.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    events = (json.loads(line) for line in lines[-EVENTS_KEPT:] if line)
    return [event for event in events if event["object"] == str(key)]


class _Dumper(yaml.SafeDumper):
    """Block style, multi-line text as literal blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


class _Loader(yaml.SafeLoader):
    """Timestamps stay text: the API's models read them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
