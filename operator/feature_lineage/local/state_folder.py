"""The state folder: resources as YAML files; at most one host at a time.

<state>/
    lock                                       held by the host while it runs
    resources/<kind>/<namespace>/<name>.yaml   manifest and status, as kubectl shows them
    snapshots/…                                see `file_snapshots`
    probes/…                                   see `file_probes`
    jobs/…                                     see `job_folder`
    repos/…                                    working trees of Git sources
    events.jsonl                               see `event_log`
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import yaml

from feature_lineage.decide.facts import Key
from feature_lineage.errors import StateUnusable

KINDS: Final = ("FeatureStoreProject", "TrainedModel")


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file or nothing, and make its folder.

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
    """The data that the local host keeps between two runs.

    Args:
        root: the folder; `acquire` creates it.
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
        """Lock the folder until `release`, or until the process ends.

        Raises:
            StateUnusable: the folder is read-only, or another host has locked it.
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
        """The resource as last written, None if it never was.

        Raises:
            StateUnusable: the file is damaged.
        """
        path = self._resource(key)
        try:
            value = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
        except FileNotFoundError:
            return None
        except (OSError, yaml.YAMLError) as error:
            raise StateUnusable(
                f"{path} cannot be read ({error}); restore it, or delete it to start with an "
                "empty status"
            ) from error
        if not isinstance(value, dict):
            raise StateUnusable(
                f"{path} contains no resource; delete it to start with an empty status"
            )
        return value

    def save(self, key: Key, resource: dict[str, Any]) -> None:
        """Write a resource with its status."""
        text = yaml.dump(resource, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        write_atomically(self._resource(key), text)

    def delete(self, key: Key) -> None:
        self._resource(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[Key]:
        """Every resource that has a file, sorted."""
        for kind in KINDS:
            for path in sorted((self.root / "resources" / kind).glob("*/*.yaml")):
                yield Key(kind, path.parent.name, path.stem)

    def _resource(self, key: Key) -> Path:
        return self.root / "resources" / key.kind / key.namespace / f"{key.name}.yaml"


class _Dumper(yaml.SafeDumper):
    """Block style, multi-line text as literal blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


class _Loader(yaml.SafeLoader):
    """Timestamps stay text, which the models of the API parse."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
