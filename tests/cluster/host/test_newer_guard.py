"""A pod whose import takes longer than maxGuardAge asks the operator for a newer guard."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import condition, says
from tests.cluster.host.project_fixture import POD_GUARD_SECONDS, HostProject
from tests.cluster.kubectl import Kubectl
from tests.cluster.node import NodeStandIn
from tests.e2e.project_fixture import JOB_SECONDS, REFS, WITHOUT_TRIPS
from tests.local.scene import MLflow, guard_age, slow_import
from tests.servers.fixtures import shared_mlflow

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.names import report_names
from feature_lineage.kube.kinds import CONFIG_MAPS
from feature_lineage.operations.newer_guard import ANSWERED_KEY, QUESTION_KEY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def host_project(admin: Api, kubectl: Kubectl, namespace: str, tmp_path: Path) -> HostProject:
    """A project and its MLflow."""
    mlflow = MLflow(shared_mlflow().url)
    return HostProject(admin, kubectl, namespace, mlflow, folder=tmp_path, mlflow_url=mlflow.url)


@pytest.fixture
async def node(host_project: HostProject) -> AsyncIterator[NodeStandIn]:
    project = host_project
    project.prepare()
    claims = {"stores": project.stores}
    async with NodeStandIn(project.admin, project.namespace, claims=claims) as node:
        yield node


async def create(project: HostProject) -> str:
    """Create the project, and return the first ConfigMap of its job's report.

    The facts about models are read again only for a job that needs a guard.
    """
    mlflow = {"trackingUri": project.mlflow_url, "pollInterval": "10m"}
    await project.create_project(apply=guard_age(POD_GUARD_SECONDS), mlflow=mlflow)
    body = await project.until(lambda b: "operation" in (b or {}).get("status", {}))
    return report_names(f"{body['status']['operation']['id']}-1")[0]


def asks(body: Object | None) -> bool:
    return QUESTION_KEY in ((body or {}).get("data") or {})


@pytest.mark.usefixtures("node")
async def test_the_next_leader_answers_a_waiting_job(
    host_project: HostProject, start_operator: StartOperator
) -> None:
    operator = await start_operator()
    host_project.train(REFS[0], alias=None)  # a champion would need a registry before
    host_project.prepare(slow_import(WITHOUT_TRIPS, POD_GUARD_SECONDS + 1))
    report = await create(host_project)
    await host_project.until(
        lambda b: (b or {})["status"].get("operation", {}).get("phase") == "Running"
    )
    await operator.end(signal.SIGKILL)
    found = await host_project.until_made(CONFIG_MAPS, report, asks)
    assert ANSWERED_KEY not in found["data"]

    following = await start_operator()
    project = await host_project.until(says("Applied", "True"))

    (applied,) = project["status"]["operations"]
    assert (applied["result"], applied["attempt"]) == ("Succeeded", 1)
    found = await host_project.admin.get(CONFIG_MAPS, host_project.namespace, report)
    assert not {QUESTION_KEY, ANSWERED_KEY} & {*found["data"]}
    assert following.errors() == []


async def test_an_alias_moved_during_an_import_blocks(
    host_project: HostProject, node: NodeStandIn, start_operator: StartOperator
) -> None:
    operator = await start_operator()
    host_project.train(REFS[0], alias=None)  # a champion would need a registry before
    await create(host_project)
    await host_project.until(says("Applied", "True"))
    host_project.prepare(slow_import(WITHOUT_TRIPS, POD_GUARD_SECONDS + 1))
    async with asyncio.timeout(JOB_SECONDS):
        while node.printed().count('"import_repo"') < 2:
            await asyncio.sleep(0.2)  # the simulated node does not stream logs
    version = host_project.train(*REFS)

    project = await host_project.until(says("Applied", "False", "Blocked"))

    assert f"{host_project.model} v{version}" in condition(project, "Applied")["message"]
    blocked = project["status"]["operations"][0]
    assert (blocked["result"], blocked["attempt"]) == ("Blocked", 1)
    assert operator.errors() == []
