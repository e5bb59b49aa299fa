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
import time
from collections.abc import Iterator

from tests.cluster.host.process import Operator, peak_mib

from benchmarks.cluster_changes import changes_of
from benchmarks.cluster_meter import cpu_seconds, until_reconciled
from benchmarks.cluster_operator import patience, running, say
from benchmarks.cluster_scene import ClusterSetup, scene
from benchmarks.cluster_starts import Starts, start_rows, starts_of
from benchmarks.measure import Row, Size

MODELS_OF = {"quick": 50, "usual": 1_000, "large": 10_000}
GROWTH_GOAL = 10.0
MEMORY_LIMIT, LARGE_MEMORY_LIMIT = 150.0, 256.0
CALLS_LIMIT = 4.0
MOST_PAIRS = 3
CHANGES = 100


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
        return await starts_of(there, 1)


async def _measured(models: int, size: Size, memory: float) -> tuple[list[Row], Starts]:
    async with scene(models) as there:
        starts = await starts_of(there, min(size.pairs, MOST_PAIRS))
        name = f"{models:,} models, "
        rows = list(start_rows(name, starts, models))
        async with running(there, "bench-0") as operator:
            await until_reconciled(operator, models, patience(models))
            rows += await _quiet(there, operator, name, 10.0 if size.quick else 60.0)
            rows += await changes_of(there, name, min(CHANGES, models))
            starts.peaks.append(peak_mib(operator.pid))
        rows += await _restart(there, name)
        rows.append(Row(f"{name}most memory of a process", starts.peaks, unit="MiB", limit=memory))
    return rows, starts


async def _quiet(there: ClusterSetup, operator: Operator, name: str, length: float) -> list[Row]:
    say(there, "a quiet time")
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


async def _restart(there: ClusterSetup, name: str) -> list[Row]:
    say(there, "restart")
    writes, began = len(there.writes()), time.time()
    async with running(there, "bench-0") as operator:
        took = await until_reconciled(operator, there.models, patience(there.models)) - began
        written = there.writes()[writes:]
    for each in written[:5]:
        print(f"a write after the restart: {each}")
    return [
        Row(f"{name}restart until every model had its pass", [took]),
        Row(f"{name}restart, writes", [len(written)], unit="writes", limit=0),
    ]


def _calls_limit(models: int) -> float | None:
    """MLflow returns a thousand models per page: more models need more calls."""
    return CALLS_LIMIT if models <= MODELS_OF["usual"] else None
