"""What the worker tells the supervisor: JSON lines on a pipe of their own.

Standard output belongs to the repo's code, which may print anything, JSON included; so nothing
of ours travels there.

    {"event": "phase", "name": "import_repo"}
    {"event": "view", "name": "driver_hourly_stats", "result": "Succeeded", "rows": 5}
    {"event": "secrets", "values": [...]}       to be blotted out of what the repo printed
    {"event": "report", "report": {...}}        the last one
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

PUBLIC_EVENTS: Final = frozenset({"phase", "view"})
# Phases in which code of the repo runs: what goes wrong there is the repo's.
REPO_PHASES: Final = frozenset({"import_repo", "infer"})
DOING: Final = {
    "start": "starting",
    "import_feast": "importing feast",
    "read": "reading the registry",
    "import_repo": "importing the repo's code",
    "infer": "working out features from the repo's code",
    "plan": "planning",
    "apply": "writing the registry",
    "online_tables": "changing tables of the online store",
    "materialize": "materializing",
    "delete": "deleting the project",
}


class ProgressPipe:
    """The worker's end.

    Attributes:
        seconds: phase → seconds spent in it.
        phase_name: the phase under way, which tells whose fault an error is.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self.seconds: dict[str, float] = {}
        self.phase_name = "start"

    def emit(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, **fields}, separators=(",", ":"), default=str)
        data = memoryview(line.encode() + b"\n")
        while data:
            data = data[os.write(self._descriptor, data) :]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase; `phase_name` stays on it when it raises."""
        outer, self.phase_name = self.phase_name, name
        self.emit("phase", name=name)
        started = time.monotonic()
        try:
            yield
            self.phase_name = outer
        finally:
            spent = time.monotonic() - started
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 3)
