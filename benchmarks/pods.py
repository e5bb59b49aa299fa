"""An apply through Git in real pods, against the same pod created by hand.

Ours is the whole path: a commit is pushed, the operator detects it, a Job fetches and applies it,
the operator reads the report and writes the status. The floor is the pod of the same Job once more,
as a bare pod: same image, request, mounts and account, without a Job controller and an operator.
Both run on the node of `tests/e2e`, in its sandbox.
"""

import asyncio
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Size

ROOT = Path(__file__).parents[1]
SANDBOX = ROOT / "tests/e2e/sandbox"
GOAL = 1.5


def pods(size: Size) -> Iterator[Row]:
    """Job overhead, and where the time of an apply through Git goes."""
    command = [
        SANDBOX,
        sys.executable,
        "-m",
        "benchmarks.pods",
        str(2 if size.quick else size.pairs),
    ]
    for needed in ("tests.cluster.binaries", "tests.e2e.images"):  # the sandbox has no network
        subprocess.run([sys.executable, "-m", needed], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    for row in json.loads(done.stdout.splitlines()[-1]):
        yield Row(**row)


MOMENTS = (
    "the operator sees the commit and creates a Job",
    "its pod is scheduled and its container runs",
    "the container fetches, applies and reports",
    "the Job is complete",
    "the status says so",
)


async def _measure(pairs: int) -> list[Row]:
    from tests.cluster.chart.helm import Helm
    from tests.cluster.host.polling import says
    from tests.e2e.environment import E2eEnvironment
    from tests.e2e.images import images
    from tests.e2e.operator import InstalledOperator
    from tests.e2e.project_fixture import both, recorded
    from tests.e2e.tenant import Tenant
    from tests.local.scene import FEATURES

    from feature_lineage.kube.api_client import connect

    taken: list[list[float]] = []
    floor: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-pods-") as tmp,
        E2eEnvironment(Path(tmp), images()) as environment,
    ):
        kubectl = environment.plane.kubectl
        InstalledOperator(
            environment, Helm(Path(tmp) / "helm", environment.plane.kubeconfig)
        ).install()
        async with await connect(str(environment.plane.kubeconfig)) as api:
            kubectl("create", "namespace", "bench")
            tenant = Tenant(api, kubectl, "bench", environment.mlflow, environment=environment)
            tenant.prepare()
            tenant.commit()
            await tenant.create_project()
            await tenant.until(both(recorded(1), says("Ready", "True")))
            for number in range(pairs + 1):
                moments, pod = await _through_git(tenant, f"{FEATURES}\n# commit {number}\n")
                by_hand = await _by_hand(tenant, pod)
                if number:  # the first pair warms up
                    taken.append(moments)
                    floor.append(by_hand)
    parts = [[one[i + 1] - one[i] for one in taken] for i in range(len(MOMENTS))]
    job = [one[-1] - one[1] for one in taken]
    return [
        Row(
            "a job in a pod, created until its report is read",
            *(job, floor),
            against="the same container as a pod by hand",
            goal=GOAL,
        ),
        Row("a commit, pushed until it is in effect", [one[-1] - one[0] for one in taken]),
        *(Row(f"of which: {what}", took) for what, took in zip(MOMENTS, parts, strict=True)),
    ]


async def _through_git(tenant: Any, features: str) -> tuple[list[float], dict[str, Any]]:
    """Return the times since the push, from the API server, and the pod of the job."""
    from feature_lineage.kube.kinds import JOBS, PODS, PROJECTS

    namespace = tenant.namespace
    known = {job["metadata"]["name"] async for job in tenant.admin.list(JOBS, namespace)}
    async with (
        watched(tenant, JOBS) as jobs,
        watched(tenant, PODS) as pods_seen,
        watched(tenant, PROJECTS) as projects,
    ):
        began = time.perf_counter()
        revision = await asyncio.to_thread(tenant.commit, features)

        def new(body: dict[str, Any]) -> bool:
            return body["metadata"]["name"] not in known

        def ours(body: dict[str, Any]) -> bool:
            job = body["metadata"].get("labels", {}).get("job-name")
            return job is not None and job not in known

        created, _ = await jobs(new)
        runs, _ = await pods_seen(lambda body: ours(body) and bool(_state(body, "running")))
        ended, pod = await pods_seen(lambda body: ours(body) and bool(_state(body, "terminated")))
        complete, _ = await jobs(lambda body: new(body) and _is_complete(body))
        said, _ = await projects(lambda body: _applied(body) == revision)
    return [began, created, runs, ended, complete, said], pod


async def _by_hand(tenant: Any, pod: dict[str, Any]) -> float:
    """Return the seconds from the creation of the pod until its container has ended."""
    from feature_lineage.kube.kinds import PODS

    spec = copy.deepcopy(pod["spec"])
    spec.pop("nodeName")
    token = [each for each in spec["volumes"] if each["name"].startswith("kube-api-access")]
    spec["volumes"] = [each for each in spec["volumes"] if each not in token]
    for container in spec["containers"]:
        container["volumeMounts"] = [
            each
            for each in container["volumeMounts"]
            if each["name"] not in {volume["name"] for volume in token}
        ]
    name = f"by-hand-{time.monotonic_ns()}"
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    async with watched(tenant, PODS) as seen:
        began = time.perf_counter()
        await tenant.admin.create(PODS, tenant.namespace, body)
        ended, last = await seen(
            lambda each: each["metadata"]["name"] == name and bool(_state(each, "terminated"))
        )
    await tenant.admin.delete(PODS, tenant.namespace, name)
    if (code := _state(last, "terminated")["exitCode"]) != 0:
        raise RuntimeError(f"the pod by hand ended with {code}")
    return ended - began


Seen = Callable[[Callable[[dict[str, Any]], bool]], Any]


@asynccontextmanager
async def watched(tenant: Any, kind: Any) -> AsyncIterator[Seen]:
    """Waits for a state of an object in the namespace, and records the time of the event."""
    updates: asyncio.Queue[tuple[float, dict[str, Any]]] = asyncio.Queue()
    listed = asyncio.Event()
    reading = await asyncio.create_subprocess_exec(
        *tenant.kubectl.command("-n", tenant.namespace, "get", kind.plural, "-w", "-o", "json"),
        "--output-watch-events",
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert reading.stdout is not None
    decoder, text = json.JSONDecoder(), ""

    async def read() -> None:
        nonlocal text
        assert reading.stdout is not None
        while chunk := await reading.stdout.read(1 << 16):
            text += chunk.decode()
            while text := text.lstrip():
                try:
                    event, end = decoder.raw_decode(text)
                except ValueError:
                    break
                text = text[end:]
                await updates.put((time.perf_counter(), event["object"]))
                listed.set()  # existing objects come first

    async def until(holds: Callable[[dict[str, Any]], bool]) -> tuple[float, dict[str, Any]]:
        async with asyncio.timeout(300):
            while True:
                moment, body = await updates.get()
                if holds(body):
                    return moment, body

    task = asyncio.create_task(read())
    try:
        async with asyncio.timeout(60):
            await listed.wait()
        yield until
    finally:
        reading.terminate()
        await reading.wait()
        task.cancel()


def _state(pod: dict[str, Any], which: str) -> dict[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    return dict(statuses[0].get("state", {}).get(which) or {})


def _is_complete(job: dict[str, Any]) -> bool:
    conditions = job.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Complete" for each in conditions)


def _applied(project: dict[str, Any]) -> str:
    return str(project.get("status", {}).get("applied", {}).get("revision"))


if __name__ == "__main__":
    assert "FEATURE_LINEAGE_E2E_CGROUP" in os.environ
    print(json.dumps([asdict(row) for row in asyncio.run(_measure(int(sys.argv[1])))]))
