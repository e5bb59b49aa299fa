"""A job whose tenant has made many large pods and Events that look like those of the job."""

import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.unit.kube.test_job_manifest import project

from feature_lineage.errors import TransientError
from feature_lineage.kube.api_client import Object
from feature_lineage.kube.jobs.job_state import read_state
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.kinds import JOBS, Kind

MANY = 100
MEGABYTE = 1024 * 1024
DEFAULTS = RunnerDefaults(image="runner:1")
NAME = "apply-1-0123456789abcdef-1"
ENDED = {
    "metadata": {"name": NAME, "namespace": "team"},
    "spec": {},
    "status": {
        "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]
    },
}


class Server:
    """An API server that sends object after object, as many pages."""

    def __init__(self, **made: Callable[[int], Object]) -> None:
        self._made = made

    async def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return ENDED if kind is JOBS else None

    async def list(self, kind: Kind, namespace: str, **_: str) -> AsyncIterator[Object]:
        made = self._made.get(kind.plural)
        for number in range(MANY if made else 0):
            yield made(number)  # type: ignore[misc]


def pod_of(number: int, *, newest: int, phase: str = "Failed") -> Object:
    """A pod of a megabyte; number `newest` is the newest."""
    created = f"2026-11-26T12:{59 if number == newest else number // 60:02}:{number % 60:02}Z"
    said = {"exitCode": 7, "message": f"pod {number} " + "x" * MEGABYTE}
    return {
        "metadata": {
            "name": f"{NAME}-{number}",
            "creationTimestamp": created,
            "annotations": {"large": chr(97 + number % 26) * MEGABYTE},
        },
        "spec": {"containers": [{"image": "i", "command": ["c" * MEGABYTE]}]},
        "status": {"phase": phase, "containerStatuses": [{"state": {"terminated": said}}]},
    }


def event_of(number: int, *, newest: int) -> Object:
    second = 100 if number == newest else number % 60
    return {
        "type": "Warning",
        "reason": "FailedMount",
        "note": f'secret "{number}" not found ' + "x" * MEGABYTE,
        "eventTime": f"2026-11-26T12:00:{second:03}Z",
        "regarding": {"name": f"{NAME}-x"},
    }


@contextmanager
def little_memory() -> Iterator[None]:
    """Fails if more than a few of the objects are in memory at a time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 16 * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("newest", [0, 57, MANY - 1])
async def test_of_many_pods_only_the_newest_is_kept(newest: int) -> None:
    server: Any = Server(pods=lambda number: pod_of(number, newest=newest))
    with little_memory():
        facts = await read_state(server, DEFAULTS, NAME, project())

    assert facts is not None
    assert f"the job's container ended with exit code 7: pod {newest} xxx" in facts.message
    assert len(facts.message) <= 1000


@pytest.mark.parametrize("newest", [0, 57, MANY - 1])
async def test_of_many_events_only_the_newest_is_kept(newest: int) -> None:
    server: Any = Server(events=lambda number: event_of(number, newest=newest))
    with little_memory():
        facts = await read_state(server, DEFAULTS, NAME, project())

    assert facts is not None
    assert f'FailedMount: secret "{newest}" not found' in facts.message
    assert len(facts.message) <= 1000


@pytest.mark.parametrize("running", [0, 57, MANY - 1])
async def test_of_many_pods_the_one_that_still_runs_is_found(running: int) -> None:
    def made(number: int) -> Object:
        return pod_of(number, newest=0, phase="Running" if number == running else "Failed")

    server: Any = Server(pods=made)
    with little_memory(), pytest.raises(TransientError, match=f"{NAME}-{running} of a deleted"):
        await KubeJobs(server, DEFAULTS)._require_no_pod("team", NAME)
