"""Keeps the promise that every job ends with a report, whatever the repo's code does.

It starts the worker in a session of its own, drains what the worker prints (keeping the tail),
enforces the deadline on the whole process group, and asks the witness whether the registry holds
what the worker reported. It imports no Feast, so it starts in a blink and stays small.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, TextIO

from feature_lineage.runner.progress import PUBLIC_EVENTS

MAX_LINE: Final = 64 * 1024 * 1024
TAIL: Final = 4096
KILL_GRACE: Final = 5.0
WITNESS_PATIENCE: Final = 60.0
# What Feast and MLflow would otherwise send, or leave behind, on their own account.
QUIET_ENVIRONMENT: Final = {
    "FEAST_USAGE": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass
class Watched:
    """What has been seen of the worker so far."""

    report: dict[str, Any] | None = None
    phase: str = "start"
    secrets: list[str] = field(default_factory=list)
    output: bytes = b""
    stopped_by: str = ""
    returncode: int | None = None
    answer: dict[str, Any] | None = None
    verify_seconds: float | None = None


def supervise(request_path: Path, report_path: Path, log_to: Path | TextIO | None) -> int:
    """Run one operation to its report; returns the exit code.

    Args:
        log_to: takes progress, one JSON object a line: a file to append to, or one that is open.
    """
    started, clock = time.time(), time.monotonic()
    scratch = tempfile.TemporaryDirectory(prefix="feature-lineage-", ignore_cleanup_errors=True)
    # No SIGTERM or SIGINT ends us without a report, from before there is a worker.
    with _noted_signals() as asked, scratch as tmp:
        worker = Worker(request_path, scratch=tmp)
        try:
            # Imported while the worker imports Feast on the other core.
            from feature_lineage.operations.protocol import JobRequest, encode
            from feature_lineage.runner.report_builder import conclude

            request = JobRequest.model_validate_json(request_path.read_bytes())
            with (
                log_to.open("a")
                if isinstance(log_to, Path)
                else contextlib.nullcontext(log_to) as log
            ):
                seen = worker.watch(clock + request.deadline_seconds, asked, log)
        finally:
            worker.kill()
        report = conclude(request, seen, started)
        _write_atomically(report_path, encode(report).encode())
    return int(report.exit_code)


@contextlib.contextmanager
def _noted_signals() -> Iterator[list[str]]:
    """While open, SIGTERM and SIGINT to us end nothing: their names are in the list."""
    asked: list[str] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Worker:
    """The worker's process group and the pipes to it."""

    def __init__(self, request_path: Path, scratch: str) -> None:
        events_read, events_write = os.pipe()
        ask_read, ask_write = os.pipe()
        answer_read, answer_write = os.pipe()
        output_read, output_write = os.pipe()
        theirs = (events_write, ask_read, answer_write)
        environment = {**os.environ, **QUIET_ENVIRONMENT, "TMPDIR": scratch}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "feature_lineage.runner.worker"),
                *(str(request_path.resolve()), str(os.getpid()), *map(str, theirs)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output_write,
            stderr=subprocess.STDOUT,
            pass_fds=theirs,
            start_new_session=True,
            env=environment,
        )
        for descriptor in (*theirs, output_write):
            os.close(descriptor)
        self._output = output_read
        self._events, self._ask, self._answer = events_read, ask_write, answer_read

    def watch(self, deadline: float, asked: Sequence[str], log: Any) -> Watched:
        """Read until the report is there, the worker is gone, its time is up, or a signal came."""
        seen = Watched()
        lines = {self._events: b"", self._answer: b""}
        witness_until: float | None = None
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._events, self._output, self._answer):
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            gone = False
            while not seen.stopped_by:
                ready = selector.select(0 if gone else 0.1)
                for key, _ in ready:
                    chunk = os.read(key.fd, 1 << 16)
                    if not chunk:
                        selector.unregister(key.fd)
                    elif key.fd == self._output:
                        seen.output = (seen.output + chunk)[-4 * TAIL :]
                    else:
                        lines[key.fd] = self._take(lines[key.fd] + chunk, seen, log)
                now = time.monotonic()
                if seen.report is not None:
                    if witness_until is None:
                        witness_until = now + WITNESS_PATIENCE
                        if not self._ask_witness(seen.report):
                            break
                    if seen.answer is not None or now > witness_until:
                        seen.verify_seconds = WITNESS_PATIENCE - (witness_until - now)
                        break
                elif gone and not ready:
                    break
                elif asked:
                    seen.stopped_by = asked[0]
                elif now > deadline:
                    seen.stopped_by = "deadline"
                gone = gone or self.process.poll() is not None
        if seen.stopped_by:
            self._terminate()
            self._drain(seen)
        seen.returncode = self.process.poll()
        return seen

    def _take(self, data: bytes, seen: Watched, log: Any) -> bytes:
        """Handle whole lines, return the rest."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            match message:
                case {"event": "report", "report": dict(report)}:
                    seen.report = report
                case {"event": "registry"}:
                    seen.answer = message
                case {"event": "secrets", "values": list(values)}:
                    seen.secrets += [value for value in values if isinstance(value, str)]
                case {"event": str(event)} if event in PUBLIC_EVENTS:
                    if event == "phase":
                        seen.phase = str(message.get("name", seen.phase))
                    if log is not None:
                        log.write(line.decode(errors="replace") + "\n")
                        log.flush()
        if len(rest) > MAX_LINE:
            seen.stopped_by = "oversized report"
        return rest

    def _ask_witness(self, report: dict[str, Any]) -> bool:
        if report.get("outcome") not in ("Succeeded", "Partial") or report.get("kind") == "observe":
            return False
        try:
            os.write(self._ask, b"read\n")
        except BrokenPipeError:
            return False
        return True

    def _terminate(self) -> None:
        self._signal_group(signal.SIGTERM)
        try:
            self.process.wait(KILL_GRACE)
        except subprocess.TimeoutExpired:
            self._signal_group(signal.SIGKILL)
            self.process.wait()

    def _drain(self, seen: Watched) -> None:
        """Take what is left in the pipe; whoever still holds its other end is about to go."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._output, 1 << 16):
                seen.output = (seen.output + chunk)[-4 * TAIL :]

    def kill(self) -> None:
        """End the whole group: worker, witness, and whatever the repo's code has started."""
        self._signal_group(signal.SIGKILL)
        self.process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
