"""What a hostile tenant costs the others, in the time until a change of a spec is observed.

A victim's models are changed one after another, and a watch waits until their generation is
observed. In turn, nobody else is at work, or a tenant with the ClusterRole `edit` in another
namespace forges reports of its jobs, names MLflow servers with poisoned answers, and asks for
reconciles, all as fast as the API server and the operator take it. Operator, API server, MLflow,
the poisoned servers and the attacker share the processors.

The goal of the median is 2: one tenant among two may take half of the operator, and not more. The
slowest changes wait while the operator parses the largest report that is permitted, in one piece:
the limit is a tenth of the Lease's renew deadline of 10 s.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

from tests.cluster.host.hostile import NOWHERE, HostileTenant, hostile_tenant
from tests.cluster.host.hostile_reports import HOSTILE_REPORTS
from tests.cluster.host.polling import gone, until
from tests.cluster.host.process import peak_mib
from tests.cluster.host.resources import create_project, has_condition, request_reconcile
from tests.servers.poisoned_mlflow import POISONS, SLOW, poisoned_mlflow

from benchmarks.cluster_changes import p99, seen_after
from benchmarks.cluster_meter import until_reconciled
from benchmarks.cluster_operator import PATIENCE, patience, running, say
from benchmarks.cluster_scene import ClusterSetup, model_name, scene
from benchmarks.measure import Row, Size
from feature_lineage.kube.api_client import connect
from feature_lineage.kube.kinds import MODELS, PROJECTS

VICTIM, ATTACKER = "bench-0", "evil"
VICTIMS_MODELS, CHANGES, MOST_PAIRS = 50, 40, 3
GOAL, SLOWEST_LIMIT, MEMORY_LIMIT = 2.0, 1.0, 512.0
FORGERS = 4
DRIPS = 16
"""Projects with servers that answer slowly: as many as the operator has workers."""


def attack(size: Size) -> Iterator[Row]:
    """The benchmark."""
    yield from asyncio.run(_measured(1 if size.quick else min(size.pairs, MOST_PAIRS)))


async def _measured(pairs: int) -> list[Row]:
    calm: list[list[float]] = []
    busy: list[list[float]] = []
    async with scene(VICTIMS_MODELS) as there:
        await there.furnish(VICTIM)
        there.plane.kubectl("create", "namespace", ATTACKER)
        async with (
            await connect(str(there.plane.kubeconfig)) as admin,
            hostile_tenant(there.plane, admin, ATTACKER) as hostile,
            poisoned_mlflow() as poisoned,
            running(there, VICTIM, ATTACKER) as operator,
        ):
            await until_reconciled(operator, VICTIMS_MODELS, patience(VICTIMS_MODELS))
            await _changes(there)  # warms up
            for pair in range(pairs):
                say(there, f"changes without the tenant, {pair + 1} of {pairs}")
                calm.append(await _changes(there))
                say(there, f"changes with the tenant, {pair + 1} of {pairs}")
                async with _attacked(hostile, poisoned.url, f"{pair}") as reports:
                    busy.append(await _changes(there))
                say(there, f"{reports[0]} reports were forged meanwhile")
            peak = peak_mib(operator.pid)
    name = "a victim's spec change until observed, beside a hostile tenant, "
    against = "the same without the tenant"
    middles = [[median(each) for each in taken] for taken in (busy, calm)]
    slowest = [[p99(each) for each in taken] for taken in (busy, calm)]
    return [
        Row(f"{name}p50", *middles, against, goal=GOAL),
        Row(f"{name}p99", *slowest, against, limit=SLOWEST_LIMIT),
        Row("most memory of the operator in the attack", [peak], unit="MiB", limit=MEMORY_LIMIT),
    ]


_days = itertools.count(1)


async def _changes(there: ClusterSetup) -> list[float]:
    taken = []
    async with there.admin.watch(MODELS, VICTIM) as states:
        for number in range(CHANGES):
            longer = {"spec": {"freshness": {"maxAge": f"{next(_days)}d"}}}
            model = model_name(number % there.models)
            taken.append(await seen_after(there.admin, states, VICTIM, model, longer, ""))
    return taken


@asynccontextmanager
async def _attacked(hostile: HostileTenant, poisoned: str, wave: str) -> AsyncIterator[list[int]]:
    """The tenant at work, from its first forged report that the operator has read.

    Yields the number of forged reports so far, as the only item of a list.
    """
    numbers, forged, began = itertools.count(), [0], asyncio.Event()

    async def forge_reports() -> None:
        for number in numbers:
            kind = list(HOSTILE_REPORTS)[number % len(HOSTILE_REPORTS)]
            report, (reason, words) = HOSTILE_REPORTS[kind]
            name = f"{kind}-{wave}-{number}"
            await hostile.forge(name, report)
            expected = has_condition("Applied", reason, words)
            await until(hostile.admin, PROJECTS, ATTACKER, name, expected, PATIENCE)
            forged[0] += 1
            began.set()
            await hostile.api.delete(PROJECTS, ATTACKER, name)

    async def name_servers() -> None:
        slow = {f"drip-{number}": SLOW for number in range(DRIPS)}
        for name in {**POISONS, **slow}:
            mlflow: dict[str, Any] = {"trackingUri": f"{poisoned}/{name}", "pollInterval": "1s"}
            name_ = f"{name}-{wave}"
            await create_project(hostile.api, ATTACKER, name_, runtime=NOWHERE, mlflow=mlflow)

    async def ask_for_reconciles() -> None:
        await create_project(hostile.api, ATTACKER, f"asks-{wave}", runtime=NOWHERE)
        for number in itertools.count():
            await request_reconcile(hostile.api, PROJECTS, ATTACKER, f"asks-{wave}", f"{number}")

    first = asyncio.create_task(began.wait())
    works = [*(forge_reports() for _ in range(FORGERS)), name_servers(), ask_for_reconciles()]
    tasks = [asyncio.create_task(work) for work in works]
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({first, *tasks[:FORGERS]}, return_when=asyncio.FIRST_COMPLETED)
        yield forged
        for task in tasks:
            if task.done():
                task.result()  # an attack that ended with an error is none
    finally:
        for task in (first, *tasks):
            task.cancel()
        await asyncio.gather(first, *tasks, return_exceptions=True)
        await _end(hostile)


async def _end(hostile: HostileTenant) -> None:
    """Delete what the tenant created, so that nothing of it is at work."""
    names = [each["metadata"]["name"] async for each in hostile.admin.list(PROJECTS, ATTACKER)]
    for name in names:
        await hostile.api.delete(PROJECTS, ATTACKER, name)
    for name in names:
        await until(hostile.admin, PROJECTS, ATTACKER, name, gone, PATIENCE)
