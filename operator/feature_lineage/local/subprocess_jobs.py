"""Jobs as subprocesses, each with a folder and a process group of its own.

A job outlives its host. The job holds a lock on its folder while it runs, so the next host finds
out from the folder alone whether the job runs, has reported, or has crashed.
"""

import asyncio
import contextlib
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
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.local.job_folder import JobFolder
from feature_lineage.local.state_folder import write_atomically
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.protocol import JobRequest, encode
from feature_lineage.reasons import Reason
from feature_lineage.sources.project_sources import LocalProjectSources

GRACE_SECONDS: Final = 30.0
QUESTION_SECONDS: Final = 0.5
# The process writes its pid before it becomes the runner, so a crash of the host cannot leave a
# process without one.
WRITE_PID_AND_EXEC: Final = 'echo $$ > "$0.tmp" && mv "$0.tmp" "$0" && exec "$@"'


class SubprocessJobs:
    """`JobRunner` of the local host.

    Args:
        folder: parent of the folders of jobs.
        on_change: called with the operation id when a job that this host watches ends, or asks for
            a newer guard.
        objects: for ``valueFrom`` of the project's environment.
        source: prepares the repo for a job.
    """

    def __init__(
        self,
        folder: Path,
        on_change: Callable[[str], None],
        objects: FolderObjects,
        source: LocalProjectSources,
    ) -> None:
        self._folder = folder.absolute()
        self._source = source
        self._on_change = on_change
        self._objects = objects
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self, request: JobRequest, project: FeatureStoreProject) -> None:
        """Start a job, unless there is one of this operation id, running or ended."""
        if await self.state(request.operation_id) is not None:
            return
        exact = KINDS[request.kind].imports_repo_code
        repo = await self._source.prepare(project, request.revision, exact=exact)
        from_folder = exact and self._source.watched(project) is not None
        request = request.model_copy(update={"repo": str(repo), "folder_revision": from_folder})
        job = self._job(request.operation_id)
        # Only this user may read the folder: a request may have values of Secrets.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(job.request, encode(request))
        # The PYTHONPATH of this process could replace packages of the job; spec.runtime.env may.
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment = own | await self._objects.environment(project)
        with job.lock.open("w") as lock, job.output.open("wb") as output:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            child = subprocess.Popen(  # noqa: ASYNC220 - `_watch` waits for its pidfd
                [
                    "/bin/sh",
                    "-c",
                    WRITE_PID_AND_EXEC,
                    str(job.pid_file),
                    sys.executable,
                    "-P",
                    "-m",
                    "feature_lineage.runner",
                    "--request",
                    str(job.request),
                    "--report",
                    str(job.report),
                    "--log",
                    str(job.progress),
                    "--ask",
                    str(job.path),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=job.path,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        job.mark_spawned()
        self._children[request.operation_id] = child
        self._watch(request.operation_id, child.pid, request.deadline_seconds + GRACE_SECONDS)

    async def state(
        self,
        operation_id: str,
        project: FeatureStoreProject | None = None,  # noqa: ARG002 - ids are unique here
    ) -> JobFacts | None:
        job = self._job(operation_id)
        if not job.report.exists() and job.running():
            pid = await job.pid_of_running()
            if pid is not None:
                self._watch(operation_id, pid, None)
            return JobFacts(running=True, cancelled=job.cancelled, guard_question=job.question)
        return job.ended()

    async def cancel(
        self,
        operation_id: str,
        project: FeatureStoreProject,  # noqa: ARG002 - ids are unique here
        why: str,
    ) -> None:
        """Send SIGTERM to the job's process group; the job ends with a report ``Interrupted``.

        The cancellation is written after the signal: if the host crashes in between, the next one
        sends the signal again.
        """
        job = self._job(operation_id)
        if job.cancelled or not job.running():
            return
        pid = await job.pid_of_running()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
            write_atomically(job.cancellation, why)

    async def answer(
        self,
        operation_id: str,
        project: FeatureStoreProject | None,  # noqa: ARG002 - ids are unique here
        answer: GuardAnswer,
    ) -> None:
        write_atomically(self._job(operation_id).answer, encode(answer))

    async def release(
        self,
        operation_id: str,
        project: FeatureStoreProject | None = None,  # noqa: ARG002 - ids are unique here
    ) -> None:
        self._reap(operation_id)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._job(operation_id).path)

    def unreleased(self) -> set[str]:
        """Ids of the jobs that are not released: those that have a folder."""
        if not self._folder.is_dir():
            return set()
        return {path.name for path in self._folder.iterdir() if path.is_dir()}

    def progress(self, operation_id: str) -> Path:
        """The file to which a running job writes its progress, one JSON object a line."""
        return self._job(operation_id).progress

    @property
    def watching(self) -> bool:
        """Whether a job runs whose end `on_change` will receive."""
        return bool(self._watched)

    def abandon(self) -> None:
        """Stop watching; running jobs continue, as after a crash of this process."""
        for task in self._watched.values():
            task.cancel()

    async def stop_all(self) -> None:
        """Stop and release every running job, so that the next host starts it again."""
        for operation_id, task in list(self._watched.items()):
            job = self._job(operation_id)
            pid = job.pid()
            if pid is not None and job.running():
                await _kill(pid, job)
                facts = await self.state(operation_id)
                report = facts.report if facts else None
                if report is None or report.reason == Reason.INTERRUPTED:
                    await self.release(operation_id)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _job(self, operation_id: str) -> JobFolder:
        return JobFolder(self._folder / operation_id)

    def _watch(self, operation_id: str, pid: int, deadline: float | None) -> None:
        if operation_id not in self._watched:
            self._watched[operation_id] = asyncio.create_task(
                self._wait(operation_id, pid, deadline), name=f"job {operation_id}"
            )

    async def _wait(self, operation_id: str, pid: int, deadline: float | None) -> None:
        """Wait for the end of a process, which an earlier host may have started."""
        asks = asyncio.create_task(self._wait_for_question(operation_id))
        try:
            async with asyncio.timeout(deadline):
                await _process_end(pid)
        except TimeoutError:
            await _kill(pid, self._job(operation_id))
        finally:
            asks.cancel()
            self._watched.pop(operation_id, None)
        self._reap(operation_id)
        self._on_change(operation_id)

    async def _wait_for_question(self, operation_id: str) -> None:
        """Report the question of a job for a newer guard; a job asks once at most."""
        while not self._job(operation_id).question:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(QUESTION_SECONDS)
        self._on_change(operation_id)

    def _reap(self, operation_id: str) -> None:
        child = self._children.pop(operation_id, None)
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=1)


async def _kill(pid: int, job: JobFolder) -> None:
    for sign, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        if not job.running():
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, sign)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await _process_end(pid)


async def _process_end(pid: int) -> None:
    """Wait for the end of a process by its pidfd, without polling."""
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
