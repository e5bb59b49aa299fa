"""An operator that has only the permissions for jobs, a project, and requests."""

import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.cluster.existing import Cluster
from tests.cluster.jobs.scene import OPERATOR_RULES, Project, apply_yaml
from tests.cluster.kubectl import Kubectl

from feature_lineage.kube.api_client import Api, connect
from feature_lineage.kube.jobs.kube_jobs import KubeJobs
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults


@pytest.fixture(scope="session")
def operator_account(cluster: Cluster) -> str:
    """Kubeconfig of an account with `OPERATOR_RULES` in all namespaces."""
    name = f"operator-{uuid.uuid4().hex[:6]}"
    kubectl = cluster.kubectl
    kubectl("create", "namespace", name)
    kubectl("create", "serviceaccount", "operator", "-n", name)
    apply_yaml(
        kubectl,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": OPERATOR_RULES,
        },
    )
    account = f"--serviceaccount={name}:operator"
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", account)
    return str(cluster.service_account_kubeconfig(name, "operator"))


@pytest.fixture
async def operator(operator_account: str) -> AsyncIterator[Api]:
    async with await connect(operator_account) as api:
        yield api


@pytest.fixture
def jobs(operator: Api) -> KubeJobs:
    return KubeJobs(operator, RunnerDefaults(image="runner.example/runner:1"))


@pytest.fixture
def restricted(kubectl: Kubectl, namespace: str) -> str:
    """The namespace, which enforces the pod security standard ``restricted``."""
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    return namespace


@pytest.fixture
async def project(admin: Api, restricted: str) -> Callable[..., Any]:
    """Create a FeatureStoreProject in the namespace; the arguments are fields of its spec."""

    async def create(name: str = "driver", **spec: Any) -> Project:
        return await Project.create(admin, restricted, name, spec)

    return create
