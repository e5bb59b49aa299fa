"""Starts of an operator whose models have no status yet, and their floors."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from tests.cluster.host.process import Operator, peak_mib

from benchmarks.cluster_meter import first_line_at
from benchmarks.cluster_operator import patience, running, say
from benchmarks.cluster_scene import ClusterSetup
from benchmarks.cluster_traffic import Object, in_bulk
from benchmarks.measure import Row, seconds
from benchmarks.refresh import RefreshRequest, recorded, replay_afresh
from feature_lineage.kube.kinds import MODELS
from feature_lineage.tracking import MLflowRegistry, MLflowServer

START_GOAL = 2.0


@dataclass
class Starts:
    """Starts of an operator whose models have no status yet, and their floors; all in seconds.

    Attributes:
        whole: from the start of the process.
        logged: from its first log line.
        reads, patches: the two halves of the floor.
        peaks: of memory, in MiB.
    """

    whole: list[float] = field(default_factory=list)
    logged: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    patches: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)

    @property
    def floor(self) -> list[float]:
        return [sum(parts) for parts in zip(self.reads, self.patches, strict=True)]


async def starts_of(there: ClusterSetup, pairs: int) -> Starts:
    requests = await _requests(there)
    starts = Starts()
    for pair in range(pairs):
        namespace = f"bench-{pair}"
        say(there, f"making those of start {pair + 1} of {pairs}")
        await there.furnish(namespace)
        say(there, "start")
        async with there.admin.watch(MODELS, namespace) as states:
            began = time.time()
            async with running(there, namespace) as operator:
                ready_at = await _all_ready(there, operator, states)
                starts.whole.append(ready_at - began)
                starts.logged.append(ready_at - first_line_at(operator))
                starts.peaks.append(peak_mib(operator.pid))
        say(there, f"all Ready after {starts.whole[-1]:.0f} s; now the floor")
        starts.reads.append(await asyncio.to_thread(seconds, lambda: replay_afresh(requests)))
        starts.patches.append(await _bare_patches(there, namespace, f"floor-{pair}"))
    return starts


def start_rows(name: str, starts: Starts, models: int) -> Iterator[Row]:
    floor = starts.floor
    against = f"bulk read of MLflow + {models:,} bare status patches"
    yield Row(f"{name}start until all are Ready", starts.whole, floor, against, goal=START_GOAL)
    yield Row(f"{name}the same from the first log line", starts.logged, floor, against)
    yield Row(f"{name}of the floor, reading MLflow", starts.reads)
    yield Row(f"{name}of the floor, patches", starts.patches)


async def _all_ready(
    there: ClusterSetup, operator: Operator, states: AsyncIterator[Object]
) -> float:
    """Return the time at which a watch saw the last model become Ready (Unix time).

    Raises:
        RuntimeError: the operator ended, or it takes too long; with its log.
    """
    ready: set[str] = set()

    async def see() -> float:
        async for body in states:
            conditions = body.get("status", {}).get("conditions", ())
            if any((c["type"], c["status"]) == ("Ready", "True") for c in conditions):
                ready.add(body["metadata"]["name"])
            if len(ready) == there.models:
                break
        return time.time()

    assert operator.process is not None
    seen, ended = asyncio.create_task(see()), asyncio.create_task(operator.process.wait())
    try:
        await asyncio.wait(
            {seen, ended},
            timeout=patience(there.models),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if seen.done():
            return seen.result()
        log = operator.log.read_text()[-3000:]
        raise RuntimeError(f"{len(ready)} of {there.models} are Ready:\n{log}")
    finally:
        seen.cancel()
        ended.cancel()


async def _requests(there: ClusterSetup) -> list[RefreshRequest]:
    """Return the requests of a first read of this MLflow server."""
    registry = MLflowRegistry(MLflowServer(there.mlflow.url))
    try:
        requests = await recorded(registry)
        view = registry.last_view
        if view is None or len(view.versions) != there.models:
            raise RuntimeError("MLflow does not have the models")
        return requests
    finally:
        await registry.close()


async def _bare_patches(there: ClusterSetup, namespace: str, other: str) -> float:
    """Write the statuses of one namespace to the models of another one, which have none."""
    listed = await there.admin.list(MODELS, namespace)
    statuses = {item["metadata"]["name"]: item["status"] for item in listed["items"]}
    there.plane.kubectl("create", "namespace", other)
    made = await there.bare_models(other)

    def body(model: Object) -> Object:
        metadata = model["metadata"]
        version = {"resourceVersion": metadata["resourceVersion"]}
        return {"metadata": version, "status": statuses[metadata["name"]]}

    bodies = {model["metadata"]["name"]: body(model) for model in made}
    began = time.perf_counter()
    await in_bulk(
        lambda name: there.account.patch(MODELS, other, name, bodies[name], "status"), bodies
    )
    return time.perf_counter() - began
