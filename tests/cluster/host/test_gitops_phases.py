"""What kstatus, Argo CD and Flux make of real objects in each phase of their lives.

`tests/cluster/gitops` asks the same of statuses that are computed; these are as the API server has
them, with all that an operator, its jobs and users did to them.
"""

from pathlib import Path

import pytest
from tests.cluster.gitops.judging import judge
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.scene import (
    WITHOUT_TRIPS,
    House,
    both,
    kept_up,
    mistakes,
    node_for,
    recorded,
    running,
)
from tests.cluster.host.waiting import gone, says
from tests.cluster.kubectl import Kubectl
from tests.local.scene import MLflow
from tests.servers.fixtures import shared_mlflow

from feature_lineage.kube.client import Api, Object
from feature_lineage.kube.kinds import PROJECTS

pytestmark = pytest.mark.slow

WORKING = ("InProgress", "Progressing", "InProgress")
READY = ("Current", "Healthy", "Current")
FAILED = ("Failed", "Degraded", "Failed")
GOING = ("Terminating", "Progressing", "InProgress")
STUCK = ("Terminating", "Progressing", "Failed")


@pytest.fixture
def house(admin: Api, kubectl: Kubectl, namespace: str, tmp_path: Path) -> House:
    return House(admin, kubectl, namespace, MLflow(shared_mlflow().url), tmp_path)


def words(body: Object) -> tuple[str, str, str]:
    """What kstatus, Argo CD and Flux say of an object."""
    (judgement,) = judge([body])
    return judgement.words


@pytest.mark.timeout(1200)
async def test_the_tools_follow_a_project_and_its_model_through_their_lives(
    house: House, start_operator: StartOperator, admin: Api
) -> None:
    # Nobody has looked at them yet.
    await house.push("import no_such_module\n")
    assert words(await house.create_project(deletionPolicy="Delete")) == WORKING
    assert words(await house.create_model()) == WORKING

    # A job waits for a node.
    operator = await start_operator()
    async with kept_up(operator):
        assert words(await house.until(running)) == WORKING
        await with_a_node(house)
        await being_deleted(house, admin)
    assert mistakes(operator) == []


async def with_a_node(house: House) -> None:
    async with node_for(house):
        # The repo is no repo, until it is.
        project = await house.until(both(says("Applied", "False", "InvalidRepo"), recorded(1)))
        assert words(project) == FAILED
        await house.push()
        assert words(await house.until(says("Reconciling", "True"))) == WORKING
        assert words(await house.until(both(says("Applied", "True"), recorded(2)))) == READY

        # The model comes after the resource that follows it.
        assert words(await house.until_model(says("Ready", "False", "ModelNotFound"))) == WORKING
        house.train(alias=None)
        assert words(await house.until_model(says("Ready", "False", "AliasNotFound"))) == WORKING
        house.mlflow.set_alias(house.model, "champion", "1")
        assert words(await house.until_model(says("Ready", "True"))) == READY

        # A commit that would break it is stopped: that is the commit's failure, not the model's.
        await house.push(WITHOUT_TRIPS)
        project = await house.until(both(says("Applied", "False", "Blocked"), recorded(3)))
        assert words(project) == FAILED
        assert words(await house.until_model(says("Ready", "True"))) == READY

        # It is let through.
        digest = project["status"]["plan"]["digest"]
        await house.annotate(allow_breaking=f"{digest}: the ranker is retired")
        assert words(await house.until(both(says("Applied", "True"), recorded(4)))) == READY
        assert words(await house.until_model(says("LineageVerified", "False", "Broken"))) == FAILED


async def being_deleted(house: House, admin: Api) -> None:
    # The job that takes its objects along waits for a node.
    await admin.delete(PROJECTS, house.namespace, house.name)
    assert words(await house.until(both(running, says("Ready", "False", "Deleting")))) == GOING
    async with node_for(house):
        # A champion still uses what would go.
        project = await house.until(says("Stalled", "True", "DeletionBlocked"))
        assert words(project) == STUCK
        await house.annotate(allow_delete="the ranker is retired")
        await house.until(gone)
    assert words(await house.until_model(says("Ready", "False", "RefNotPermitted"))) == WORKING
