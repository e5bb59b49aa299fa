"""What the local host says while it works: plain lines, or a live line for what runs now."""

import json
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from feature_lineage.api.conditions import find_condition
from feature_lineage.api.meta import Condition
from feature_lineage.decide.facts import Event, Key, key_of
from feature_lineage.errors import FeatureLineageError, InvalidManifest
from feature_lineage.local.folder import Resource
from feature_lineage.reconcile.reconciler import ReconcileResult

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


class PlainConsole:
    """One line for each thing worth knowing, with its time; fit for a file or a pipe.

    Args:
        out: where lines go; standard error by default, so that output stays clean.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._described: set[Key] = set()

    def line(self, text: str) -> None:
        now = datetime.now(UTC).strftime("%H:%M:%S")
        first, *rest = [printable(line) for line in text.splitlines()] or [""]
        print(f"{now}  {first}", *(f"          {line}" for line in rest), sep="\n", file=self._out)
        self._out.flush()

    def told(self, event: Event) -> None:
        mark = "!" if event.kind == "Warning" else "·"
        self.line(f"{mark} {short(event.key)}  {event.reason}: {event.message}")

    def passed(self, key: Key, before: Resource, result: ReconcileResult, seconds: float) -> None:
        del seconds
        operation = getattr(result.resource.status, "operation", None)
        earlier = getattr(before.status, "operation", None)
        if operation is not None and (earlier is None or earlier.id != operation.id):
            self.line(f"▸ {short(key)}  {operation.kind} {operation.id} started")
        was = find_condition(before.status.conditions, "Ready")
        now = find_condition(result.resource.status.conditions, "Ready")
        if now is not None and (
            was is None or (was.status, was.reason) != (now.status, now.reason)
        ):
            self._describe(key, now)

    def left(self, resources: Iterable[Resource]) -> None:
        """Say of each why it is not Ready, unless that was said since this console began."""
        for resource in resources:
            key, ready = key_of(resource), find_condition(resource.status.conditions, "Ready")
            if ready is not None and key not in self._described:
                self._describe(key, ready)

    def _describe(self, key: Key, ready: Condition) -> None:
        self._described.add(key)
        message = f": {ready.message}" if ready.message else ""
        state = "Ready" if ready.status == "True" else "not Ready"
        self.line(f"= {short(key)}  {state}, {ready.reason}{message}")

    def failed(self, key: Key, error: Exception) -> None:
        if isinstance(error, FeatureLineageError):
            self.line(f"! {short(key)}  {error.reason}: {error.message}; tried again in 30 s")
        else:  # a bug, or a machine in trouble: whoever mends it needs all of it
            self.line(f"! {short(key)}  {''.join(traceback.format_exception(error)).rstrip()}")

    def invalid(self, error: InvalidManifest) -> None:
        self.line(f"! manifests do not validate; the last good state stays:\n{error.message}")


def printable(text: str) -> str:
    """Text of a repo, a tag or a server as a terminal may have it: it can move no cursor."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def short(key: Key) -> str:
    """A key as people type it: ``fsp/driver`` or, of another namespace, ``ml/fsp/driver``."""
    kind = "fsp" if key.kind == "FeatureStoreProject" else "ftm"
    prefix = "" if key.namespace == "default" else f"{key.namespace}/"
    return f"{prefix}{kind}/{key.name}"


def progress_of(path: Path) -> str:
    """The last thing a running job said it is doing, "" while it has said nothing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ""
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            words = [str(event[name]) for name in ("phase", "name", "rows") if name in event]
            return " ".join(words)
    return ""
