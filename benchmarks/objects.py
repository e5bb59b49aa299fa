"""What many large resources of one tenant cost the operator's memory.

The tenant has `edit` in one namespace, and creates projects that are as large as the API server
accepts: 250 KiB of annotations, variables of 768 KiB, and a thousand labels, which the managed
fields list once more as JSON objects. Another project is as projects are.

* created: while the operator runs, so each object comes by the watch.
* start: another operator starts when all exist, so they are listed.
"""

import asyncio
import contextlib
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.cluster.chart.helm import NAMESPACE, RELEASE, Helm
from tests.cluster.controlplane import CRDS, ControlPlane
from tests.cluster.host.process import Operator, grant_permissions, peak_mib

from benchmarks.cluster_traffic import Object, RawClient, raw_client
from benchmarks.measure import Row, Size
from feature_lineage.kube.kinds import PROJECTS

OBJECTS = {"quick": 10, "usual": 50}
"""With 200, an API server on 2 cores does not answer within 6 s, and the Lease is lost."""
LIMIT = 512.0
"""MiB of the chart."""
NAME = "evil"
PATIENCE = 600.0


def objects(size: Size) -> Iterator[Row]:
    """The benchmark."""
    yield from asyncio.run(_measured(OBJECTS["quick" if size.quick else "usual"]))


async def _measured(count: int) -> list[Row]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-objects-")))
        plane = stack.enter_context(ControlPlane().start(CRDS))
        grant_permissions(plane, Helm(folder / "helm").render())
        account = plane.service_account_kubeconfig(NAMESPACE, RELEASE)
        plane.kubectl("create", "namespace", NAME)
        admin = await stack.enter_async_context(raw_client(plane.kubeconfig))
        async with _operator(account, folder) as operator:
            empty = peak_mib(operator.pid)
            for number in range(count):
                await admin.create(PROJECTS, NAME, _large(number))
            await _seen(admin)
            created = peak_mib(operator.pid)
        async with _operator(account, folder) as operator:
            await _seen(admin)
            started = peak_mib(operator.pid)
    name = f"{count} resources of a megabyte"
    return [
        Row(
            f"{name}, created: most memory",
            [created],
            [empty],
            "without them",
            unit="MiB",
            limit=LIMIT,
        ),
        Row(
            f"{name}, start: most memory",
            [started],
            [empty],
            "without them",
            unit="MiB",
            limit=LIMIT,
        ),
    ]


@asynccontextmanager
async def _operator(account: Path, folder: Path) -> AsyncIterator[Operator]:
    operator = Operator(account, {"namespaces": [NAME]}, folder, NAMESPACE)
    await operator.start()
    await operator.ready(PATIENCE)
    yield operator
    await operator.end()


async def _seen(admin: RawClient) -> None:
    """Wait until the operator, which sees changes in their order, has seen a further project."""
    name = f"last-{uuid.uuid4().hex[:6]}"
    made = await admin.create(PROJECTS, NAME, _project(name))
    since = made["metadata"]["resourceVersion"]
    async with asyncio.timeout(PATIENCE), admin.watch(PROJECTS, NAME, since) as states:
        async for state in states:
            seen = state["status"]["observedGeneration"] > 0
            if state["metadata"]["name"] == name and seen:
                return


def _large(number: int) -> Object:
    body = _project(f"large-{number}")
    body["metadata"]["annotations"] = {"note": "x" * 250 * 1024}
    body["metadata"]["labels"] = {f"l{label}": "" for label in range(1_000)}
    value = "x" * 32 * 1024
    body["spec"]["runtime"] = {"env": [{"name": f"E{at}", "value": value} for at in range(24)]}
    return body


def _project(name: str) -> Object:
    """A project without jobs: what they cost depends on their number, not on these bytes."""
    spec = {"project": name.replace("-", "_"), "source": {"image": {"path": "/repo"}}}
    return {
        "apiVersion": PROJECTS.api_version,
        "kind": PROJECTS.kind,
        "metadata": {"name": name, "namespace": NAME},
        "spec": {**spec, "suspend": True},
    }
