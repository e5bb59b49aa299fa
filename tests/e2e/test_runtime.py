"""The processes of jobs have the `spec.runtime` of their project, and reports may be large."""

import json
from typing import Any

import pytest
from tests.cluster.host.polling import condition, says
from tests.cluster.kubectl import Kubectl
from tests.e2e.conftest import CreateTenant
from tests.e2e.project_fixture import Holds, both, recorded, running
from tests.e2e.tenant import Tenant, secret
from tests.local.scene import FEATURES

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.report import read_report
from feature_lineage.kube.kinds import JOBS, PODS

MARK = "WITNESS "

WITNESS = """
import json
import os
from pathlib import Path


def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":")[1].split() for line in lines if line.startswith(field + ":"))


def memory():
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        if (path := Path("/sys/fs/cgroup", limit)).exists():
            return path.read_text().strip()


def refused(path):
    try:
        Path(path).write_text("x")
    except OSError as error:
        return error.strerror


found = {
    "user": [os.getuid(), os.getgid(), sorted(os.getgroups())],
    "status": {name: status(name) for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")},
    "memory": memory(),
    "env": {key: os.environ.get(key) for key in ("A", "B", "C", "P_X", "HOME")},
    "services": sorted(key for key in os.environ if key.endswith("_SERVICE_HOST")),
    "secret": Path("/secrets/k").read_text(),
    "file": Path("/config/f").read_text(),
    "labels": Path("/about/labels").read_text(),
    "scratch": os.access("/scratch", os.W_OK),
    "refused": [refused(path) for path in ("/x", "/usr/x", "/venv/x", "/secrets/x")],
}
print("WITNESS " + json.dumps(found), flush=True)
"""


async def seen(admin: Api, tenant: Tenant, job: str) -> Any:
    """Return the text that the code of the repo printed for the test."""
    report = await read_report(admin, tenant.namespace, job)
    assert report is not None
    (line,) = (each for each in report.output_tail.splitlines() if each.startswith(MARK))
    return json.loads(line.removeprefix(MARK))


def runtime(priority: str) -> dict[str, Any]:
    fields = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    expression = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "own", "key": "k"}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "own"}}],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
        "volumes": [
            {"name": "secrets", "secret": {"secretName": "own", "defaultMode": 0o440}},
            {"name": "config", "configMap": {"name": "own"}},
            {"name": "about", "downwardAPI": {"items": fields}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "10Mi"}},
        ],
        "volumeMounts": [
            {"name": "secrets", "mountPath": "/secrets", "readOnly": True},
            {"name": "config", "mountPath": "/config", "readOnly": True},
            {"name": "about", "mountPath": "/about"},
            {"name": "scratch", "mountPath": "/scratch"},
        ],
        "podLabels": {"team": "ranking"},
        "podAnnotations": {"note": "x"},
        "nodeSelector": {"kubernetes.io/hostname": "node1"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
        "priorityClassName": priority,
        "imagePullSecrets": [{"name": "own-pull"}],
        "securityContext": {"runAsUser": 1000, "fsGroup": 2000, "supplementalGroups": [3000]},
    }


@pytest.mark.timeout(600)
async def test_a_job_is_what_its_owner_says_on_a_floor_that_stands(
    create_tenant: CreateTenant, admin: Api, kubectl: Kubectl
) -> None:
    tenant = create_tenant("witness")
    priority = f"low-{tenant.namespace}"
    kubectl("create", "priorityclass", priority, "--value=-10")
    tenant.apply(
        secret("own", k="of the secret"),
        {"kind": "ConfigMap", "metadata": {"name": "own"}, "data": {"f": "of the file", "X": "2"}},
    )
    # A taint keeps all other pods off the node, and running pods where they are.
    kubectl("taint", "node", "node1", "gpu=yes:NoSchedule")
    try:
        tenant.commit(WITNESS + FEATURES)
        created = await tenant.create_project(runtime=runtime(priority))
        project = await tenant.until(running)
        name = f"{project['status']['operation']['id']}-1"
        job_is_as_promised(await admin.get(JOBS, tenant.namespace, name), created)
        await tenant.until(both(recorded(1), says("Ready", "True")))
    finally:
        kubectl("taint", "node", "node1", "gpu-")
        kubectl("delete", "priorityclass", priority)
    found = await seen(admin, tenant, name)

    assert found["user"] == [1000, 65532, [2000, 3000, 65532]]
    assert found["status"] == {
        "CapEff": ["0000000000000000"],
        "CapBnd": ["0000000000000000"],
        "NoNewPrivs": ["1"],
        "Seccomp": ["2"],
    }
    assert found["memory"] == str(2**30)
    home = "/job/home"
    assert found["env"] == {"A": "1", "B": "of the secret", "C": "node1", "P_X": "2", "HOME": home}
    assert found["services"] == ["KUBERNETES_SERVICE_HOST"]
    assert (found["secret"], found["file"]) == ("of the secret", "of the file")
    assert 'team="ranking"' in found["labels"]
    assert found["scratch"]
    assert set(found["refused"]) == {"Read-only file system"}
    labels = f"featurelineage.io/operation={name}"
    (pod,) = [each async for each in admin.list(PODS, tenant.namespace, labels=labels)]
    assert pod["metadata"]["annotations"]["note"] == "x"
    assert pod["spec"]["priority"] == -10
    assert pod["spec"]["enableServiceLinks"] is False
    assert {"name": "own-pull"} in pod["spec"]["imagePullSecrets"]

    # The Job expires after its operation was recorded, and not before.
    job = await tenant.until_made(JOBS, name, lambda body: ttl(body) is not None)
    assert ttl(job) == 3600


def ttl(job: Object | None) -> int | None:
    found: int | None = (job or {}).get("spec", {}).get("ttlSecondsAfterFinished")
    return found


def job_is_as_promised(job: Object, project: Object) -> None:
    """The pod of one attempt, which Kubernetes repeats only after a disruption."""
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("FeatureStoreProject", project["metadata"]["uid"])
    spec = job["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 3600 + 300)
    assert ttl(job) is None
    rules = [(each["action"], *sorted(each.keys() - {"action"})) for each in each_rule(spec)]
    assert rules == [("FailJob", "onExitCodes"), ("Ignore", "onPodConditions")]


def each_rule(spec: Object) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = spec["podFailurePolicy"]["rules"]
    return rules


def features(number: int) -> Holds:
    """Return when the project counts this number of features."""
    return lambda body: (body or {}).get("status", {}).get("counts", {}).get("features") == number


def wide(noise: int) -> str:
    """Ten thousand features; `noise` adds incompressible bytes to each."""
    return f"""
import random
from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float32, Int64

dice = random.Random(7)
driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
source = FileSource(
    name="driver_stats", path="data/stats.parquet", timestamp_field="event_timestamp",
)
for view in range(100):
    features = [
        Field(name=f"f{{view}}_{{i}}", dtype=Float32, description=dice.randbytes({noise}).hex())
        for i in range(100)
    ]
    globals()[f"view_{{view}}"] = FeatureView(
        name=f"view_{{view}}", entities=[driver], ttl=timedelta(days=1), source=source,
        schema=[Field(name="driver_id", dtype=Int64), *features], online=False,
    )
"""


@pytest.mark.timeout(900)
async def test_ten_thousand_features_and_a_report_over_the_limit(
    create_tenant: CreateTenant,
) -> None:
    wordless, wordy = create_tenant("wordless"), create_tenant("wordy")
    wordless.commit(wide(0))
    wordy.commit(wide(300))
    await wordless.create_project()
    await wordy.create_project()

    await wordless.until(both(recorded(1), both(says("Ready", "True"), features(10_000))))

    project = await wordy.until(both(recorded(1), says("Applied", "False", "ReportTooLarge")))
    message = condition(project, "Applied")["message"]
    assert "at most" in message
    assert "split the project into smaller ones" in message
