"""A running job that is cancelled reports that it was interrupted, and uses no attempt."""

import asyncio
from pathlib import Path
from typing import Any, cast

from tests.unit.decide.build import ProjectScenario

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.enums import OperationKind
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.project.attempt import outcome_of
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.local.subprocess_jobs import SubprocessJobs
from feature_lineage.operations.protocol import ApplyRequest, JobRequest

STORE = """\
project: driver_ranking
provider: local
registry: registry.db
online_store: {type: sqlite, path: online.db}
"""
JOB = "plan-1-0123456789abcdef-1"


class Folder:
    """A source that is the folder of the repo."""

    def __init__(self, repo: Path) -> None:
        self._repo = repo

    async def prepare(self, project: FeatureStoreProject, revision: str, *, exact: bool) -> Path:
        return self._repo

    def watched(self, project: FeatureStoreProject) -> None:
        return None


def jobs_of(folder: Path, ended: asyncio.Event) -> SubprocessJobs:
    repo = folder / "repo"
    repo.mkdir()
    (repo / "feature_store.yaml").write_text(STORE)
    (repo / "features.py").write_text(
        "import pathlib, time\npathlib.Path('imported').touch()\ntime.sleep(600)\n"
    )
    source = cast("Any", Folder(repo))
    return SubprocessJobs(folder / "jobs", lambda _: ended.set(), FolderObjects(), source)


async def test_a_job_at_work_ends_as_interrupted(tmp_path: Path) -> None:
    ended, project = asyncio.Event(), ProjectScenario().project
    jobs = jobs_of(tmp_path, ended)
    request = JobRequest(
        operation_id=JOB,
        kind=OperationKind.PLAN,
        project="driver_ranking",
        repo="",
        apply=ApplyRequest(),
    )
    await jobs.start(request, project)
    try:
        async with asyncio.timeout(60):
            while not (tmp_path / "repo" / "imported").exists():
                assert not ended.is_set(), await jobs.state(JOB)
                await asyncio.sleep(0.05)
        assert await jobs.state(JOB) == JobFacts(running=True)

        await jobs.cancel(JOB, project, "Interrupted: the job yields to Observe")
        await jobs.cancel(JOB, project, "Interrupted: the job yields to Observe")
        async with asyncio.timeout(60):
            await ended.wait()
    finally:
        await jobs.stop_all()

    facts = await jobs.state(JOB)
    assert facts is not None
    assert facts.report is not None
    assert (facts.cancelled, facts.report.reason) == (True, "Interrupted")
    assert outcome_of(facts).unspent


async def test_a_job_that_is_over_is_not_cancelled(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, asyncio.Event())
    home = tmp_path / "jobs" / JOB
    home.mkdir(parents=True)
    (home / "lock").touch()
    (home / "spawned").touch()

    await jobs.cancel(JOB, ProjectScenario().project, "Interrupted: too late")

    facts = await jobs.state(JOB)
    assert facts is not None
    assert (facts.running, facts.cancelled) == (False, False)
