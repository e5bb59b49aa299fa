"""A report is read whole or not at all, written with only the token of the runner."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.controlplane import CRDS, ControlPlane
from tests.cluster.jobs.scene import Project
from tests.unit.operations.build import registry, view

from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import AccessRefused, InvalidReport, TerminalError
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.api_client import Api, connect
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.jobs.names import access_name, report_names
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.jobs.report import OPENED_BY, read_report
from feature_lineage.kube.kinds import CONFIG_MAPS, SERVICE_ACCOUNTS
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.pod_protocol import PIECE_KEY, pack_report
from feature_lineage.operations.protocol import encode
from feature_lineage.runner.publish import ApiServerClient, Retries, publish

NewProject = Callable[..., Any]
JOB = "apply-1-0123456789abcdef-1"


def report(snapshot: RegistrySnapshot | None = None, job: str = JOB) -> JobReport:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    return JobReport(
        operation_id=job,
        kind=OperationKind.APPLY,
        project="driver",
        outcome=Outcome.SUCCEEDED,
        started_at=now,
        finished_at=now,
        snapshot=snapshot,
    )


def snapshot(views: int, features: int, *, noise: int = 0) -> RegistrySnapshot:
    """Return a registry; `noise` adds incompressible bytes to each view."""
    dice = random.Random(7)
    made = {}
    for number in range(views):
        body = view({f"feature_{number}_{index}": "FLOAT" for index in range(features)})
        made[f"view_{number}"] = {**body, "description": dice.randbytes(noise).hex()}
    return registry(made)


async def runner_of(project: Project, admin: Api, folder: Path) -> ApiServerClient:
    """The API server as a pod of the project uses it: with its token, and no other permission."""
    account = access_name(project.resource)
    path = SERVICE_ACCOUNTS.path(project.namespace, account, "token")
    made = await admin._request("POST", path, body={"spec": {}})
    (folder / "token").write_text(made["status"]["token"])
    async with asyncio.timeout(30):
        while (ca := await admin.find(CONFIG_MAPS, project.namespace, "kube-root-ca.crt")) is None:
            await asyncio.sleep(0.1)
    (folder / "ca.crt").write_text(ca["data"]["ca.crt"])
    return ApiServerClient(admin.configuration.host, folder)


async def hand_over(
    server: ApiServerClient,
    project: Project,
    made: JobReport,
    seconds: float = 10.0,
    tell: Callable[[str, float], None] = lambda _why, _seconds: None,
) -> int:
    manifest, pieces = pack_report(encode(made).encode(), JOB)
    names = report_names(JOB)
    retries = Retries(time.monotonic() + seconds, tell)
    await asyncio.to_thread(publish, server, project.namespace, names, manifest, pieces, retries)
    return len(pieces)


@pytest.fixture
async def started(jobs: KubeJobs, project: NewProject) -> Project:
    mine: Project = await project()
    await jobs.start(mine.request(), mine.resource)
    return mine


async def test_a_report_of_ten_thousand_features_is_read_back(
    admin: Api, operator: Api, started: Project, tmp_path: Path
) -> None:
    made = report(snapshot(1_000, 10))
    server = await runner_of(started, admin, tmp_path)
    assert await hand_over(server, started, made) == 1

    assert await read_report(operator, started.namespace, JOB) == made


async def test_a_report_of_three_pieces_is_read_back(
    admin: Api, operator: Api, started: Project, tmp_path: Path
) -> None:
    made = report(snapshot(1_000, 10, noise=1_700))
    server = await runner_of(started, admin, tmp_path)
    assert await hand_over(server, started, made) == 3

    assert await read_report(operator, started.namespace, JOB) == made


def test_a_report_too_large_names_the_next_step() -> None:
    with pytest.raises(TerminalError, match="split the project into smaller ones") as caught:
        pack_report(encode(report(snapshot(1_000, 10, noise=2_500))).encode(), JOB)
    assert caught.value.reason == "ReportTooLarge"


async def test_a_changed_or_missing_piece_is_refused(
    admin: Api, operator: Api, started: Project, tmp_path: Path
) -> None:
    server = await runner_of(started, admin, tmp_path)
    await hand_over(server, started, report(snapshot(1_000, 10, noise=1_700)))
    body = {"binaryData": {PIECE_KEY: "H4sIAAAAAAAAAA=="}}
    await admin.patch(CONFIG_MAPS, started.namespace, report_names(JOB)[1], body)
    with pytest.raises(InvalidReport, match="pieces do not have the sha256 of its manifest"):
        await read_report(operator, started.namespace, JOB)

    await admin.delete(CONFIG_MAPS, started.namespace, report_names(JOB)[1])
    with pytest.raises(InvalidReport, match="with a piece of the report is gone"):
        await read_report(operator, started.namespace, JOB)


async def test_a_report_that_would_take_too_much_memory_is_refused(
    admin: Api, operator: Api, started: Project, tmp_path: Path
) -> None:
    text = encode(report())[:-1].encode() + b',"x":[' + b"[]," * 3_000_000 + b"[]]}"
    manifest, pieces = pack_report(text, JOB)
    assert sum(map(len, pieces)) < 20_000
    retries = Retries(time.monotonic() + 10, lambda _why, _seconds: None)
    server = await runner_of(started, admin, tmp_path)
    names = report_names(JOB)
    await asyncio.to_thread(publish, server, started.namespace, names, manifest, pieces, retries)

    with pytest.raises(InvalidReport, match="MiB of memory") as caught:
        await read_report(operator, started.namespace, JOB)
    assert caught.value.reason == "ReportTooLarge"


DIE_WHILE_READING = """
import asyncio, os, signal, sys
from feature_lineage.kube.api_client import connect
from feature_lineage.kube.jobs import report
async def main():
    async with await connect(sys.argv[1]) as api:
        report.decode_report = lambda text: os.kill(os.getpid(), signal.SIGKILL)
        await report.read_report(api, *sys.argv[2:])
asyncio.run(main())
"""


async def test_a_report_that_ended_two_processes_is_not_opened_again(
    control_plane: ControlPlane, admin: Api, operator: Api, started: Project, tmp_path: Path
) -> None:
    made = report()
    server = await runner_of(started, admin, tmp_path)
    await hand_over(server, started, made)

    async def die() -> int:
        kubeconfig = str(control_plane.kubeconfig)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", DIE_WHILE_READING, kubeconfig, started.namespace, JOB)
        )
        return await process.wait()

    assert await die() == -signal.SIGKILL
    # One may have been stopped by chance.
    assert await read_report(operator, started.namespace, JOB) == made
    assert await die() == -signal.SIGKILL

    with pytest.raises(InvalidReport, match="2 processes of the operator ended") as caught:
        await read_report(operator, started.namespace, JOB)
    assert f"{started.namespace}/{report_names(JOB)[0]}" in caught.value.message
    assert caught.value.reason == "ReportTooLarge"


async def test_reading_a_report_leaves_no_mark(
    admin: Api, operator: Api, started: Project, tmp_path: Path
) -> None:
    server = await runner_of(started, admin, tmp_path)
    await hand_over(server, started, report())
    await read_report(operator, started.namespace, JOB)

    first = await admin.get(CONFIG_MAPS, started.namespace, report_names(JOB)[0])
    assert OPENED_BY not in (first["metadata"].get("annotations") or {})


async def test_the_report_of_another_job_is_refused(
    admin: Api, operator: Api, started: Project, tmp_path: Path
) -> None:
    server = await runner_of(started, admin, tmp_path)
    await hand_over(server, started, report(job="apply-2-0123456789abcdef-1"))
    with pytest.raises(InvalidReport, match="not apply-1-0123456789abcdef-1's"):
        await read_report(operator, started.namespace, JOB)


async def test_the_next_job_revokes_the_permission_of_the_last(
    admin: Api, jobs: KubeJobs, started: Project, tmp_path: Path
) -> None:
    server = await runner_of(started, admin, tmp_path)
    await hand_over(server, started, report())
    await jobs.start(started.request("apply-2-0123456789abcdef-1"), started.resource)

    with pytest.raises(AccessRefused, match="HTTP 403"):
        await hand_over(server, started, report(), seconds=1.0)


async def test_the_report_is_written_when_the_api_server_is_back(
    start_control_plane: Callable[..., ControlPlane], tmp_path: Path
) -> None:
    plane, made = start_control_plane(CRDS), report()
    plane.kubectl("create", "namespace", "away")
    async with await connect(str(plane.kubeconfig)) as admin:
        mine = await Project.create(admin, "away", "driver", {})
        await KubeJobs(admin, RunnerDefaults(image="x")).start(mine.request(), mine.resource)
        server = await runner_of(mine, admin, tmp_path)
        plane.kill_apiserver()
        reasons: list[str] = []
        waits = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell(why: str, _seconds: float) -> None:
            reasons.append(why)
            loop.call_soon_threadsafe(waits.set)

        handing = asyncio.create_task(hand_over(server, mine, made, 120.0, tell))
        await asyncio.wait_for(waits.wait(), 60)
        await asyncio.to_thread(plane.start_apiserver)
        await handing

        assert await read_report(admin, "away", JOB) == made
    assert "Connection refused" in reasons[0]
