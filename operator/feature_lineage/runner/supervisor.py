"""Runs the worker and writes a report for every job, whatever the repo's code does.

The supervisor starts the worker in its own session, reads the worker's output (keeping the tail),
enforces the deadline on the process group, and asks the registry verifier to confirm the report.
The supervisor does not import Feast, so it starts fast and uses little memory.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TextIO

from feature_lineage.runner.progress import PUBLIC_EVENTS, VIEW_EVENTS, WorkerResult

if TYPE_CHECKING:  # these imports take time: they happen after the worker has started
    from feature_lineage.operations.job_report import JobReport
    from feature_lineage.runner.newer_guard import GuardHost, GuardQuestion
    from feature_lineage.runner.view_results import Keep

UNFINISHED: Final = "unfinished.json"

MAX_LINE: Final = 64 * 1024 * 1024
TAIL: Final = 4096
KILL_GRACE: Final = 5.0
VERIFIER_TIMEOUT: Final = 60.0
# Disables telemetry and bytecode files.
REPORTING_OFF: Final = {
    "FEAST_USAGE": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def supervise(
    request_path: Path,
    report_path: Path,
    log_to: Path | TextIO | None,
    keep: "Keep | None" = None,
    host: "Callable[[], GuardHost | None]" = lambda: None,
) -> int:
    """Run one operation to its report; returns the exit code.

    Args:
        log_to: progress, one JSON object per line: a file to append to, or an open file.
        keep: stores the report so far of a materialization, for the case that this process dies;
            None: in `UNFINISHED` beside the report.
        host: makes the way to the host that answers a question for a newer guard.
    """
    started, clock = time.time(), time.monotonic()
    scratch = tempfile.TemporaryDirectory(prefix="feature-lineage-", ignore_cleanup_errors=True)
    # From before the worker starts, SIGTERM and SIGINT still produce a report.
    with _recorded_signals() as signals, scratch as tmp:
        worker = Worker(request_path, scratch=tmp)
        try:
            # Imported while the worker imports Feast on the other core.
            from feature_lineage.operations.protocol import JobRequest, encode
            from feature_lineage.runner.newer_guard import GuardQuestion
            from feature_lineage.runner.report_builder import build_report
            from feature_lineage.runner.view_results import ViewResults

            def keep_beside(unfinished: "JobReport") -> None:
                path = report_path.with_name(UNFINISHED)
                _write_atomically(path, encode(unfinished).encode())

            request = JobRequest.model_validate_json(request_path.read_bytes())
            deadline, result = clock + request.deadline_seconds, WorkerResult()
            views = ViewResults(request, started, keep or keep_beside, result.redaction)
            worker.question = GuardQuestion(host(), worker.answers, deadline)
            with (
                log_to.open("a")
                if isinstance(log_to, Path)
                else contextlib.nullcontext(log_to) as log
            ):
                worker.watch(deadline, signals, log, result, views.handle)
            result.unfinished = views.unfinished
        finally:
            worker.kill()
        report = build_report(request, result, started)
        _write_atomically(report_path, encode(report).encode())
    return int(report.exit_code)


@contextlib.contextmanager
def _recorded_signals() -> Iterator[list[str]]:
    """Record SIGTERM and SIGINT by name instead of ending this process."""
    signals: list[str] = []

    def record(number: int, _frame: FrameType | None) -> None:
        signals.append(signal.Signals(number).name)

    before = {number: signal.signal(number, record) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Worker:
    """The worker's process group and the pipes to it."""

    def __init__(self, request_path: Path, scratch: str) -> None:
        events_read, events_write = os.pipe()
        request_read, request_write = os.pipe()
        reply_read, reply_write = os.pipe()
        answer_read, answer_write = os.pipe()
        output_read, output_write = os.pipe()
        worker_ends = (events_write, request_read, reply_write, answer_read)
        environment = {**os.environ, **REPORTING_OFF, "TMPDIR": scratch}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "feature_lineage.runner.worker"),
                *(str(request_path.resolve()), str(os.getpid()), *map(str, worker_ends)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output_write,
            stderr=subprocess.STDOUT,
            pass_fds=worker_ends,
            start_new_session=True,
            env=environment,
        )
        for descriptor in (*worker_ends, output_write):
            os.close(descriptor)
        self._output = output_read
        self._events, self._requests, self._replies = events_read, request_write, reply_read
        self.answers = answer_write
        self.question: GuardQuestion | None = None

    def watch(
        self,
        deadline: float,
        signals: Sequence[str],
        log: Any,
        result: WorkerResult,
        on_view: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        """Read until the report is complete, the worker has exited, or the job must stop.

        Args:
            result: what the worker sends is added to it.
            on_view: handles events of views; returns whether the worker waits for an answer.
        """
        lines = {self._events: b"", self._replies: b""}
        verify_until: float | None = None
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._events, self._output, self._replies):
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            exited = False
            while not result.stopped_by:
                ready = selector.select(0 if exited else 0.1)
                for key, _ in ready:
                    chunk = os.read(key.fd, 1 << 16)
                    if not chunk:
                        selector.unregister(key.fd)
                    elif key.fd == self._output:
                        result.output = (result.output + chunk)[-4 * TAIL :]
                    else:
                        data = lines[key.fd] + chunk
                        lines[key.fd] = self._handle_lines(data, result, log, on_view)
                now = time.monotonic()
                if result.report is not None:
                    if verify_until is None:
                        verify_until = now + VERIFIER_TIMEOUT
                        if not self._request_verification(result.report):
                            break
                    if result.registry is not None or now > verify_until:
                        result.verify_seconds = VERIFIER_TIMEOUT - (verify_until - now)
                        break
                elif exited and not ready:
                    break
                elif signals:
                    result.stopped_by = signals[0]
                elif now > deadline:
                    result.stopped_by = "deadline"
                exited = exited or self.process.poll() is not None
        if result.stopped_by:
            self._terminate()
            self._drain(result)
        result.returncode = self.process.poll()

    def _handle_lines(
        self,
        data: bytes,
        result: WorkerResult,
        log: Any,
        on_view: Callable[[Mapping[str, Any]], bool],
    ) -> bytes:
        """Handle whole lines, return the rest."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            match message:
                case {"event": "report", "report": dict(report)}:
                    result.report = report
                case {"event": "registry"}:
                    result.registry = message
                case {"event": "guard"} if self.question is not None:
                    self.question.ask()
                case {"event": "secrets", "values": list(values), "hosts": list(hosts)}:
                    result.redaction.secrets += [v for v in values if isinstance(v, str)]
                    result.redaction.hosts += [h for h in hosts if isinstance(h, str)]
                case {"event": str(event)} if event in VIEW_EVENTS:
                    if on_view(message):
                        with contextlib.suppress(BrokenPipeError):
                            os.write(self.answers, b"\n")
                case {"event": str(event)} if event in PUBLIC_EVENTS:
                    if event == "phase":
                        result.phase = str(message.get("name", result.phase))
                    if log is not None:
                        log.write(line.decode(errors="replace") + "\n")
                        log.flush()
        if len(rest) > MAX_LINE:
            result.stopped_by = "oversized report"
        return rest

    def _request_verification(self, report: dict[str, Any]) -> bool:
        if report.get("outcome") not in ("Succeeded", "Partial") or report.get("kind") == "observe":
            return False
        try:
            os.write(self._requests, b"read\n")
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

    def _drain(self, result: WorkerResult) -> None:
        """Read the rest of the output; do not wait for processes that still hold the pipe."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._output, 1 << 16):
                result.output = (result.output + chunk)[-4 * TAIL :]

    def kill(self) -> None:
        """End the whole group: worker, verifier, and processes that the repo's code started."""
        if self.question is not None:
            self.question.close()
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
