"""The operator on a cluster with 1,000 or 10,000 models, each with a version in a real MLflow.

The floor of a start is the work that is always necessary: the same requests to MLflow, bare, and
the same statuses as bare patches of the same number of other objects on the same API server, over
32 connections with the operator's account. In every pair the objects are new.

* start: from the start of the process until a watch has seen every model Ready, including Python's
  imports and the Lease, and without them (from the first log line).
* a minute without changes, with a scrape at its beginning and one half-way: writes by the API
  server's audit log, calls by MLflow's access log, processor time by the kernel.
* a change of a spec: from the patch until a watch shows its generation as observed.
* a restart: until every model was reconciled, and the writes until then.
"""

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

from tests.cluster.host.process import Operator, peak_mib

from benchmarks.cluster_meter import cpu_seconds, first_line_at, until_reconciled
from benchmarks.cluster_scene import ClusterSetup, model_name, scene
from benchmarks.cluster_traffic import Object, RawClient, in_bulk
from benchmarks.measure import Row, Size, seconds
from benchmarks.refresh import RefreshRequest, recorded, replay_afresh
from feature_lineage.kube.kinds import MODELS
from feature_lineage.tracking import MLflowRegistry, MLflowServer

MODELS_OF = {"quick": 50, "usual": 1_000, "large": 10_000}
START_GOAL = 2.0
GROWTH_GOAL = 10.0
MEMORY_LIMIT, LARGE_MEMORY_LIMIT = 150.0, 256.0
CALLS_LIMIT = 4.0
CHANGE_LIMIT = 0.2
MOST_PAIRS = 3
CHANGES = 100
PATIENCE = 300.0
PATIENCE_EACH = 0.1
"""Limit of a run in seconds, and in seconds per model."""


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


def cluster(size: Size) -> Iterator[Row]:
    """The benchmark with 1,000 models."""
    models = MODELS_OF["quick" if size.quick else "usual"]
    rows, _ = asyncio.run(_measured(models, size, MEMORY_LIMIT))
    yield from rows


def large_cluster(size: Size) -> Iterator[Row]:
    """The benchmark with 10,000 models, and its times relative to 1,000."""
    small, large = (50, 100) if size.quick else (MODELS_OF["usual"], MODELS_OF["large"])
    once = Size(1, size.quick)
    few = asyncio.run(_few(small))
    rows, many = asyncio.run(_measured(large, once, LARGE_MEMORY_LIMIT))
    yield from rows
    yield Row(
        f"{large:,} models, start until all are Ready",
        many.whole,
        few.whole,
        f"{small:,} models",
        goal=GROWTH_GOAL,
    )


async def _few(models: int) -> Starts:
    async with scene(models) as there:
        return await _starts(there, 1)


def _say(there: ClusterSetup, what: str) -> None:
    """Print the progress: ten thousand models take most of an hour."""
    now = time.strftime("%H:%M:%S")
    print(f"{now} {there.models:,} models: {what}", file=sys.stderr, flush=True)


async def _measured(models: int, size: Size, memory: float) -> tuple[list[Row], Starts]:
    async with scene(models) as there:
        starts = await _starts(there, min(size.pairs, MOST_PAIRS))
        name = f"{models:,} models, "
        rows = list(_start_rows(name, starts, models))
        async with _running(there, "bench-0") as operator:
            await until_reconciled(operator, models, _patience(models))
            rows += await _quiet(there, operator, name, 10.0 if size.quick else 60.0)
            rows += await _changes(there, name, min(CHANGES, models))
            starts.peaks.append(peak_mib(operator.pid))
        rows += await _restart(there, name)
        rows.append(Row(f"{name}most memory of a process", starts.peaks, unit="MiB", limit=memory))
    return rows, starts


# Starts


async def _starts(there: ClusterSetup, pairs: int) -> Starts:
    requests = await _requests(there)
    starts = Starts()
    for pair in range(pairs):
        namespace = f"bench-{pair}"
        _say(there, f"making those of start {pair + 1} of {pairs}")
        await there.furnish(namespace)
        _say(there, "start")
        async with there.admin.watch(MODELS, namespace) as states:
            began = time.time()
            async with _running(there, namespace) as operator:
                ready_at = await _all_ready(there, operator, states)
                starts.whole.append(ready_at - began)
                starts.logged.append(ready_at - first_line_at(operator))
                starts.peaks.append(peak_mib(operator.pid))
        _say(there, f"all Ready after {starts.whole[-1]:.0f} s; now the floor")
        starts.reads.append(await asyncio.to_thread(seconds, lambda: replay_afresh(requests)))
        starts.patches.append(await _bare_patches(there, namespace, f"floor-{pair}"))
    return starts


def _start_rows(name: str, starts: Starts, models: int) -> Iterator[Row]:
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
            timeout=_patience(there.models),
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


# After the start


async def _quiet(there: ClusterSetup, operator: Operator, name: str, length: float) -> list[Row]:
    _say(there, "a quiet time")
    writes, calls, used = len(there.writes()), there.mlflow_calls(), cpu_seconds(operator)
    for _ in range(2):
        await operator.metrics()
        await asyncio.sleep(length / 2)
    used, calls = cpu_seconds(operator) - used, there.mlflow_calls() - calls
    written = there.writes()[writes:]
    for each in written[:5]:
        print(f"a write in the quiet time: {each}")
    name = f"{name}{length:.0f} quiet seconds, "
    return [
        Row(f"{name}writes", [len(written)], unit="writes", limit=0),
        Row(f"{name}calls of MLflow", [calls], unit="calls", limit=_calls_limit(there.models)),
        Row(f"{name}processor", [used]),
    ]


async def _changes(there: ClusterSetup, name: str, changes: int) -> list[Row]:
    """Change specs one after another; next to each change, patch a status without the operator."""
    _say(there, "changes")
    ours, floor = [], []
    async with (
        there.admin.watch(MODELS, "bench-0") as states,
        there.admin.watch(MODELS, "floor-0") as others,
    ):
        for number in range(changes):
            model = model_name(number * there.models // changes)
            longer = {"spec": {"freshness": {"maxAge": f"{number + 1}d"}}}
            ours.append(await _seen(there.admin, states, "bench-0", model, longer, ""))
            status = {"status": {"observedGeneration": number + 1_000}}
            floor.append(await _seen(there.account, others, "floor-0", model, status, "status"))
    against = "a bare patch of a status"
    name = f"{name}spec change until observed, "
    return [
        Row(f"{name}p50", [median(ours)], [median(floor)], against, limit=CHANGE_LIMIT),
        Row(f"{name}p99", [_p99(ours)], [_p99(floor)], against, limit=CHANGE_LIMIT),
    ]


async def _seen(
    user: RawClient,
    states: AsyncIterator[Object],
    namespace: str,
    model: str,
    change: Object,
    subresource: str,
) -> float:
    """Return the time from a patch until the watch shows it."""
    began = time.perf_counter()
    patched = await user.patch(MODELS, namespace, model, change, subresource)
    metadata = patched["metadata"]
    async with asyncio.timeout(PATIENCE):
        async for body in states:
            if body["metadata"]["name"] != model:
                continue
            if subresource and body["metadata"]["resourceVersion"] == metadata["resourceVersion"]:
                break
            observed = body.get("status", {}).get("observedGeneration")
            if not subresource and observed == metadata["generation"]:
                break
    return time.perf_counter() - began


async def _restart(there: ClusterSetup, name: str) -> list[Row]:
    _say(there, "restart")
    writes, began = len(there.writes()), time.time()
    async with _running(there, "bench-0") as operator:
        took = await until_reconciled(operator, there.models, _patience(there.models)) - began
        written = there.writes()[writes:]
    for each in written[:5]:
        print(f"a write after the restart: {each}")
    return [
        Row(f"{name}restart until every model had its pass", [took]),
        Row(f"{name}restart, writes", [len(written)], unit="writes", limit=0),
    ]


@asynccontextmanager
async def _running(there: ClusterSetup, namespace: str) -> AsyncIterator[Operator]:
    """Run an operator for a namespace, and stop it at the end.

    Raises:
        RuntimeError: the operator logged an error.
    """
    operator = there.operator(namespace)
    try:
        await operator.start()
        await operator.ready(_patience(there.models))
        yield operator
        if errors := operator.errors():
            raise RuntimeError(f"the operator logged errors, the first of them: {errors[0]}")
    finally:
        if operator.process is not None and operator.process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await operator.end()
            if operator.process.returncode is None:
                operator.process.kill()
                await operator.process.wait()


def _calls_limit(models: int) -> float | None:
    """MLflow returns a thousand models per page: more models need more calls."""
    return CALLS_LIMIT if models <= MODELS_OF["usual"] else None


def _patience(models: int) -> float:
    return PATIENCE + PATIENCE_EACH * models


def _p99(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]
