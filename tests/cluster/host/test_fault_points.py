"""The operator is killed after each kind of write, and MLflow is away for all of an apply.

Whatever happens in between, the end is the one of an undisturbed run, and nothing is there twice.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.process import Operator
from tests.cluster.host.scene import (
    JOB_SECONDS,
    House,
    both,
    kept_up,
    mistakes,
    node_for,
    recorded,
    running,
    state,
)
from tests.cluster.host.waiting import condition, says
from tests.cluster.kubectl import Kubectl
from tests.cluster.node import Node
from tests.local.scene import FEATURES, MLflow, backfill
from tests.servers.fixtures import shared_mlflow
from tests.servers.mlflow import Server, free_port, launch_mlflow

from feature_lineage.kube.client import Api, Object
from feature_lineage.kube.kinds import CONFIG_MAPS, JOBS, MODELS

pytestmark = pytest.mark.slow

RECOVERY_SECONDS = 60.0
"""From when a server answers again until all that depends on it is right."""

Point = Callable[[House], Awaitable[object]]


def job_of(project: Object) -> str:
    operation = project["status"]["operation"]
    return f"{operation['id']}-{operation['attempt']}"


def ended(job: Object | None) -> bool:
    conditions = (job or {}).get("status", {}).get("conditions", ())
    return any(each["type"] == "Complete" for each in conditions)


async def first_ops_run(house: House) -> None:
    """MLflow tells nobody of what it is given: asking is the only way to know."""
    async with asyncio.timeout(JOB_SECONDS):
        while not await asyncio.to_thread(house.ops_runs):
            await asyncio.sleep(0.02)


def points(job: str) -> dict[str, Point]:
    """What the operator writes over an apply, in its order."""
    return {
        "its Job": lambda h: h.until_made(JOBS, job, lambda body: body is not None),
        "that the Job may go": lambda h: h.until_made(
            JOBS, job, lambda body: body is not None and not body["spec"]["suspend"]
        ),
        "the Job's end, which is not the operator's": lambda h: h.until_made(JOBS, job, ended),
        "the registry's snapshot": lambda h: h.until_made(
            CONFIG_MAPS, f"feature-lineage-registry-{h.name}", lambda body: body is not None
        ),
        "the ops run": first_ops_run,
        "how long the Job stays": lambda h: h.until_made(
            JOBS, job, lambda b: b is not None and "ttlSecondsAfterFinished" in b["spec"]
        ),
    }


@pytest.mark.timeout(1200)
async def test_killed_after_every_write_the_end_is_that_of_an_undisturbed_run(
    admin: Api,
    kubectl: Kubectl,
    namespace: str,
    tmp_path: Path,
    start_operator: StartOperator,
) -> None:
    mlflow = MLflow(shared_mlflow().url)
    house = House(admin, kubectl, namespace, mlflow, tmp_path, "driver")
    calm = House(admin, kubectl, namespace, mlflow, tmp_path, "calm")
    spec = {"backfills": [backfill()]}
    operator = await start_operator()
    async with node_for(house, calm) as node:
        async with kept_up(operator):
            await house.push()
            await house.create_project(**spec)
            project = await house.until(lambda body: "operation" in (body or {}).get("status", {}))
            for reach in points(job_of(project)).values():
                reached = asyncio.ensure_future(reach(house))
                kill(operator)
                await reached

            # In the middle of a job, too.
            filling = asyncio.ensure_future(house.until(both(running, backfilling)))
            kill(operator)
            await filling
            await works_on_job(node, 2)
        await operator.end(signal.SIGKILL)
        survivor = await start_operator(ready=False)  # another pod: it waits for the Lease
        async with kept_up(survivor):
            disturbed = await house.until(recorded(2))
            await calm.push()
            await calm.create_project(**spec)
            undisturbed = await calm.until(recorded(2))

    assert shape(disturbed) == shape(undisturbed)
    jobs = await house.made(JOBS)
    assert jobs == sorted(each["job"] for each in disturbed["status"]["operations"])
    pods = [pod.rpartition("-")[0] for pod in node.ended]
    assert sorted(pods) == sorted([*jobs, *await calm.made(JOBS)])
    assert [told(run) for run in house.ops_runs()] == [told(run) for run in calm.ops_runs()]
    assert len(house.ops_runs()) == 2
    assert len(await house.made(CONFIG_MAPS)) == len(await calm.made(CONFIG_MAPS))
    for reason in ("ApplySucceeded", "BackfillSucceeded"):
        assert all("series" not in each for each in await house.events(reason))
    assert mistakes(operator, survivor) == []


@pytest.fixture
def own_mlflow(tmp_path: Path) -> Iterator["Outages"]:
    outages = Outages(tmp_path / "mlflow")
    yield outages
    outages.begin()


class Outages:
    """An MLflow server that is away, comes, and goes, with its data and on its port."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self._server: Server | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def begin(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    async def end(self) -> None:
        """Returns once it answers."""
        self._server = launch_mlflow(self._folder, port=self._port)
        with contextlib.suppress(RuntimeError):  # beside other tests, twice as long is fine
            await asyncio.to_thread(self._server.wait_healthy)
        await asyncio.to_thread(self._server.wait_healthy)


@pytest.mark.timeout(1200)
async def test_without_mlflow_nothing_unguarded_is_applied_and_no_record_is_lost(
    admin: Api,
    kubectl: Kubectl,
    namespace: str,
    tmp_path: Path,
    start_operator: StartOperator,
    own_mlflow: Outages,
) -> None:
    house = House(admin, kubectl, namespace, MLflow(own_mlflow.url), tmp_path)
    operator = await start_operator()
    async with kept_up(operator), node_for(house) as node:
        # Away from the beginning: who might be hurt is not known, so nothing is applied.
        await house.push()
        await house.create_project()
        await house.create_model()
        project = await house.until(says("Applied", "False", "GuardUnavailable"))
        assert state(project, "FactsCurrent") == ("False", "MLflowViewOld")
        assert state(project, "Stalled") == ("", "")
        assert own_mlflow.url in condition(project, "Applied")["message"]
        model = await house.until_model(says("Resolved", "Unknown", "MLflowUnavailable"))
        assert own_mlflow.url in condition(model, "Ready")["message"]
        assert await house.made(JOBS) == []

        # Back: one attempt, one record.
        await own_mlflow.end()
        await house.until(says("FactsCurrent", "True"), RECOVERY_SECONDS)
        project = await house.until(recorded(1))
        assert state(project, "Ready") == ("True", "Succeeded")
        house.train()
        await house.until_model(says("Ready", "True"))

        # Away for all of an apply that may use what was known: it is recorded later, although
        # the operator that saw it is dead by then. The next change has no guard.
        last_known = {"onGuardUnavailable": "UseLast", "maxGuardAge": "10m"}
        await house.change(apply={"protection": last_known})
        await house.until(both(says("Applied", "True"), recorded(2)))
        own_mlflow.begin()
        await house.push(WIDER)
        project = await house.until(both(says("Applied", "True"), operations(3)))
        await house.until(says("Recorded", "False", "MLflowUnavailable"))
        assert state(project, "Ready") == ("True", "Succeeded")
        kill(operator)
        await house.push(FEATURES)
        project = await house.until(says("Applied", "False", "GuardUnavailable"))
        assert "1 operations wait for MLflow" in condition(project, "Recorded")["message"]
        model = await house.until_model(says("Ready", "True"))

        await own_mlflow.end()
        await house.until(says("Recorded", "True"), RECOVERY_SECONDS)
        project = await house.until(both(says("Applied", "True"), recorded(4)))
        model = await house.until_model(both(says("Ready", "True"), says("Resolved", "True")))
    assert model["status"]["lineage"]["verdict"] == "Verified"
    assert await house.events("Unknown", MODELS) == []  # nor was it anything else in between
    assert state(project, "FactsCurrent")[0] == state(project, "Recorded")[0] == "True"
    runs = house.ops_runs()
    assert [run["status"] for run in runs] == ["FINISHED"] * 4
    ids = [run["tags"]["featurelineage.io/operation-id"] for run in runs]
    assert ids == [each["id"] for each in reversed(project["status"]["operations"])]
    assert all(run["tags"]["featurelineage.io/attempt"] == "1" for run in runs)
    assert len(node.ended) == len(await house.made(JOBS)) == 4
    assert mistakes(operator) == []


WIDER = FEATURES.replace(
    'Field(name="trips", dtype=Int64),',
    'Field(name="trips", dtype=Int64), Field(name="rating", dtype=Float32),',
)


def kill(operator: Operator) -> None:
    """Whoever keeps it up starts it again."""
    assert operator.process is not None
    with contextlib.suppress(ProcessLookupError):  # it is being started
        operator.process.kill()


def backfilling(body: Object | None) -> bool:
    return bool((body or {}).get("status", {}).get("operation", {}).get("backfill"))


def operations(number: int) -> Callable[[Object | None], bool]:
    """So many operations have ended, recorded or not."""
    return lambda body: len((body or {}).get("status", {}).get("operations", ())) == number


async def works_on_job(node: Node, number: int) -> None:
    """The container of this job, counted from 1, has begun to work."""
    async with asyncio.timeout(JOB_SECONDS):
        while node.printed().count('"import_feast"') < number:
            await asyncio.sleep(0.05)  # a log tells nobody either


def shape(project: Object) -> dict[str, Any]:
    """A status without names, digests and times: what two runs of one story have in common."""
    status = project["status"]
    return {
        "conditions": {
            each["type"]: (each["status"], each["reason"]) for each in status["conditions"]
        },
        "operations": [
            (each["kind"], each["result"], each["attempt"]) for each in status["operations"]
        ],
        "applied": {name: status["applied"][name] for name in ("created", "updated", "deleted")},
        "plan": (status["plan"]["verdict"], len(status["plan"]["changes"])),
        "views": [
            (each["name"], each["rows"], each["by"], each["lastResult"])
            for each in status["featureViews"]
        ],
        "backfills": [(each["name"], each["state"]) for each in status["backfills"]],
        "counts": status["counts"],
        "sequence": status["sequence"],
        "fields": sorted(status),
    }


def told(run: dict[str, Any]) -> tuple[Any, ...]:
    """An ops run without names, digests and times."""
    operation = run["tags"]["feast.operation"], run["tags"]["featurelineage.io/attempt"]
    return operation, run["status"], *(sorted(run[part]) for part in ("tags", "params", "metrics"))
