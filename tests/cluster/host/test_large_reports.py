"""A hostile tenant has many large reports read at once, and its servers are slow."""

import asyncio
import contextlib

import pytest
from tests.cluster.existing import Cluster
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.hostile import NOWHERE, forged, hostile_tenant, report_text
from tests.cluster.host.polling import gone, until
from tests.cluster.host.process import peak_mib
from tests.cluster.host.resources import create_project, observed
from tests.servers.tcp import Seen, answer, bad_server

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import PROJECTS

PLACES = 12
"""How many workers one namespace may have of the default 16."""
GROWTH_MIB = 200
"""Two large reports while they are parsed, and what CPython keeps; all of them take 480 MiB."""
LISTS = 90_000
"""A report of 37 MiB, as it is estimated."""


def _large(job: str) -> bytes:
    lists = ",".join(f'"{number}":{{"a":1}}' for number in range(LISTS))
    snapshot = '{"project":"p","objects":{"entity":{' + lists + "}}}"
    return f'{report_text(job)[:-1]},"snapshot":{snapshot}}}'.replace(
        '"snapshot":null,', ""
    ).encode()


class FadingServer:
    """An MLflow server for each name in its path; all of them stop answering together.

    Attributes:
        fades: from now on, a request waits for `answers`.
        waiting: the names for which requests wait, or have waited.
    """

    def __init__(self) -> None:
        self.fades = False
        self.answers = asyncio.Event()
        self.waiting: set[str] = set()
        self.changed = asyncio.Event()

    async def __call__(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        if self.fades:
            self.waiting.add(seen.line.split(" ")[1].split("/")[1])
            self.changed.set()
            await self.answers.wait()
        await answer(200, b"{}")(seen, writer)

    async def until_waiting(self, number: int) -> None:
        while len(self.waiting) < number:
            self.changed.clear()
            await self.changed.wait()


@pytest.mark.timeout(400)
async def test_large_reports_at_once_stay_below_the_limit(
    cluster: Cluster, admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    victims = f"{namespace}-victim"
    cluster.kubectl("create", "namespace", victims)
    operator = await start_operator(namespaces=[namespace, victims])
    names, script = [f"large-{number}" for number in range(PLACES)], FadingServer()
    async with hostile_tenant(cluster, admin, namespace) as tenant, bad_server(script) as server:

        async def leave(name: str) -> str:
            mlflow = {"trackingUri": f"{server.url}/{name}", "pollInterval": "1h"}
            return await tenant.leave(name, forged(_large), mlflow=mlflow)

        jobs = await asyncio.gather(*map(leave, names))
        before = peak_mib(operator.pid)
        script.fades = True
        await asyncio.gather(*map(tenant.end, jobs))
        async with asyncio.timeout(60):
            await script.until_waiting(1)
        await create_project(admin, victims, "victim", runtime=NOWHERE)
        await until(admin, PROJECTS, victims, "victim", observed, 60)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(8):  # a request ends after 18 s
                await script.until_waiting(PLACES)
        at_once = len(script.waiting)
        growth = peak_mib(operator.pid) - before
        script.answers.set()
        async with asyncio.TaskGroup() as read:
            for name in names:
                read.create_task(until(admin, PROJECTS, namespace, name, _concluded, 120))
        assert (at_once, growth) == (1, pytest.approx(0, abs=GROWTH_MIB))
        assert peak_mib(operator.pid) - before < GROWTH_MIB
    assert operator.process is not None
    assert operator.process.returncode is None
    assert operator.errors() == []
    await admin.delete(PROJECTS, victims, "victim")
    await until(admin, PROJECTS, victims, "victim", gone)
    cluster.kubectl("delete", "namespace", victims, "--wait=false")


def _concluded(body: Object | None) -> bool:
    """Whether the report was read and the operation is over."""
    status = (body or {}).get("status", {})
    return bool(status.get("operations")) or "operation" not in status
