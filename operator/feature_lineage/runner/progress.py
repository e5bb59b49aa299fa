"""Messages from the worker to the supervisor: JSON lines on a separate pipe.

Standard output is not used: the repo's code may print anything there, also JSON.

    {"event": "phase", "name": "import_repo"}
    {"event": "view", "name": "driver_hourly_stats", "result": "Succeeded", "rows": 5}
    {"event": "secrets", "values": [...], "hosts": [...]}    see `Redaction`
    {"event": "view_planned", "view": {...}}    a view that will be materialized
    {"event": "view_running", "name": "driver_hourly_stats"}    the worker waits for an answer
    {"event": "view_keeps_state", "name": "driver_hourly_stats"}    Feast stored no MATERIALIZING
    {"event": "view_ended", "view": {...}}      its result
    {"event": "guard"}                          a newer guard is needed; the answer is one line
    {"event": "report", "report": {...}}        the last one
"""

import json
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from feature_lineage.runner.redaction import Redaction

if TYPE_CHECKING:
    from feature_lineage.operations.job_report import JobReport

PUBLIC_EVENTS: Final = frozenset({"phase", "view"})
VIEW_EVENTS: Final = frozenset({"view_planned", "view_running", "view_ended", "view_keeps_state"})
ANSWER_SECONDS: Final = 30.0
# Phases in which the repo's code runs: errors in them are errors of the repo.
REPO_PHASES: Final = frozenset({"import_repo", "infer"})
DOING: Final = {
    "start": "starting",
    "import_feast": "importing feast",
    "read": "reading the registry",
    "import_repo": "importing the repo's code",
    "infer": "working out features from the repo's code",
    "plan": "planning",
    "dry_retrieval": "retrieving the features of the protected models with made-up values",
    "sources": "reading keys from the sources",
    "probe": "retrieving the features of the models from the online store",
    "wait_for_guard": "waiting for newer facts about the protected models",
    "apply": "writing the registry",
    "online_tables": "changing tables of the online store",
    "materialize": "materializing",
    "delete": "deleting the project",
}


@dataclass
class WorkerResult:
    """The messages of the worker to the supervisor, and the state of its process.

    Attributes:
        report: the report as the worker sent it, not validated; None until it arrives.
        unfinished: what is known of the views of a materialization that sent no report.
        phase: the last phase that the worker entered.
        redaction: of everything that is shown.
        output: the end of what the worker printed.
        stopped_by: why the supervisor stopped the worker: a signal's name, ``deadline``, or
            ``oversized report``; "" if it did not.
        returncode: of the worker's process; None while it runs.
        registry: the registry verifier's answer, with ``digest`` or ``error``.
        verify_seconds: how long the verifier took.
    """

    report: dict[str, Any] | None = None
    unfinished: "JobReport | None" = None
    phase: str = "start"
    redaction: Redaction = field(default_factory=Redaction)
    output: bytes = b""
    stopped_by: str = ""
    returncode: int | None = None
    registry: dict[str, Any] | None = None
    verify_seconds: float | None = None


class ProgressPipe:
    """The worker's end of the pipe, and of the pipe with the answers.

    Args:
        descriptor: to the supervisor.
        answers: from the supervisor; None: nobody answers.

    Attributes:
        seconds: phase → seconds spent in it.
        phase_name: the current phase; decides the reason of an unknown error.
    """

    def __init__(self, descriptor: int, answers: int | None = None) -> None:
        os.set_inheritable(descriptor, False)
        if answers is not None:
            os.set_inheritable(answers, False)
        self._descriptor, self._answers = descriptor, answers
        self.seconds: dict[str, float] = {}
        self.phase_name = "start"

    def emit(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, **fields}, separators=(",", ":"), default=str)
        data = memoryview(line.encode() + b"\n")
        while data:
            data = data[os.write(self._descriptor, data) :]

    def emit_and_wait(self, event: str, **fields: Any) -> None:
        """Emit an event, and wait until the supervisor has handled it, at most `ANSWER_SECONDS`."""
        self.emit(event, **fields)
        if self._answers is not None and select.select([self._answers], [], [], ANSWER_SECONDS)[0]:
            os.read(self._answers, 1)

    def ask_for_guard(self) -> bytes:
        """Ask for a newer guard and wait; returns a `GuardAnswer`, JSON, or b"" without a host.

        The supervisor limits the wait.
        """
        if self._answers is None:
            return b""
        self.emit("guard")
        with os.fdopen(self._answers, "rb", closefd=False) as answers:
            return answers.readline().strip()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase; after an error `phase_name` remains that phase."""
        outer, self.phase_name = self.phase_name, name
        self.emit("phase", name=name)
        started = time.monotonic()
        try:
            yield
            self.phase_name = outer
        finally:
            spent = time.monotonic() - started
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 3)
