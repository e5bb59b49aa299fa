"""How soon all is right again once whatever was in the way is gone.

What a job itself takes is its repo's, and the machine's; all else is the operator's. A container's
times are whole seconds.
"""

import time
from datetime import datetime
from typing import Final

from tests.e2e.project_fixture import JOB_SECONDS, Holds, ProjectFixture

from feature_lineage.kube.api_client import Object
from feature_lineage.kube.kinds import PODS, PROJECT_LABEL

RECOVERY_SECONDS: Final = 60.0

taken: Final[list[float]] = []
"""Seconds of each recovery of this session, without those of jobs."""


async def recovered(fixture: ProjectFixture, since: float, holds: Holds) -> Object:
    """The project once that holds: in time, counted from `since`, by the wall's clock.

    Raises:
        AssertionError: it took longer.
    """
    project = await fixture.until(holds, RECOVERY_SECONDS + JOB_SECONDS)
    await in_time(fixture, since)
    return project


async def in_time(fixture: ProjectFixture, since: float) -> None:
    """Return if it is no later than it may be for what has come by now.

    Raises:
        AssertionError: it is.
    """
    took = time.time() - since
    jobs = await _seconds_of_jobs(fixture, since)
    taken.append(took - jobs)
    print(f"{fixture.name}: {took:.1f} s, of which its jobs ran {jobs:.1f} s")
    assert took - jobs < RECOVERY_SECONDS


async def _seconds_of_jobs(fixture: ProjectFixture, since: float) -> float:
    """How long containers of the project's jobs have run since; one runs at a time."""
    now, ran = time.time(), 0.0
    mine = f"{PROJECT_LABEL}={fixture.name}"
    async for pod in fixture.admin.list(PODS, fixture.namespace, labels=mine):
        for container in pod["status"].get("containerStatuses", ()):
            state = container["state"]
            told = state.get("running") or state.get("terminated") or {}
            if began := told.get("startedAt"):
                ended = told.get("finishedAt")
                until = _moment(ended) if ended else now
                ran += max(0.0, until - max(_moment(began), since))
    return ran


def _moment(time_: str) -> float:
    return datetime.fromisoformat(time_).timestamp()
