"""Jobs as subprocesses: each in a folder of its own, in a process group of its own.

A job outlives its host: it holds a lock on its folder for as long as it lives, so a host that
starts anew sees without guessing whether the job runs, has reported, or died. Nothing about a job
is known from memory.

    jobs/<operation id>/
        request.json   written first
        lock           held by the job's process (flock), free once it is gone
        pid            its process group, written by itself
        spawned        there was a process, whatever became of it
        cancelled      the host asked for its end, and why
        report.json    appears whole, by rename
        progress.jsonl one JSON object a line, written while it works
        output.log     what the runner itself had to say
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import JobFacts
from feature_lineage.errors import InvalidReport
from feature_lineage.local.objects import FolderObjects
from feature_lineage.local.state import write_atomically
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import (
    JobRequest,
    decode_report,
    encode,
)
from feature_lineage.reasons import Reason
from feature_lineage.sources.project_sources import LocalProjectSources

CANCELLED: Final = "cancelled"
GRACE_SECONDS: Final = 30.0
OUTPUT_SHOWN: Final = 2000
# The process names itself before it becomes the runner: no host death can leave one without a pid.
WRITE_PID_AND_BECOME: Final = 'echo $$ > "$0.tmp" && mv "$0.tmp" "$0" && exec "$@"'


class SubprocessJobs:
    """`JobRunner` of the local host.

    Args:
        folder: where job folders live.
        ended: called with the operation id when a job of this host's watching ends.
        objects: where ``valueFrom`` of the project's environment is looked up.
        source: puts repos where jobs find them.
    """

    def __init__(
        self,
        folder: Path,
        ended: Callable[[str], None],
        objects: FolderObjects,
        source: LocalProjectSources,
    ) -> None:
        self._folder = folder.absolute()
        self._source = source
        self._ended = ended
        self._objects = objects
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self, request: JobRequest, project: FeatureStoreProject) -> None:
        """Start the job unless it is there already, running or ended."""
        if await self.state(request.operation_id) is not None:
            return
        exact = KINDS[request.kind].imports_repo_code
        repo = await self._source.prepare(project, request.revision, exact=exact)
        folder = exact and self._source.watched(project) is not None
        request = request.model_copy(update={"repo": str(repo), "folder_revision": folder})
        home = self._home(request.operation_id)
        # For this user's eyes only: a request may carry what a Secret says.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(home / "request.json", encode(request))
        environment = {**os.environ, **await self._objects.environment(project)}
        environment.pop("PYTHONPATH", None)
        with (home / "lock").open("w") as lock, (home / "output.log").open("wb") as output:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            child = subprocess.Popen(  # noqa: ASYNC220 - it is waited for by its pidfd
                [
                    "/bin/sh",
                    "-c",
                    WRITE_PID_AND_BECOME,
                    str(home / "pid"),
                    sys.executable,
                    "-P",
                    "-m",
                    "feature_lineage.runner",
                    "--request",
                    str(home / "request.json"),
                    "--report",
                    str(home / "report.json"),
                    "--log",
                    str(home / "progress.jsonl"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=home,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        (home / "spawned").touch()
        self._children[request.operation_id] = child
        self._watch(request.operation_id, child.pid, request.deadline_seconds + GRACE_SECONDS)

    async def state(
        self,
        operation_id: str,
        project: FeatureStoreProject | None = None,  # noqa: ARG002 - ids are unique here
    ) -> JobFacts | None:
        home = self._home(operation_id)
        if (home / "report.json").exists():
            return self._reported(home)
        if self._running(home):
            pid = await self._pid_soon(home)
            if pid is not None:
                self._watch(operation_id, pid, None)
            return JobFacts(running=True, cancelled=(home / CANCELLED).exists())
        if (home / "report.json").exists():  # it ended between the two looks
            return self._reported(home)
        if not (home / "pid").exists() and not (home / "spawned").exists():
            # The host that wanted it died before there was a process.
            return None
        cancelled = (home / CANCELLED).exists()
        return JobFacts(
            running=False,
            reason=Reason.JOB_FAILED,
            message=f"the job's process ended without a report{self._last_words(home)}",
            begun=not cancelled,  # SIGTERM came before the runner could report
            cancelled=cancelled,
        )

    async def cancel(
        self,
        operation_id: str,
        project: FeatureStoreProject,  # noqa: ARG002 - ids are unique here
        why: str,
    ) -> None:
        """Send SIGTERM to the job's process group; the job ends with a report ``Interrupted``.

        The file ``cancelled`` is written after the signal: a host that dies in between sends the
        signal again.
        """
        home = self._home(operation_id)
        if (home / CANCELLED).exists() or not self._running(home):
            return
        pid = await self._pid_soon(home)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
            write_atomically(home / CANCELLED, why)

    async def release(
        self,
        operation_id: str,
        project: FeatureStoreProject | None = None,  # noqa: ARG002 - ids are unique here
    ) -> None:
        self._reap(operation_id)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._home(operation_id))

    def unreleased(self) -> set[str]:
        """Ids of the jobs that are not released: those that have a folder."""
        if not self._folder.is_dir():
            return set()
        return {home.name for home in self._folder.iterdir() if home.is_dir()}

    def progress(self, operation_id: str) -> Path:
        """The file a running job writes its progress to, one JSON object a line."""
        return self._home(operation_id) / "progress.jsonl"

    @property
    def watching(self) -> bool:
        """Whether a job runs whose end will be told."""
        return bool(self._watched)

    def abandon(self) -> None:
        """Stop watching; whatever runs, runs on. What the end of this process would do."""
        for task in self._watched.values():
            task.cancel()

    async def stop_all(self) -> None:
        """End every running job and forget it, so that the next host starts it afresh."""
        for operation_id, task in list(self._watched.items()):
            home = self._home(operation_id)
            pid = self._pid(home)
            if pid is not None and self._running(home):
                await self._kill(pid, home)
                facts = await self.state(operation_id)
                report = facts.report if facts else None
                if report is None or report.reason == Reason.INTERRUPTED:
                    await self.release(operation_id)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _home(self, operation_id: str) -> Path:
        return self._folder / operation_id

    @staticmethod
    def _running(home: Path) -> bool:
        try:
            with (home / "lock").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return True
            raise
        return False

    @staticmethod
    def _pid(home: Path) -> int | None:
        try:
            return int((home / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    async def _pid_soon(self, home: Path) -> int | None:
        """The pid; a process that has just started writes it as the first thing it does."""
        for _ in range(200):
            pid = self._pid(home)
            if pid is not None or not self._running(home):
                return pid
            await asyncio.sleep(0.01)
        return None

    @staticmethod
    def _reported(home: Path) -> JobFacts:
        try:
            report = decode_report((home / "report.json").read_bytes())
        except InvalidReport as error:
            return JobFacts(running=False, reason=error.reason, message=error.message)
        return JobFacts(running=False, report=report, cancelled=(home / CANCELLED).exists())

    @staticmethod
    def _last_words(home: Path) -> str:
        try:
            text = (home / "output.log").read_bytes()[-OUTPUT_SHOWN:].decode(errors="replace")
        except FileNotFoundError:
            return ""
        return f"; its last output: {text.strip()}" if text.strip() else ""

    def _watch(self, operation_id: str, pid: int, deadline: float | None) -> None:
        if operation_id not in self._watched:
            self._watched[operation_id] = asyncio.create_task(
                self._wait(operation_id, pid, deadline), name=f"job {operation_id}"
            )

    async def _wait(self, operation_id: str, pid: int, deadline: float | None) -> None:
        """Wait for the process to end by its pidfd: no polling, and adopted jobs work alike."""
        try:
            async with asyncio.timeout(deadline):
                await _process_end(pid)
        except TimeoutError:
            await self._kill(pid, self._home(operation_id))
        finally:
            self._watched.pop(operation_id, None)
        self._reap(operation_id)
        self._ended(operation_id)

    async def _kill(self, pid: int, home: Path) -> None:
        for sign, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
            if not self._running(home):
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, sign)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await _process_end(pid)

    def _reap(self, operation_id: str) -> None:
        child = self._children.pop(operation_id, None)
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=1)


async def _process_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
