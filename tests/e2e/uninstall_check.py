"""Uninstalls the release while the operator runs, and checks what docs/uninstall.md promises.

A project is kept during the uninstall: its first job fails, which is fast, and the operator creates
the same objects for it.
"""

import time
from collections.abc import Callable, Set
from typing import Final

import yaml
from tests.cluster.chart.helm import NAMESPACE, RELEASE
from tests.cluster.kubectl import Kubectl
from tests.e2e.operator import InstalledOperator
from tests.e2e.tenant import grant, secret

from feature_lineage.api import GROUP, VERSION
from feature_lineage.kube.jobs.names import report_names, request_name

SECONDS: Final = 60.0
"""Limit for the deletion of namespaces, and for the garbage collector."""
TENANT: Final = "stays"
PROJECT: Final = "driver"
KINDS: Final = (
    *("namespaces", "pods", "replicasets.apps", "deployments.apps", "jobs.batch", "services"),
    *("configmaps", "secrets", "serviceaccounts", "leases.coordination.k8s.io"),
    *("poddisruptionbudgets.policy", "networkpolicies.networking.k8s.io"),
    *("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
    "customresourcedefinitions",
)
CUSTOM: Final = (f"featurestoreprojects.{GROUP}", f"trainedmodels.{GROUP}")

Objects = Set[str]
"""Each as ``Kind namespace/name``; pods by the name that all pods of their owner share."""

YOURS: Final[Objects] = {
    *(f"CustomResourceDefinition /{name}" for name in CUSTOM),
    f"Lease {NAMESPACE}/{RELEASE}",
    f"Secret {NAMESPACE}/mlflow-prod",
    f"Service {NAMESPACE}/pods",
    f"Secret {TENANT}/own",
    *(f"{kind} {TENANT}/{RELEASE}-secret-own" for kind in ("Role", "RoleBinding")),
    # Objects of Kubernetes itself.
    *(f"ConfigMap {name}/kube-root-ca.crt" for name in (NAMESPACE, TENANT)),
    *(f"ServiceAccount {name}/default" for name in (NAMESPACE, TENANT)),
}
"""Objects that remain until a user deletes them, or that do not belong to the release."""


def cluster_objects(kubectl: Kubectl, *more: str) -> Objects:
    """Return all objects of the cluster that may belong to a release, a project or a team."""
    fields = "{.kind} {.metadata.namespace}/{.metadata.name}"
    rows = f'jsonpath={{range .items[*]}}{fields}{{"\\n"}}{{end}}'
    listed = kubectl("get", ",".join((*KINDS, *more)), "-A", "-o", rows).splitlines()
    return {row.rpartition("-")[0] if row.startswith("Pod ") else row for row in listed}


def check_uninstall(kubectl: Kubectl, operator: InstalledOperator, before: Objects) -> None:
    """Uninstall the release, then delete the remaining project.

    Args:
        before: the objects before the release was installed.

    Raises:
        AssertionError: other objects remain, or the operator logged an error meanwhile.
    """

    def left() -> Objects:
        return cluster_objects(kubectl, *CUSTOM) - before

    job = _failed_project(kubectl)
    homes = {f"Namespace /{name}" for name in (NAMESPACE, TENANT)}
    _until(lambda: {each for each in left() if each.startswith("Namespace ")}, homes)
    operator.uninstall()
    _until(left, homes | YOURS | _of_the_project(job))
    assert operator.log_check.new_errors() == []
    kubectl("-n", TENANT, "delete", "fsp", PROJECT)
    _until(left, homes | YOURS)


def _failed_project(kubectl: Kubectl) -> str:
    """Create a team with a project that is kept; return the name of its job after its end."""
    project = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "FeatureStoreProject",
        "metadata": {"name": PROJECT},
        "spec": {
            "project": PROJECT,
            "source": {"image": {"path": "/nowhere"}},
            "runtime": {"retries": 0},
        },
    }
    kubectl("create", "namespace", TENANT)
    manifests = yaml.safe_dump_all([{"apiVersion": "v1", **secret("own", key="value")}, project])
    kubectl("-n", TENANT, "apply", "-f", "-", stdin=manifests)
    grant(kubectl, TENANT, "own")
    wait = ("wait", f"fsp/{PROJECT}", "--for=condition=Stalled", f"--timeout={SECONDS:.0f}s")
    kubectl("-n", TENANT, *wait, seconds=SECONDS + 10)
    return kubectl("-n", TENANT, "get", "jobs", "-o", "jsonpath={.items[*].metadata.name}")


def _of_the_project(job: str) -> Objects:
    """Objects that exist as long as the project."""
    return {
        f"FeatureStoreProject {TENANT}/{PROJECT}",
        *(f"{kind} {TENANT}/{job}" for kind in ("Job", "Pod")),
        *(f"ConfigMap {TENANT}/{name}" for name in (request_name(job), *report_names(job))),
        *(
            f"{kind} {TENANT}/feature-lineage-runner-{PROJECT}"
            for kind in ("ServiceAccount", "Role", "RoleBinding")
        ),
    }


def _until(found: Callable[[], Objects], expected: Objects) -> None:
    """Return when exactly these objects exist.

    Raises:
        AssertionError: other objects exist after `SECONDS`.
    """
    deadline = time.monotonic() + SECONDS
    while (last := found()) != expected and time.monotonic() < deadline:
        time.sleep(0.5)  # it concerns about twenty kinds

    assert last == expected
