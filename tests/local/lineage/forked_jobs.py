"""Jobs of the local host, forked from one process with Feast: no import of Feast for each job."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.contract.runner.harness import Zygote

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import JobFacts
from feature_lineage.local import host, plans
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reasons import Reason
from feature_lineage.sources.project_sources import LocalProjectSources


class ForkedJobs:
    """`JobRunner` whose jobs run the code of the runner, but without its supervisor.

    Args:
        on_change: called with the operation id when a job has ended.
    """

    def __init__(
        self, zygote: Zygote, on_change: Callable[[str], None], source: LocalProjectSources
    ) -> None:
        self._zygote, self._on_change, self._source = zygote, on_change, source
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, JobFacts] = {}

    async def start(self, request: JobRequest, project: FeatureStoreProject) -> None:
        exact = KINDS[request.kind].imports_repo_code
        repo = await self._source.prepare(project, request.revision, exact=exact)
        request = request.model_copy(update={"repo": str(repo), "folder_revision": exact})
        self._running[request.operation_id] = asyncio.create_task(self._run(request))

    async def _run(self, request: JobRequest) -> None:
        answer = await asyncio.to_thread(self._zygote.send, request)
        if answer["report"] is None:
            message = f"the child ended with {answer['status']}"
            facts = JobFacts(running=False, reason=Reason.JOB_FAILED, message=message)
        else:
            facts = JobFacts(running=False, report=JobReport.model_validate(answer["report"]))
        self._ended[request.operation_id] = facts
        del self._running[request.operation_id]
        self._on_change(request.operation_id)

    async def state(self, operation_id: str, *_: Any) -> JobFacts | None:
        if operation_id in self._running:
            return JobFacts(running=True)
        return self._ended.get(operation_id)

    async def release(self, operation_id: str, *_: Any) -> None:
        self._ended.pop(operation_id, None)

    def unreleased(self) -> set[str]:
        return set(self._ended)

    @property
    def watching(self) -> bool:
        return bool(self._running)

    async def stop_all(self) -> None:
        await asyncio.gather(*self._running.values())


@contextmanager
def forked_jobs(zygote: Zygote) -> Iterator[None]:
    """Let every local host and every plan of this process fork its jobs."""

    def jobs(
        _: Path, on_change: Callable[[str], None], __: FolderObjects, source: LocalProjectSources
    ) -> ForkedJobs:
        return ForkedJobs(zygote, on_change, source)

    with pytest.MonkeyPatch.context() as patch:
        for module in (host, plans):
            patch.setattr(module, "SubprocessJobs", jobs)
        yield
