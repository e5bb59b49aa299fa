"""Changes of specs, one after another, until a watch shows their generation as observed."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from statistics import median

from benchmarks.cluster_operator import PATIENCE, say
from benchmarks.cluster_scene import ClusterSetup, model_name
from benchmarks.cluster_traffic import Object, RawClient
from benchmarks.measure import Row
from feature_lineage.kube.kinds import MODELS

CHANGE_LIMIT = 0.2


async def changes_of(there: ClusterSetup, name: str, changes: int) -> list[Row]:
    """Change specs one after another; next to each change, patch a status without the operator."""
    say(there, "changes")
    ours, floor = [], []
    async with (
        there.admin.watch(MODELS, "bench-0") as states,
        there.admin.watch(MODELS, "floor-0") as others,
    ):
        for number in range(changes):
            model = model_name(number * there.models // changes)
            longer = {"spec": {"freshness": {"maxAge": f"{number + 1}d"}}}
            ours.append(await seen_after(there.admin, states, "bench-0", model, longer, ""))
            status = {"status": {"observedGeneration": number + 1_000}}
            floor.append(
                await seen_after(there.account, others, "floor-0", model, status, "status")
            )
    against = "a bare patch of a status"
    name = f"{name}spec change until observed, "
    return [
        Row(f"{name}p50", [median(ours)], [median(floor)], against, limit=CHANGE_LIMIT),
        Row(f"{name}p99", [p99(ours)], [p99(floor)], against, limit=CHANGE_LIMIT),
    ]


async def seen_after(
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


def p99(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]
