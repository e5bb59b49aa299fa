"""The output of the local host: a line for each event, operation, verdict and failure."""

import json
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from feature_lineage.api.conditions import find_condition
from feature_lineage.api.meta import Condition
from feature_lineage.decide.facts import Event, Key, Resource, key_of
from feature_lineage.errors import FeatureLineageError, InvalidManifest
from feature_lineage.reconcile.listener import Listener
from feature_lineage.reconcile.reconciler import ReconcileResult
from feature_lineage.shorten import visible, visible_lines


class PlainConsole(Listener):
    """Writes lines with their time, for a file or a pipe.

    Args:
        out: standard error by default, so that standard output has results only.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._described: set[Key] = set()

    def line(self, text: str) -> None:
        now = datetime.now(UTC).strftime("%H:%M:%S")
        first, *rest = visible_lines(text).split("\n")
        print(f"{now}  {first}", *(f"          {line}" for line in rest), sep="\n", file=self._out)
        self._out.flush()

    def event(self, event: Event) -> None:
        mark = "!" if event.kind == "Warning" else "·"
        self.line(f"{mark} {short(event.key)}  {event.reason}: {event.message}")

    def reconciled(
        self, key: Key, before: Resource, result: ReconcileResult, seconds: float
    ) -> None:
        del seconds
        known = {operation.id for operation in getattr(before.status, "in_flight", ())}
        for operation in getattr(result.resource.status, "in_flight", ()):
            if operation.id not in known:
                self.line(f"▸ {short(key)}  {operation.kind} {operation.id} started")
        was = find_condition(before.status.conditions, "Ready")
        now = find_condition(result.resource.status.conditions, "Ready")
        if now is not None and (
            was is None or (was.status, was.reason) != (now.status, now.reason)
        ):
            self._describe(key, now)

    def unready(self, resources: Iterable[Resource]) -> None:
        """Write the reason of each resource's Ready condition, unless it was written before."""
        for resource in resources:
            key, ready = key_of(resource), find_condition(resource.status.conditions, "Ready")
            if ready is not None and key not in self._described:
                self._describe(key, ready)

    def _describe(self, key: Key, ready: Condition) -> None:
        self._described.add(key)
        message = f": {ready.message}" if ready.message else ""
        state = "Ready" if ready.status == "True" else "not Ready"
        self.line(f"= {short(key)}  {state}, {ready.reason}{message}")

    def failed(self, key: Key, error: Exception, retry_after: float) -> None:
        if isinstance(error, FeatureLineageError):
            retry = f"retried in {retry_after:.0f} s"
            self.line(f"! {short(key)}  {error.reason}: {visible(error.message)}; {retry}")
        else:  # a bug, or a fault of the machine: a report needs the traceback
            self.line(f"! {short(key)}  {''.join(traceback.format_exception(error)).rstrip()}")

    def invalid(self, error: InvalidManifest) -> None:
        self.line(f"! manifests do not validate; the resources stay as they were:\n{error.message}")

    def manifest_removed(self, key: Key) -> None:
        self.line(
            f"! {short(key)}  its manifest was removed, and its deletionPolicy is Delete: the "
            "project stays; add the manifest again, or delete it with --delete-removed"
        )


def short(key: Key) -> str:
    """A key in short: ``fsp/driver``, or ``ml/fsp/driver`` outside namespace ``default``."""
    kind = "fsp" if key.kind == "FeatureStoreProject" else "ftm"
    prefix = "" if key.namespace == "default" else f"{key.namespace}/"
    return f"{prefix}{kind}/{key.name}"


def progress_of(path: Path) -> str:
    """The newest progress of a running job as words; "" before the first progress."""
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
