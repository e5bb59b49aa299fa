"""Measures how soon the project recovers after the cause of a problem is removed.

The time of a job itself depends on its repo and on the machine; the rest is the operator's. The
times of a container are whole seconds.
"""

import time
from datetime import datetime
from typing import Final

from tests.e2e.project_fixture import JOB_SECONDS, Holds, ProjectFixture

from feature_lineage.kube.api_client import Object
from feature_lineage.kube.kinds import PODS, PROJECT_LABEL

RECOVERY_SECONDS: Final = 60.0

taken: Final[list[float]] = []
"""Seconds of each recovery in this session, without the time of jobs."""


async def recovered(fixture: ProjectFixture, since: float, holds: Holds) -> Object:
    """Return the project when `holds` is true, within the limit, counted from `since` (wall clock).

    Raises:
        AssertionError: it took longer.
    """
    project = await fixture.until(holds, RECOVERY_SECONDS + JOB_SECONDS)
    await in_time(fixture, since)
    return project


async def in_time(fixture: ProjectFixture, since: float) -> None:
    """Return if the limit for this state has not passed.

    Raises:
        AssertionError: the limit has passed.
    """
    took = time.time() - since
    jobs = await _seconds_of_jobs(fixture, since)
    taken.append(took - jobs)
    print(f"{fixture.name}: {took:.1f} s, of which its jobs ran {jobs:.1f} s")
    assert took - jobs < RECOVERY_SECONDS


async def _seconds_of_jobs(fixture: ProjectFixture, since: float) -> float:
    """Return how long containers of the project's jobs have run since; one runs at a time."""
    now, ran = time.time(), 0.0
    mine = f"{PROJECT_LABEL}={fixture.name}"
    async for pod in fixture.admin.list(PODS, fixture.namespace, labels=mine):
        for container in pod["status"].get("containerStatuses", ()):
            state = container["state"]
            times = state.get("running") or state.get("terminated") or {}
            if began := times.get("startedAt"):
                ended = times.get("finishedAt")
                until = _moment(ended) if ended else now
                ran += max(0.0, until - max(_moment(began), since))
    return ran


def _moment(time_: str) -> float:
    return datetime.fromisoformat(time_).timestamp()
