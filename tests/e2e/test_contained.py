"""The code of a tenant has no more permissions than documented: a real job tries attacks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.chart.helm import NAMESPACE, RELEASE
from tests.cluster.host.polling import says
from tests.e2e.conftest import CreateTenant
from tests.e2e.operator import InstalledOperator
from tests.e2e.project_fixture import both, recorded, running
from tests.e2e.tenant import Tenant, secret
from tests.e2e.test_runtime import seen
from tests.local.scene import FEATURES

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import JOBS, Kind

REVIEWS = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview")
INTRUDER = Path(__file__).with_name("intruder.py")
OWN_REPORT = "write its own report"
REFUSED = {
    "write the root": "Read-only file system",
    "write a program": "Read-only file system",
    "write what is mounted": "Read-only file system",
    "write a setting": "Read-only file system",
    "read the host's log": "No such file or directory",
}
"""Error texts of the kernel; "Operation not permitted" for all others."""


async def job_of(tenant: Tenant) -> str:
    project = await tenant.until(running)
    operation = project["status"]["operation"]
    return f"{operation['id']}-{operation['attempt']}"


@pytest.mark.timeout(600)
async def test_code_of_a_repo_gets_nowhere_but_to_its_own_report(
    create_tenant: CreateTenant, admin: Api
) -> None:
    tenant = create_tenant("intruder")
    tenant.apply(secret("not-given", key="value"))
    neighbour = replace(tenant, name="neighbour")
    await neighbour.create_project(
        source={"image": {"path": "/nowhere"}},
        featureStoreYaml=None,
        mlflow=None,
        runtime={"nodeSelector": {"disk": "fast"}},  # its job and its report are kept for long
    )
    near = await job_of(neighbour)
    tries = f"import intruder\n\nintruder.main({tenant.name!r}, {near!r})\n"
    tenant.commit(f"{FEATURES}\n{tries}", **{"feature_repo/intruder.py": INTRUDER.read_text()})
    await tenant.create_project()

    job = await job_of(tenant)
    project = await tenant.until(both(recorded(1), says("Ready", "True")))
    assert project["status"]["operations"][0]["result"] == "Succeeded"
    found = await seen(admin, tenant, job)
    api: dict[str, Any] = found["api"]
    assert api.pop(OWN_REPORT) == 200
    assert api == dict.fromkeys(api, 403)
    kernel = found["kernel"]
    assert kernel == {what: REFUSED.get(what, "Operation not permitted") for what in kernel}
    assert found["setuid"] == "1", "no_new_privs: a set-user-ID program is like any other"
    assert {"containerd", "kubelet"}.isdisjoint(found["processes"])
    assert found["processes"] != []
    # None of the attempts changed anything.
    assert await neighbour.made(JOBS) == [near]


async def test_operator_reads_only_granted_secrets(
    create_tenant: CreateTenant, operator: InstalledOperator, admin: Api
) -> None:
    tenant = create_tenant("trusting")

    async def may(
        verb: str, resource: str, name: str = "", namespace: str = "", **more: str
    ) -> bool:
        user = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
        what = {"verb": verb, "resource": resource, "name": name, "namespace": namespace, **more}
        spec = {"user": user, "resourceAttributes": what}
        return bool((await admin.create(REVIEWS, "", {"spec": spec}))["status"]["allowed"])

    home = tenant.namespace
    assert await may("get", "secrets", "feature-store", home)
    assert not await may("get", "secrets", "not-given", home)
    assert not await may("get", "secrets", "mlflow-prod", NAMESPACE)  # which is mounted
    for namespace in (home, NAMESPACE, "kube-system", ""):
        assert not await may("list", "secrets", namespace=namespace)
        assert not await may("watch", "secrets", namespace=namespace)
        assert not await may("create", "pods", namespace=namespace)
        assert not await may("create", "pods", namespace=namespace, subresource="exec")
        assert not await may("create", "serviceaccounts", namespace=namespace, subresource="token")
        assert not await may("impersonate", "serviceaccounts", namespace=namespace)
        roles = {"namespace": namespace, "group": "rbac.authorization.k8s.io"}
        assert not await may("escalate", "roles", **roles)
        assert not await may("bind", "roles", **roles)

    # It runs where only restricted pods are allowed, like every pod of its release.
    for pod in operator.pods().values():
        (container,) = pod["spec"]["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert not security["allowPrivilegeEscalation"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        volumes = pod["spec"]["volumes"]
        assert [each["secret"]["secretName"] for each in volumes if "secret" in each] == [
            "mlflow-prod"
        ]
        kinds = {next(iter(each.keys() - {"name"})) for each in volumes}
        assert kinds <= {"configMap", "emptyDir", "projected", "secret"}
        assert not any("secretKeyRef" in each.get("valueFrom", {}) for each in container["env"])
