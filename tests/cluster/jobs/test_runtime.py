"""The `spec.runtime` of a project reaches its pods, in a namespace for restricted pods."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from tests.cluster.jobs.scene import Project
from tests.cluster.kubectl import Kubectl

from feature_lineage.errors import RequestRejected
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.kinds import JOBS, PODS

NewProject = Callable[..., Any]


async def test_the_api_server_accepts_every_field_of_runtime(
    admin: Api, jobs: KubeJobs, project: NewProject, kubectl: Kubectl
) -> None:
    priority = f"low-{uuid.uuid4().hex[:6]}"
    kubectl("create", "priorityclass", priority, "--value=-10")
    expression = {"key": "disk", "operator": "In", "values": ["fast"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    runtime = {
        "image": "tenant.example/runner:2",
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "envFrom": [{"prefix": "P_", "secretRef": {"name": "all", "optional": True}}],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "2Gi"}},
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
        "volumeMounts": [
            {"name": "data", "mountPath": "/data", "readOnly": True},
            {"name": "scratch", "mountPath": "/job/scratch"},
        ],
        "podLabels": {"team": "ranking"},
        "podAnnotations": {"note": "x"},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
        "priorityClassName": priority,
        "imagePullSecrets": [{"name": "pull"}],
        "securityContext": {"runAsUser": 1000, "fsGroup": 2000, "supplementalGroups": [3000]},
    }
    git = {
        "url": "https://git.example/repo.git",
        "ref": {"branch": "main"},
        "secretRef": {"name": "token"},
        "caBundle": {"configMapKeyRef": {"name": "ca", "key": "ca.crt"}},
    }
    yaml = {"secretKeyRef": {"name": "store", "key": "feature_store.yaml"}}
    mine: Project = await project(source={"git": git}, featureStoreYaml=yaml, runtime=runtime)
    await jobs.start(mine.request(revision="a" * 40), mine.resource)

    async with asyncio.timeout(30):
        while not (found := [pod async for pod in admin.list(PODS, mine.namespace)]):
            await asyncio.sleep(0.1)
    (pod,) = found
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert container["image"] == runtime["image"]
    assert container["env"][1:] == [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {
            "name": "C",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        },
    ]
    assert container["envFrom"] == runtime["envFrom"]
    assert container["resources"]["limits"] == {"memory": "2Gi"}
    assert {"/data", "/job/scratch", "/etc/feature-lineage/git"} <= {
        mount["mountPath"] for mount in container["volumeMounts"]
    }
    for field in ("nodeSelector", "affinity", "priorityClassName", "imagePullSecrets"):
        assert spec[field] == runtime[field], field
    assert runtime["tolerations"][0] in spec["tolerations"]  # type: ignore[index]
    assert pod["metadata"]["labels"]["team"] == "ranking"
    assert pod["metadata"]["annotations"]["note"] == "x"
    assert spec["securityContext"]["runAsUser"] == 1000
    assert spec["securityContext"]["runAsNonRoot"] is True


async def test_an_invalid_runtime_is_refused_before_the_first_write(
    admin: Api, jobs: KubeJobs, project: NewProject
) -> None:
    wrong = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}
    mine: Project = await project(runtime={"affinity": wrong})
    with pytest.raises(RequestRejected, match="nodeSelectorTerms"):
        await jobs.start(mine.request(), mine.resource)
    assert [job async for job in admin.list(JOBS, mine.namespace)] == []
