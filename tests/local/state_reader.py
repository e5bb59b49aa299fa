"""Reads the state folder and Feast's registry, and runs commands, for the tests."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.forks.client import output_of, python

_fork = False
KINDS = {"fsp": "FeatureStoreProject", "ftm": "TrainedModel"}


@dataclass(frozen=True)
class ResourceState:
    """One resource as the state folder stores it."""

    resource: dict[str, Any]
    events: tuple[dict[str, str], ...]

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.resource["status"])

    def condition(self, name: str) -> dict[str, Any]:
        """Return a condition by type; empty if there is none."""
        found = (item for item in self.status["conditions"] if item["type"] == name)
        return next(found, {})

    def state(self, name: str) -> tuple[str, str]:
        """Return (status, reason) of a condition; ("", "") if there is none."""
        found = self.condition(name)
        return found.get("status", ""), found.get("reason", "")

    def message(self, name: str) -> str:
        return str(self.condition(name).get("message", ""))

    def view(self, name: str) -> dict[str, Any]:
        return next(dict(view) for view in self.status["featureViews"] if view["name"] == name)

    def event_messages(self, reason: str) -> list[str]:
        """Return the messages of events with this reason, oldest first."""
        return [event["message"] for event in self.events if event["reason"] == reason]


def state_file(folder: Path, name: str, kind: str = "fsp") -> Path:
    return folder / ".feature-lineage" / "resources" / KINDS[kind] / "default" / f"{name}.yaml"


def read_state(folder: Path, name: str = "driver", kind: str = "fsp") -> ResourceState:
    """Read a resource of the folder, with its events."""
    from feature_lineage.local.event_log import read_events
    from feature_lineage.local.state_folder import StateFolder
    from feature_lineage.ports import Key

    state = StateFolder(folder / ".feature-lineage")
    events = read_events(state, Key(KINDS[kind], "default", name))
    resource = yaml.safe_load(state_file(folder, name, kind).read_text())
    return ResourceState(resource, tuple(events))


def registry_of(repo: Path) -> dict[str, list[str]]:
    """Return the content of Feast's registry file: views with features as ``view:feature``."""
    from feast.protos.feast.core.Registry_pb2 import Registry

    path = repo / "data" / "registry.db"
    registry = Registry()
    registry.ParseFromString(path.read_bytes())
    return {
        "projects": sorted(item.spec.name for item in registry.projects),
        "features": sorted(
            f"{view.spec.name}:{feature.name}"
            for view in registry.feature_views
            for feature in view.spec.features
        ),
        "services": sorted(item.spec.name for item in registry.feature_services),
    }


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file below a folder with its time and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def command(*arguments: str, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
    """Run ``feature-lineage`` as a user does, or forked."""
    command = ("-m", "feature_lineage.cli", *arguments)
    if _fork:
        return python(*command, timeout=timeout)
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=timeout
    )


@contextmanager
def commands(*, fork: bool) -> Iterator[None]:
    """Set whether `command` forks a process that has imported Feast."""
    global _fork
    before, _fork = _fork, fork
    try:
        yield
    finally:
        _fork = before


def feast(repo: Path, *arguments: str) -> None:
    """Run Feast's own command line in a repo."""
    output_of("-m", "feast.cli.cli", *arguments, cwd=repo)
