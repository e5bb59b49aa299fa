"""Registry snapshots in ConfigMaps, kept by an operator with the permissions of the chart."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cluster.host.resources import create_project

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.api_client import Api, connect
from feature_lineage.kube.jobs.names import snapshot_name
from feature_lineage.kube.kinds import CONFIG_MAPS, PROJECTS
from feature_lineage.kube.snapshots import KEPT_SNAPSHOTS, KubeSnapshots

AT = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture
async def operator(operator_kubeconfig: Path) -> AsyncIterator[Api]:
    async with await connect(str(operator_kubeconfig)) as api:
        yield api


async def project_of(admin: Api, namespace: str) -> FeatureStoreProject:
    body = await admin.get(PROJECTS, namespace, "ranking")
    body["metadata"].pop("managedFields", None)
    return FeatureStoreProject.model_validate(body)


def snapshot(number: int) -> RegistrySnapshot:
    return RegistrySnapshot("ranking", {"entity": {f"e{number}": {"name": f"e{number}"}}})


async def pieces(admin: Api, namespace: str) -> set[str]:
    return {
        each["metadata"]["name"]
        async for each in admin.list(CONFIG_MAPS, namespace)
        if each["metadata"]["name"].startswith("feature-lineage-registry-ranking-")
    }


async def test_newest_snapshots_survive_a_restart(
    admin: Api, operator: Api, namespace: str
) -> None:
    await create_project(admin, namespace)
    project = await project_of(admin, namespace)
    key = Key("FeatureStoreProject", namespace, "ranking")
    store = KubeSnapshots(operator, lambda _: project)
    taken = [snapshot(number) for number in range(KEPT_SNAPSHOTS + 2)]
    for number, one in enumerate(taken):
        await store.put(key, one, SnapshotRecord(AT + timedelta(hours=number), one.digest, "r"))

    names = {snapshot_name("ranking", one.digest, 0) for one in taken[-KEPT_SNAPSHOTS:]}
    assert await pieces(admin, namespace) == names
    after = KubeSnapshots(operator, lambda _: project)
    assert [record.digest for record in await after.history(key)] == [one.digest for one in taken]
    assert await after.get(key, taken[-1].digest) == taken[-1]
    assert await after.get(key, taken[0].digest) is None


async def test_damaged_snapshots_are_ignored_and_stored_again(
    admin: Api, operator: Api, namespace: str
) -> None:
    await create_project(admin, namespace)
    project = await project_of(admin, namespace)
    key = Key("FeatureStoreProject", namespace, "ranking")
    one, record = snapshot(1), SnapshotRecord(AT, snapshot(1).digest, "r")
    await KubeSnapshots(operator, lambda _: project).put(key, one, record)
    (piece,) = await pieces(admin, namespace)
    damage = {"binaryData": {"snapshot.json.gz": "AAAA"}}
    await admin.patch(CONFIG_MAPS, namespace, piece, damage)

    after = KubeSnapshots(operator, lambda _: project)
    assert await after.get(key, one.digest) is None

    await after.put(key, one, record)
    assert await after.get(key, one.digest) == one
    assert await KubeSnapshots(operator, lambda _: project).get(key, one.digest) == one
