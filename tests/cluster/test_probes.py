"""The record of a project's probes is in one ConfigMap, and anybody may damage it."""

import base64
import gzip
from datetime import UTC, datetime

import pytest
from tests.cluster.test_snapshots import StoredProject, stored_project

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.owned_objects import NotOwned
from feature_lineage.kube.kinds import CONFIG_MAPS
from feature_lineage.kube.probes import KubeProbes
from feature_lineage.operations.probe_answer import ProbeAnswer
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.sampled_keys import SampledKey, SampledKeys

__all__ = ["stored_project"]

NAME = "feature-lineage-probe-ranking"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEYS = SampledKeys(columns=("driver_id",), keys=(SampledKey(values=(1,), at=NOW),))
RECORD = ProbeRecord(keys={"stats": KEYS})


def probes(project: StoredProject) -> KubeProbes:
    """A store of a new process."""
    return KubeProbes(project.api, lambda _: project.project)


async def test_a_later_process_reads_the_record(stored_project: StoredProject) -> None:
    answer = ProbeAnswer(question="service ranking", keys=1)
    newer = RECORD.with_answers((answer,), NOW, ("stats",))
    for record in (RECORD, newer):
        await probes(stored_project).keep(stored_project.key, record)

    assert await probes(stored_project).read(stored_project.key, newer.digest) == newer
    assert await probes(stored_project).read(stored_project.key, RECORD.digest) is None
    assert await stored_project.names() == [NAME]


@pytest.mark.parametrize(
    "data",
    [
        {"binaryData": {"probe.json.gz": ""}},
        {"binaryData": {"probe.json.gz": base64.b64encode(b"no gzip").decode()}},
        {"binaryData": {"probe.json.gz": base64.b64encode(gzip.compress(b"\xff" * 9)).decode()}},
        {
            "binaryData": {
                "probe.json.gz": base64.b64encode(gzip.compress(b"0" * 9_000_000)).decode()
            }
        },
        {"data": {"probe.json.gz": "text"}},
    ],
    ids=["empty", "no gzip", "no text", "a bomb", "no bytes"],
)
async def test_a_damaged_record_is_no_record(
    stored_project: StoredProject, admin: Api, data: Object
) -> None:
    store, key = probes(stored_project), stored_project.key
    await store.keep(key, RECORD)
    found = await admin.get(CONFIG_MAPS, key.namespace, NAME)
    kept = {name: value for name, value in found.items() if name not in ("binaryData", "data")}
    await admin.delete(CONFIG_MAPS, key.namespace, NAME)
    kept["metadata"].pop("resourceVersion")
    await admin.create(CONFIG_MAPS, key.namespace, {**kept, **data})

    assert await store.read(key, RECORD.digest) is None
    if "data" not in data:
        await store.keep(key, RECORD)
        assert await store.read(key, RECORD.digest) == RECORD


async def test_the_config_map_of_somebody_else_stays(
    stored_project: StoredProject, admin: Api
) -> None:
    namespace = stored_project.key.namespace
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME},
        "data": {"theirs": "yes"},
    }
    await admin.create(CONFIG_MAPS, namespace, body)

    with pytest.raises(NotOwned):
        await probes(stored_project).keep(stored_project.key, RECORD)

    assert (await admin.get(CONFIG_MAPS, namespace, NAME))["data"] == {"theirs": "yes"}
