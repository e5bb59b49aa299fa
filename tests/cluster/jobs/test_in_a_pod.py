"""Real jobs on a simulated node: from the request to the report."""

import asyncio
import base64
import contextlib
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from tests.cluster.jobs.scene import Project, apply_yaml
from tests.cluster.kubectl import Kubectl
from tests.cluster.node import NodeStandIn

from feature_lineage.decide.facts import JobFacts
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.jobs.report import OPENED_BY
from feature_lineage.kube.kinds import CONFIG_MAPS, PODS
from feature_lineage.operations.job_report import Outcome
from feature_lineage.operations.pod_protocol import MANIFEST_KEY, UNFINISHED_KEY
from feature_lineage.operations.protocol import MaterializeRequest
from feature_lineage.reasons import Reason
from feature_lineage.sources.tree import files_revision

NewProject = Callable[..., Any]
STORES = {"volumes": [{"name": "stores", "persistentVolumeClaim": {"claimName": "stores"}}]}
STORES |= {"volumeMounts": [{"name": "stores", "mountPath": "/stores"}]}
JOB_SECONDS = 240.0

FEATURE_STORE = """
project: driver
provider: local
registry: /stores/registry.db
online_store: {type: sqlite, path: /stores/online.db}
offline_store: {type: dask}
entity_key_serialization_version: 3
"""
FEATURES = """
from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource
from feast.types import Float32

driver = Entity(name="driver", join_keys=["driver_id"])
stats = FeatureView(
    name="stats", entities=[driver], ttl=timedelta(days=365),
    schema=[Field(name="conv_rate", dtype=Float32)],
    source=FileSource(path="/stores/stats.parquet", timestamp_field="event_timestamp"),
)
"""


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    """Create the content of the claim ``stores``: a parquet file, and a folder for the stores."""
    folder = tmp_path / "stores"
    folder.mkdir()
    folder.chmod(0o777)
    times = [datetime.now(UTC) - timedelta(hours=hours) for hours in (1, 2)]
    frame = {"driver_id": [1, 2], "event_timestamp": times, "conv_rate": [0.5, 0.25]}
    pd.DataFrame(frame).to_parquet(folder / "stats.parquet")
    return folder


def repo(kubectl: Kubectl, namespace: str, **files: str) -> str:
    """Create a ConfigMap ``repo``, and return its revision."""
    contents = {"feature_store.yaml": FEATURE_STORE, "defs__features.py": FEATURES, **files}
    metadata = {"name": "repo", "namespace": namespace}
    apply_yaml(
        kubectl, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": contents}
    )
    return files_revision({k.replace("__", "/"): v.encode() for k, v in contents.items()})


async def end_of(jobs: KubeJobs, job: str, project: Project) -> JobFacts:
    async with asyncio.timeout(JOB_SECONDS):
        while (facts := await jobs.state(job, project.resource)) is None or facts.running:
            await asyncio.sleep(0.2)
    return facts


async def test_an_apply_and_a_materialization_report_what_they_did(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl, stores: Path
) -> None:
    mine: Project = await project(source={"configMapRef": {"name": "repo"}}, runtime=STORES)
    revision = repo(kubectl, mine.namespace)
    async with NodeStandIn(admin, mine.namespace, claims={"stores": stores}) as node:
        apply = mine.request(revision=revision)
        await jobs.start(apply, mine.resource)
        facts = await end_of(jobs, apply.operation_id, mine)

        assert facts.report is not None, (facts, node.ended)
        assert facts.report.outcome is Outcome.SUCCEEDED, facts.report
        assert facts.report.verified
        assert facts.report.snapshot is not None
        assert [name for _, name, _ in facts.report.snapshot.views()] == ["stats"]
        (printed,) = node.ended.values()
        phases = [json.loads(line)["name"] for line in printed.splitlines()]
        assert phases[0] == "import_feast"
        (pod,) = [pod async for pod in admin.list(PODS, mine.namespace)]
        (container,) = pod["status"]["containerStatuses"]
        words = json.loads(container["state"]["terminated"]["message"])
        assert words["outcome"] == "Succeeded"

        window = MaterializeRequest(
            all_views_start=datetime.now(UTC) - timedelta(days=1), all_views_end=datetime.now(UTC)
        )
        materialize = mine.request("materialize-2-0123456789abcdef-1", materialize=window)
        await jobs.start(materialize, mine.resource)
        facts = await end_of(jobs, materialize.operation_id, mine)

    assert facts.report is not None, (facts, node.ended)
    assert facts.report.outcome is Outcome.SUCCEEDED, facts.report
    (view,) = [view for view in facts.report.views if view.result]
    assert (view.name, view.rows) == ("stats", 2)
    assert (stores / "online.db").stat().st_size > 0


async def test_changed_config_map_stops_the_job(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl
) -> None:
    mine: Project = await project(source={"configMapRef": {"name": "repo"}})
    revision = repo(kubectl, mine.namespace)
    repo(kubectl, mine.namespace, more="1")
    async with NodeStandIn(admin, mine.namespace) as node:
        await jobs.start(mine.request(revision=revision), mine.resource)
        facts = await end_of(jobs, mine.request().operation_id, mine)

    assert facts.report is not None, (facts, node.ended)
    assert facts.report.outcome is Outcome.STEPPED_BACK
    assert "changed since" in facts.report.message


async def test_a_cancelled_job_that_runs_reports_interrupted(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl, stores: Path
) -> None:
    mine: Project = await project(source={"configMapRef": {"name": "repo"}}, runtime=STORES)
    slow = f"import time\ntime.sleep({JOB_SECONDS})\n{FEATURES}"
    request = mine.request(revision=repo(kubectl, mine.namespace, **{"defs__features.py": slow}))
    async with NodeStandIn(admin, mine.namespace, claims={"stores": stores}) as node:
        await jobs.start(request, mine.resource)
        name = request.operation_id
        async with asyncio.timeout(JOB_SECONDS):
            while not ((facts := await jobs.state(name, mine.resource)) and facts.begun):
                await asyncio.sleep(0.2)
        await jobs.cancel(name, mine.resource, "Interrupted: the job yields to Observe")
        facts = await jobs.state(name, mine.resource)
        assert facts is not None
        assert facts.cancelled
        facts = await end_of(jobs, name, mine)

    assert facts.cancelled
    if facts.report is None:  # SIGTERM came before the runner could report
        assert not facts.begun, (facts, node.ended)
    else:
        assert facts.report.reason == "Interrupted", facts.report


async def test_stores_on_the_jobs_own_disk_are_refused(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl
) -> None:
    mine: Project = await project(source={"configMapRef": {"name": "repo"}})
    text = FEATURE_STORE.replace("/stores/", "data/")
    revision = repo(kubectl, mine.namespace, **{"feature_store.yaml": text})
    async with NodeStandIn(admin, mine.namespace) as node:
        await jobs.start(mine.request(revision=revision), mine.resource)
        facts = await end_of(jobs, mine.request().operation_id, mine)

    assert facts.report is not None, (facts, node.ended)
    assert facts.report.reason == "EphemeralStore"
    assert "/job/repo/data/registry.db" in facts.report.message


async def test_feature_store_yaml_in_a_secret_is_read_by_the_job(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl, stores: Path
) -> None:
    key = {"secretKeyRef": {"name": "store", "key": "feature_store.yaml"}}
    mine: Project = await project(
        source={"configMapRef": {"name": "repo"}}, featureStoreYaml=key, runtime=STORES
    )
    revision = repo(kubectl, mine.namespace, **{"feature_store.yaml": "project: another"})
    text = f"{FEATURE_STORE}# s3cr3t-word\n"
    apply_yaml(
        kubectl,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "store", "namespace": mine.namespace},
            "stringData": {"feature_store.yaml": text},
        },
    )
    async with NodeStandIn(admin, mine.namespace, claims={"stores": stores}) as node:
        # The field that only the caller knows is not in the request either.
        request = mine.request(revision=revision, feature_store_yaml=text)
        await jobs.start(request, mine.resource)
        facts = await end_of(jobs, request.operation_id, mine)

    assert facts.report is not None, (facts, node.ended)
    assert facts.report.outcome is Outcome.SUCCEEDED, facts.report
    order = (await _order(admin, mine, request.operation_id)).decode()
    assert "s3cr3t-word" not in order
    assert "/etc/feature-lineage/feature-store/feature_store.yaml" in order


async def test_a_pod_that_gets_sigterm_reports_interrupted(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl, stores: Path
) -> None:
    mine: Project = await project(source={"configMapRef": {"name": "repo"}}, runtime=STORES)
    slow = "import time\nprint('here')\ntime.sleep(600)\n"
    revision = repo(kubectl, mine.namespace, **{"defs__slow.py": slow})
    request = mine.request(revision=revision)
    async with NodeStandIn(admin, mine.namespace, claims={"stores": stores}) as node:
        await jobs.start(request, mine.resource)
        async with asyncio.timeout(JOB_SECONDS):
            while "import_repo" not in node.printed():
                assert not node.ended, node.ended
                await asyncio.sleep(0.2)
        pods = [pod["metadata"]["name"] async for pod in admin.list(PODS, mine.namespace)]
        kubectl("delete", "pod", *pods, "-n", mine.namespace, "--wait=false")
        facts = await end_of(jobs, request.operation_id, mine)

    assert facts.report is not None, (facts, node.ended)
    assert facts.report.reason == Reason.INTERRUPTED


@pytest.mark.parametrize("damage", ["emptied", "tampered with", "deleted"])
async def test_a_damaged_report_is_a_failure_that_is_retried(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl, damage: str
) -> None:
    mine: Project = await project(source={"configMapRef": {"name": "repo"}})
    repo(kubectl, mine.namespace)
    request = mine.request(revision="sha256:another")
    async with NodeStandIn(admin, mine.namespace):
        await jobs.start(request, mine.resource)
        assert (await end_of(jobs, request.operation_id, mine)).report is not None
    name = f"{request.operation_id}-report-0"
    if damage == "deleted":
        kubectl("delete", "configmap", name, "-n", mine.namespace)
    elif damage == "emptied":
        await admin.patch(CONFIG_MAPS, mine.namespace, name, {"data": {MANIFEST_KEY: None}})
    else:
        body = {"binaryData": {"report.json.gz": "H4sIAAAAAAAAAA=="}}
        await admin.patch(CONFIG_MAPS, mine.namespace, name, body)

    facts = await jobs.state(request.operation_id, mine.resource)

    assert facts is not None
    assert (facts.running, facts.report, facts.reason) == (False, None, "JobFailed")
    assert facts.message


async def _order(admin: Api, project: Project, job: str) -> bytes:
    found = await admin.get(CONFIG_MAPS, project.namespace, f"{job}-request")
    return gzip.decompress(base64.b64decode(found["binaryData"]["request.json.gz"]))


DEADLY = """
from feast import BatchFeatureView

from defs.features import Field, FileSource, Float32, driver, timedelta

def hang(frame):
    import signal
    open("/stores/here", "w").close()
    signal.pause()

victim = BatchFeatureView(
    name="victim", entities=[driver], schema=[Field(name="conv_rate", dtype=Float32)],
    source=FileSource(path="/stores/stats.parquet", timestamp_field="event_timestamp", name="s"),
    ttl=timedelta(days=365), mode="pandas", udf=hang, udf_string="hang", online=True,
)
"""


async def test_a_killed_pod_says_which_views_succeeded(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl, stores: Path
) -> None:
    mine: Project = await project(source={"configMapRef": {"name": "repo"}}, runtime=STORES)
    revision = repo(kubectl, mine.namespace, **{"defs__victim.py": DEADLY})
    async with NodeStandIn(admin, mine.namespace, claims={"stores": stores}) as node:
        apply = mine.request(revision=revision)
        await jobs.start(apply, mine.resource)
        facts = await end_of(jobs, apply.operation_id, mine)
        assert facts.report is not None, (facts, node.ended)
        assert facts.report.outcome is Outcome.SUCCEEDED, facts.report

        window = MaterializeRequest(
            all_views_start=datetime.now(UTC) - timedelta(days=1), all_views_end=datetime.now(UTC)
        )
        materialize = mine.request("materialize-2-0123456789abcdef-1", materialize=window)
        await jobs.start(materialize, mine.resource)
        async with asyncio.timeout(JOB_SECONDS):
            while not (stores / "here").exists():
                assert not any("materialize" in name for name in node.ended), node.ended
                await asyncio.sleep(0.2)
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # of another pod, and just ended
                if "feature_lineage.runner.pod" in process.cmdline():
                    process.kill()  # process 1 of the container, from outside
        facts = await end_of(jobs, materialize.operation_id, mine)

    assert facts.report is not None, (facts, node.ended)
    assert (facts.report.outcome, facts.report.reason) == (Outcome.FAILED, "JobFailed")
    assert "the job's container ended with exit code" in facts.report.message
    assert "while it materialized view 'victim', and 1 of 2 views" in facts.report.message
    found = {view.name: view for view in facts.report.views}
    assert (found["stats"].result, found["stats"].rows) == ("Succeeded", 2)
    assert (found["victim"].result, found["victim"].killed) == ("Failed", True)
    (config_map,) = [
        each
        async for each in admin.list(CONFIG_MAPS, mine.namespace)
        if UNFINISHED_KEY in (each.get("binaryData") or {})
    ]
    assert OPENED_BY not in (config_map["metadata"].get("annotations") or {})
