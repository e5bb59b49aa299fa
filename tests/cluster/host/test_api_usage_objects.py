"""Objects of the operator besides statuses: Events once, roles repaired, other Jobs unchanged."""

import asyncio

from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import until
from tests.cluster.host.resources import change, create_project, has_condition, request_reconcile

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import (
    CONFIG_MAPS,
    EVENTS,
    JOBS,
    PODS,
    PROJECTS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
)

access = "feature-lineage-runner-ranking"


async def job_of(admin: Api, namespace: str, attempt: int) -> Object:
    """Return the Job of an attempt after it was resumed."""
    status = (
        await until(
            admin,
            PROJECTS,
            namespace,
            "ranking",
            lambda body: (
                _operation(body).get("attempt") == attempt
                and _operation(body).get("phase") == "Running"
            ),
        )
    )["status"]
    return await admin.get(JOBS, namespace, f"{status['operation']['id']}-{attempt}")


def _operation(body: Object | None) -> Object:
    found: Object = (body or {}).get("status", {}).get("operation") or {}
    return found


async def fail(admin: Api, namespace: str, job: Object) -> None:
    """Set the status of its pod to failed."""
    name = job["metadata"]["name"]
    await until(
        admin, JOBS, namespace, name, lambda body: (body or {})["status"].get("active", 0) == 1
    )
    pods = [
        pod
        async for pod in admin.list(PODS, namespace, labels=f"batch.kubernetes.io/job-name={name}")
    ]
    ended = {"exitCode": 1, "reason": "Error", "message": "the disk is full"}
    container = {
        "name": pods[0]["spec"]["containers"][0]["name"],
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": ended},
    }
    status = {"status": {"phase": "Failed", "containerStatuses": [container]}}
    await admin.patch(PODS, namespace, pods[0]["metadata"]["name"], status, subresource="status")


async def the_event(admin: Api, namespace: str, times: int) -> Object:
    """Return the one Event of the project when its count has this value."""
    async with asyncio.timeout(60):
        while True:  # the status is written first, then the Event
            found = [
                event
                async for event in admin.list(EVENTS, namespace)
                if event["regarding"]["name"] == "ranking"
            ]
            assert len(found) <= 1
            if found and found[0].get("series", {}).get("count", 1) == times:
                return found[0]
            await asyncio.sleep(0.2)


def account_of(job: Object) -> str:
    """Return the ServiceAccount of a job; its Role and RoleBinding have the same name."""
    return str(job["spec"]["template"]["spec"]["serviceAccountName"])


async def test_what_happens_again_is_one_event_that_counts(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    operator = await start_operator(resyncInterval="10s")
    await create_project(admin, namespace, runtime={"retries": 3})
    job = await job_of(admin, namespace, 1)
    await fail(admin, namespace, job)
    failed = has_condition("Applied", "JobFailed", "the disk is full", "attempt 2")
    await until(admin, PROJECTS, namespace, "ranking", failed)
    for why in ("once", "twice"):
        event = await the_event(admin, namespace, times=2 if why == "twice" else 1)
        assert (event["type"], event["reason"]) == ("Warning", "JobFailed")
        assert "the disk is full" in event["note"]
        assert event["reportingController"] == "featurelineage.io/operator"
        assert event["regarding"]["kind"] == "FeatureStoreProject"
        if why == "twice":
            return
        assert "series" not in event
        await request_reconcile(admin, PROJECTS, namespace, "ranking", "again")
        await fail(admin, namespace, await job_of(admin, namespace, 2))
        failed = has_condition("Applied", "JobFailed", "the disk is full", "attempt 3")
        await until(admin, PROJECTS, namespace, "ranking", failed)
        assert operator.errors() == []


async def test_changed_access_is_restored_by_the_next_job(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    operator = await start_operator()
    await create_project(admin, namespace)
    first = await job_of(admin, namespace, 1)
    access = account_of(first)
    right = await admin.get(ROLES, namespace, access)
    wide = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    await admin.patch(ROLES, namespace, access, {"rules": [*right["rules"], wide]})
    await admin.delete(SERVICE_ACCOUNTS, namespace, access)
    everybody = {"kind": "Group", "apiGroup": ROLES.group, "name": "system:authenticated"}
    await admin.patch(ROLE_BINDINGS, namespace, access, {"subjects": [everybody]})

    await fail(admin, namespace, first)
    failed = has_condition("Applied", "JobFailed", "attempt 2")
    await until(admin, PROJECTS, namespace, "ranking", failed)
    await request_reconcile(admin, PROJECTS, namespace, "ranking", "again")
    second = await job_of(admin, namespace, 2)

    (rule,) = (await admin.get(ROLES, namespace, access))["rules"]
    reports = [f"{second['metadata']['name']}-report-{piece}" for piece in range(3)]
    assert rule == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": reports,
        "verbs": ["get", "patch"],
    }
    (subject,) = (await admin.get(ROLE_BINDINGS, namespace, access))["subjects"]
    assert (subject["kind"], subject["name"]) == ("ServiceAccount", access)
    account = await admin.get(SERVICE_ACCOUNTS, namespace, access)
    (owner,) = account["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("FeatureStoreProject", "ranking")
    assert operator.errors() == []


async def test_access_of_a_running_job_is_restored(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    operator = await start_operator(resyncInterval="10s")
    await create_project(admin, namespace)
    access = account_of(await job_of(admin, namespace, 1))
    right = await admin.get(ROLES, namespace, access)
    await admin.delete(ROLES, namespace, access)

    again = await until(admin, ROLES, namespace, access, lambda body: body is not None)

    assert again["rules"] == right["rules"]
    assert operator.errors() == []


async def test_a_job_that_a_user_changed_is_kept(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    operator = await start_operator(resyncInterval="10s")
    await create_project(admin, namespace)
    job = await job_of(admin, namespace, 1)
    name = job["metadata"]["name"]
    edit = {
        "metadata": {"labels": {"example.org/team": "a"}},
        "spec": {"activeDeadlineSeconds": 9999},
    }
    edited = await admin.patch(JOBS, namespace, name, edit)
    map_edit = {"metadata": {"labels": {"example.org/team": "a"}}}
    await admin.patch(CONFIG_MAPS, namespace, f"{name}-request", map_edit)

    await change(admin, PROJECTS, namespace, "ranking", runtime={"podLabels": {"a": "b"}})
    await request_reconcile(admin, PROJECTS, namespace, "ranking", "edited")
    await until(
        admin,
        PROJECTS,
        namespace,
        "ranking",
        lambda body: (body or {})["status"].get("lastHandledReconcileAt") == "edited",
    )

    found = await admin.get(JOBS, namespace, name)
    assert found["spec"] == edited["spec"]
    assert found["metadata"]["labels"]["example.org/team"] == "a"
    assert len([each async for each in admin.list(JOBS, namespace)]) == 1
    assert operator.errors() == []
