"""The finalizer exists only while a deletion has work to do, and blocks no namespace."""

from typing import Any

import pytest
from tests.cluster.chart.environment import new_namespace
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import condition, gone, says, until
from tests.cluster.host.resources import (
    IMAGE,
    Holds,
    change,
    create_model,
    create_project,
    has_condition,
    request_reconcile,
)
from tests.cluster.kubectl import Kubectl

from feature_lineage.api.annotations import FINALIZER
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import JOBS, MODELS, PROJECTS, SECRETS

FOREIGN = "example.org/keeps"


def has_finalizer(wanted: bool) -> Holds:
    return lambda body: (FINALIZER in (body or {})["metadata"].get("finalizers", ())) is wanted


async def test_the_finalizer_comes_and_goes_with_the_deletion_policy(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    operator = await start_operator()
    await create_project(admin, namespace, suspend=True)
    found = await until(admin, PROJECTS, namespace, "ranking", says("Ready", "False", "Suspended"))
    assert "finalizers" not in found["metadata"]
    foreign = {"metadata": {"finalizers": [FOREIGN]}}
    await admin.patch(PROJECTS, namespace, "ranking", foreign)

    for policy, wanted in (
        ("Delete", True),
        ("Retain", False),
        ("Delete", True),
        ("Retain", False),
    ):
        await change(admin, PROJECTS, namespace, "ranking", deletionPolicy=policy)
        found = await until(admin, PROJECTS, namespace, "ranking", has_finalizer(wanted))
        assert FOREIGN in found["metadata"]["finalizers"]

    await admin.patch(PROJECTS, namespace, "ranking", {"metadata": {"finalizers": None}})
    await change(admin, PROJECTS, namespace, "ranking", deletionPolicy="Delete")
    await until(admin, PROJECTS, namespace, "ranking", has_finalizer(True))
    # A user removes the finalizer: the next reconcile of the project adds it again.
    await admin.patch(PROJECTS, namespace, "ranking", {"metadata": {"finalizers": None}})
    await request_reconcile(admin, PROJECTS, namespace, "ranking", "finalizer")
    await until(admin, PROJECTS, namespace, "ranking", has_finalizer(True))
    # The project applied nothing, so there is nothing to delete.
    await admin.delete(PROJECTS, namespace, "ranking")
    await until(admin, PROJECTS, namespace, "ranking", gone)
    assert [job async for job in admin.list(JOBS, namespace)] == []
    assert operator.errors() == []


async def test_retained_resources_need_no_operator_to_go(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    operator = await start_operator()
    await create_project(admin, namespace)
    await create_model(admin, namespace)
    await until(
        admin, PROJECTS, namespace, "ranking", has_condition("Applied", "Progressing", "apply-")
    )
    await until(admin, MODELS, namespace, "m", says("Resolved", "False"))
    assert await operator.end() == 0

    for kind, name in ((MODELS, "m"), (PROJECTS, "ranking")):
        await admin.delete(kind, namespace, name)
        assert await admin.find(kind, namespace, name) is None


APPLIED = {
    "applied": {"revision": "r1", "project": "ranking", "registryId": "registry-1"},
    "observedGeneration": 1,
    "sequence": 1,
}
"""Set the status that follows an apply, so that there is something to delete."""


async def applied_project(admin: Api, namespace: str, **spec: Any) -> Object:
    await create_project(admin, namespace, suspend=True, deletionPolicy="Delete", **spec)
    return await admin.patch(
        PROJECTS, namespace, "ranking", {"status": APPLIED}, subresource="status"
    )


@pytest.mark.parametrize("state", ["whole", "secret gone", "invalid", "job at work"])
async def test_deleted_namespace_does_not_hang(
    admin: Api, kubectl: Kubectl, namespace: str, start_operator: StartOperator, state: str
) -> None:
    theirs = new_namespace(kubectl, f"{namespace}-theirs")
    spec: dict[str, Any] = {}
    if state == "secret gone":
        data = {"feature_store.yaml": "project: ranking\n"}
        await admin.create(SECRETS, theirs, {"metadata": {"name": "s"}, "stringData": data})
        key = {"name": "s", "key": "feature_store.yaml"}
        spec = {"featureStoreYaml": {"secretKeyRef": key}, "source": IMAGE}
    await applied_project(admin, theirs, **spec)
    operator = await start_operator(namespaces=[namespace, theirs])
    await until(admin, PROJECTS, theirs, "ranking", has_finalizer(True))
    if state == "invalid":
        schedule = {"name": "never", "cron": "0 0 30 2 *", "incremental": {}}
        await change(admin, PROJECTS, theirs, "ranking", schedules=[schedule])
        await until(admin, PROJECTS, theirs, "ranking", says("Stalled", "True", "InvalidManifest"))
    if state == "job at work":
        await change(admin, PROJECTS, theirs, "ranking", suspend=False)
        await until(
            admin, PROJECTS, theirs, "ranking", has_condition("Applied", "Progressing", "apply-2")
        )

    kubectl("delete", "namespace", theirs, "--wait=false")

    await until(admin, PROJECTS, theirs, "ranking", gone)
    kubectl("wait", "--for=delete", f"namespace/{theirs}", "--timeout=120s", seconds=150)
    assert any("the namespace is being deleted" in line["message"] for line in operator.lines())
    assert operator.errors() == []


async def test_waiting_deletion_ends_with_its_namespace(
    admin: Api, kubectl: Kubectl, namespace: str, start_operator: StartOperator
) -> None:
    theirs = new_namespace(kubectl, f"{namespace}-theirs")
    await applied_project(admin, theirs, mlflow={"trackingUri": "http://127.0.0.1:9"})
    operator = await start_operator(namespaces=[namespace, theirs])
    await until(admin, PROJECTS, theirs, "ranking", has_finalizer(True))
    await admin.delete(PROJECTS, theirs, "ranking")
    found = await until(
        admin, PROJECTS, theirs, "ranking", has_condition("Ready", "Deleting", "127.0.0.1")
    )
    assert condition(found, "Ready")["status"] == "False"

    kubectl("delete", "namespace", theirs, "--wait=false")

    await until(admin, PROJECTS, theirs, "ranking", gone, 90)
    assert operator.errors() == []
