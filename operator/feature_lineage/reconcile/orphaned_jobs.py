"""Releases jobs that an earlier process was about to release when it ended."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Set
from typing import TypeVar

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.project.history import needed_jobs, records_operations

JobT = TypeVar("JobT", bound=Hashable)


async def release_orphaned_jobs(
    found: Set[JobT],
    projects: Iterable[FeatureStoreProject],
    job_of: Callable[[FeatureStoreProject, str], JobT],
    release: Callable[[JobT], Awaitable[None]],
) -> None:
    """Release the jobs whose result no project needs.

    Args:
        found: the jobs of the host. A host whose jobs may start meanwhile lists them before the
            projects are read.
        job_of: returns the name of a job of a project on this host.
        release: releases one of `found`; jobs are released in the order of their names.
    """
    needed = {
        job_of(project, job)
        for project in projects
        for job in needed_jobs(project.status, recorded=records_operations(project.spec))
    }
    for job in sorted(found - needed, key=str):
        await release(job)
