"""The folder of one job: its files, and the state of the job.

jobs/<operation id>/
    request.json   written first
    lock           held by the job's process (flock), free once the process has ended
    pid            the process group, written by the process itself
    spawned        a process was started, whatever became of it
    cancelled      the host has sent SIGTERM; why
    guard-question     the job asks for a newer guard: a token
    guard-answer.json  the answer of the host, with that token
    report.json    appears whole, by rename
    unfinished.json    the report so far of a materialization, by rename
    progress.jsonl one JSON object a line, written while the job runs
    output.log     standard output and error of the runner
"""

import asyncio
import errno
import fcntl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from feature_lineage.decide.facts import JobFacts
from feature_lineage.errors import InvalidReport
from feature_lineage.operations.job_report import JobReport, decode_report
from feature_lineage.operations.newer_guard import ANSWER_FILE, QUESTION_FILE, question_token
from feature_lineage.operations.unfinished import ended_early
from feature_lineage.reasons import Reason

OUTPUT_SHOWN: Final = 2000
PID_SECONDS: Final = 2.0


class JobFolder:
    """Reads the folder of one job.

    Attributes:
        path: of the folder, which may not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def request(self) -> Path:
        return self.path / "request.json"

    @property
    def report(self) -> Path:
        return self.path / "report.json"

    @property
    def progress(self) -> Path:
        return self.path / "progress.jsonl"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def output(self) -> Path:
        return self.path / "output.log"

    @property
    def pid_file(self) -> Path:
        return self.path / "pid"

    @property
    def cancellation(self) -> Path:
        return self.path / "cancelled"

    @property
    def answer(self) -> Path:
        return self.path / ANSWER_FILE

    @property
    def question(self) -> str:
        """The token of a question for a newer guard without an answer; "" if there is none."""
        try:
            token = question_token((self.path / QUESTION_FILE).read_text(errors="replace"))
        except FileNotFoundError:
            return ""
        return "" if self.answer.exists() else token

    @property
    def cancelled(self) -> bool:
        """Whether the host has sent SIGTERM to the job."""
        return self.cancellation.exists()

    def mark_spawned(self) -> None:
        (self.path / "spawned").touch()

    def running(self) -> bool:
        """Whether the job's process holds the lock."""
        try:
            with self.lock.open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return True
            raise
        return False

    def pid(self) -> int | None:
        """The process group of the job, None before it is written."""
        try:
            return int(self.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    async def pid_of_running(self) -> int | None:
        """The process group of a running job, which its process writes first."""
        for _ in range(round(PID_SECONDS / 0.01)):
            pid = self.pid()
            if pid is not None or not self.running():
                return pid
            await asyncio.sleep(0.01)
        return None

    def ended(self) -> JobFacts | None:
        """The outcome of a job that is not running; None: no process was started for it."""
        if self.report.exists():
            return self._reported()
        if not self.pid_file.exists() and not (self.path / "spawned").exists():
            return None
        message = f"the job's process ended without a report{self._last_output()}"
        return JobFacts(
            running=False,
            report=self._unfinished(message),
            reason=Reason.JOB_FAILED,
            message=message,
            begun=not self.cancelled,  # SIGTERM came before the runner could report
            cancelled=self.cancelled,
        )

    def _unfinished(self, message: str) -> JobReport | None:
        """The report so far of a materialization that was killed with its supervisor."""
        try:
            found = decode_report((self.path / "unfinished.json").read_bytes())
            ended = datetime.fromtimestamp(self.lock.stat().st_mtime, UTC)
        except (FileNotFoundError, InvalidReport):
            return None
        reason = Reason.INTERRUPTED if self.cancelled else Reason.JOB_FAILED
        return ended_early(found, reason, message, ended, killed=not self.cancelled)

    def _reported(self) -> JobFacts:
        try:
            report = decode_report(self.report.read_bytes())
        except InvalidReport as error:
            return JobFacts(running=False, reason=error.reason, message=error.message)
        return JobFacts(running=False, report=report, cancelled=self.cancelled)

    def _last_output(self) -> str:
        try:
            text = self.output.read_bytes()[-OUTPUT_SHOWN:].decode(errors="replace")
        except FileNotFoundError:
            return ""
        return f"; its last output: {text.strip()}" if text.strip() else ""
