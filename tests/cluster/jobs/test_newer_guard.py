"""A pod asks for a newer guard with its own permissions, and its report leaves nothing of it."""

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.cluster.jobs.scene import Project
from tests.cluster.jobs.test_reports import JOB, runner_of

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.jobs.names import report_names
from feature_lineage.kube.jobs.newer_guard import read_question
from feature_lineage.kube.kinds import CONFIG_MAPS, JOBS
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.pod_protocol import MAX_PIECE_BYTES, PIECES, pack_report
from feature_lineage.operations.protection import Guard
from feature_lineage.operations.protocol import ApplyRequest
from feature_lineage.runner.pod_host import PodHost
from feature_lineage.runner.publish import Retries, publish

TOKEN = "a" * 32


async def test_a_pod_asks_with_its_own_permissions(
    admin: Api, jobs: KubeJobs, project: Callable[..., Any], tmp_path: Path
) -> None:
    mine: Project = await project()
    old = Guard(datetime.now(UTC) - timedelta(hours=1))
    await jobs.start(mine.request(apply=ApplyRequest(guard=old)), mine.resource)
    server, names = await runner_of(mine, admin, tmp_path), report_names(JOB)
    host = PodHost(server, mine.namespace, names[0])
    await asyncio.to_thread(host.ask, TOKEN, time.monotonic() + 30)
    job = await admin.get(JOBS, mine.namespace, JOB)
    assert await read_question(admin, job, mine.resource) == TOKEN
    assert await asyncio.to_thread(host.answer) is None

    # As large as a request may be, and not compressible.
    unknown = tuple(os.urandom(128).hex() for _ in range(6000))
    answer = GuardAnswer(token=TOKEN, guard=Guard(datetime.now(UTC), unknown=unknown))
    await jobs.answer(JOB, mine.resource, answer)

    assert await read_question(admin, job, mine.resource) == ""
    assert await asyncio.to_thread(host.answer) == answer
    text = os.urandom(MAX_PIECE_BYTES * PIECES - 4096)
    manifest, pieces = pack_report(text, JOB)
    retries = Retries(time.monotonic() + 30)
    await asyncio.to_thread(publish, server, mine.namespace, names, manifest, pieces, retries)
    found = await admin.get(CONFIG_MAPS, mine.namespace, names[0])
    assert [*found["data"], *found["binaryData"]] == ["manifest.json", "report.json.gz"]
