"""A missing permission is named in the status or log, and work continues once it is granted."""

import asyncio
import contextlib
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cluster.chart.helm import Object
from tests.cluster.existing import Cluster
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.permissions import (
    Account,
    Permission,
    granted,
    granted_at_home,
    make_account,
)
from tests.cluster.host.polling import condition, says, until
from tests.cluster.host.process import Operator
from tests.cluster.host.resources import (
    IMAGE,
    create_project,
    has_condition,
    observed,
    request_reconcile,
    running,
)
from tests.cluster.kubectl import Kubectl

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import CONFIG_MAPS, JOBS, PROJECTS, SECRETS

BATCH, RBAC, OURS = "batch", "rbac.authorization.k8s.io", "featurelineage.io"

# In the order in which a job needs them.
OF_A_JOB = (
    Permission(BATCH, "jobs", "get"),
    Permission("", "pods", "list"),
    Permission(BATCH, "jobs", "create"),
    Permission("", "configmaps", "create"),
    Permission("", "serviceaccounts", "get"),
    Permission("", "serviceaccounts", "patch"),
    Permission("", "serviceaccounts", "create"),
    Permission(RBAC, "roles", "get"),
    Permission(RBAC, "roles", "patch"),
    Permission("", "configmaps", "patch"),
    Permission(RBAC, "roles", "create"),
    Permission(RBAC, "rolebindings", "get"),
    Permission(RBAC, "rolebindings", "patch"),
    Permission(RBAC, "rolebindings", "create"),
    Permission(BATCH, "jobs", "patch"),
)
PASSED_ON = Permission("", "configmaps", "patch")
"""RBAC lets an account grant only its own permissions: the jobs of a project patch their report."""

StartWithout = Callable[..., Awaitable[tuple[Operator, Account, set[Permission]]]]


@pytest.fixture
async def start_without(
    admin: Api,
    cluster: Cluster,
    namespace: str,
    chart_objects: list[Object],
    start_operator: StartOperator,
) -> StartWithout:
    """Start an operator with all permissions of the chart except these, and its own `config`."""

    async def start(
        *missing: Permission, **config: Any
    ) -> tuple[Operator, Account, set[Permission]]:
        everything = granted(chart_objects) | granted_at_home(chart_objects)
        assert set(missing) <= everything
        account = await make_account(admin, cluster, namespace)
        await account.may(everything - set(missing))
        operator = await start_operator(
            kubeconfig=account.kubeconfig, environment=account.environment, **config
        )
        return operator, account, everything - set(missing)

    return start


TRIES_SEEN = 120
"""In tenths of a second: the list is repeated every 5 s."""


async def test_missing_permission_is_named_by_the_condition(
    admin: Api, namespace: str, start_without: StartWithout
) -> None:
    operator, account, has = await start_without(*OF_A_JOB)
    await create_project(admin, namespace)

    for permission in OF_A_JOB:
        passed_on = "attempting to grant RBAC permissions not currently held"
        words = passed_on if permission == PASSED_ON else permission.refusal
        found = await until(
            admin, PROJECTS, namespace, "ranking", has_condition("Applied", "Forbidden", words)
        )
        assert condition(found, "Ready")["reason"] == "Forbidden"
        assert condition(found, "Stalled") == {}
        has |= {permission}
        await account.may(has)
        await request_reconcile(
            admin, PROJECTS, namespace, "ranking", f"{permission.verb}-{permission.resource}"
        )

    found = await until(admin, PROJECTS, namespace, "ranking", running)
    jobs = [job async for job in admin.list(JOBS, namespace)]
    assert [job["spec"]["suspend"] for job in jobs] == [False]
    assert found["status"]["operation"]["attempt"] == 1
    assert operator.errors() == []


async def test_unreadable_source_names_the_permission(
    admin: Api, namespace: str, start_without: StartWithout
) -> None:
    missing = Permission("", "configmaps", "get")
    operator, account, has = await start_without(missing)
    data = {"feature_store.yaml": "project: ranking\n"}
    await admin.create(CONFIG_MAPS, namespace, {"metadata": {"name": "repo"}, "data": data})
    await create_project(admin, namespace, source={"configMapRef": {"name": "repo"}})

    refused = has_condition("SourceReady", "Forbidden", "configmaps", missing.refusal)
    found = await until(admin, PROJECTS, namespace, "ranking", refused)
    assert condition(found, "Ready")["reason"] == "Forbidden"

    await account.may(has | {missing})
    await request_reconcile(admin, PROJECTS, namespace, "ranking", "granted")
    await until(admin, PROJECTS, namespace, "ranking", says("SourceReady", "True"))
    assert operator.errors() == []


@pytest.mark.parametrize("who", ["featureStoreYaml", "mlflow"])
async def test_named_grant_command_makes_the_secret_readable(
    admin: Api, namespace: str, kubectl: Kubectl, start_without: StartWithout, who: str
) -> None:
    operator, _, _ = await start_without()
    data = {"feature_store.yaml": "project: ranking\n", "username": "u", "password": "p"}
    await admin.create(SECRETS, namespace, {"metadata": {"name": "login"}, "stringData": data})
    if who == "mlflow":
        where, words = "Applied", ("GuardUnavailable", "feature-lineage grant login")
        basic = {"basic": {"secretRef": {"name": "login"}}}
        spec: dict[str, Any] = {
            "source": IMAGE,
            "mlflow": {"trackingUri": "http://127.0.0.1:9", "auth": basic},
        }
    else:
        where, words = "SourceReady", ("SecretForbidden", "feature-lineage grant login")
        key = {"name": "login", "key": "feature_store.yaml"}
        spec = {"source": IMAGE, "featureStoreYaml": {"secretKeyRef": key}}
    await create_project(admin, namespace, **spec)
    found = await until(admin, PROJECTS, namespace, "ranking", has_condition(where, *words))

    message = condition(found, where)["message"]
    command = message[message.index("feature-lineage grant") :]
    grant, _, apply = command.partition(" | ")
    assert apply.startswith("kubectl apply -f -")
    program, *arguments = shlex.split(grant)
    run = [str(Path(sys.executable).with_name(program)), *arguments]
    manifests = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    kubectl("apply", "-f", "-", stdin=manifests)
    await request_reconcile(admin, PROJECTS, namespace, "ranking", "granted")

    if who == "mlflow":
        # The server does not answer the second read either.
        unanswered = has_condition("Applied", "GuardUnavailable", "127.0.0.1:9")
        await until(admin, PROJECTS, namespace, "ranking", unanswered)
    else:
        await until(admin, PROJECTS, namespace, "ranking", says("SourceReady", "True"))
    assert operator.errors() == []


async def test_missing_list_permission_makes_it_unready(
    admin: Api, namespace: str, start_without: StartWithout
) -> None:
    missing = Permission(OURS, "trainedmodels", "list")
    operator, account, has = await start_without(missing, ready=False)
    async with httpx.AsyncClient(base_url=operator.url, timeout=30) as client:
        await until_refused(client, missing)

        assert (await client.get("/healthz")).status_code == 200
        lines = [line for line in operator.lines() if missing.refusal in line["message"]]
        assert len(lines) == 1

    await account.may(has | {missing})
    await operator.ready()
    assert operator.process is not None
    assert operator.process.returncode is None
    assert operator.errors() == []


async def until_refused(client: httpx.AsyncClient, missing: Permission) -> None:
    """Return after the readiness probe has failed with this text for longer than one retry."""
    seen = 0
    async with asyncio.timeout(90):
        while seen < TRIES_SEEN:
            with contextlib.suppress(httpx.TransportError):  # its port is not open yet
                answer = await client.get("/readyz")
                seen += answer.status_code == 503 and missing.refusal in answer.text
            await asyncio.sleep(0.1)


async def logged(operator: Operator, words: str) -> None:
    """Return after the operator has logged a line with these words."""
    try:
        async with asyncio.timeout(60):
            while not any(words in line["message"] for line in operator.lines()):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{words!r} is not in:\n{operator.log.read_text()}") from None


async def test_forbidden_status_write_is_logged(
    admin: Api, namespace: str, start_without: StartWithout
) -> None:
    missing = Permission(OURS, "featurestoreprojects/status", "patch")
    operator, account, has = await start_without(missing)
    await create_project(admin, namespace)
    await logged(operator, missing.refusal)

    jobs = [job async for job in admin.list(JOBS, namespace)]
    assert jobs == []
    await account.may(has | {missing})
    await until(admin, PROJECTS, namespace, "ranking", says("Applied", "False", "Progressing"))
    lines = [line for line in operator.lines() if missing.refusal in line["message"]]
    assert 1 <= len(lines) <= 12
    assert {line["level"] for line in lines} == {"warning"}
    assert operator.errors() == []


async def test_forbidden_lease_is_named_and_stops_all_work(
    admin: Api, namespace: str, start_without: StartWithout
) -> None:
    missing = Permission("coordination.k8s.io", "leases", "create")
    operator, account, has = await start_without(missing)
    await create_project(admin, namespace)
    await logged(operator, missing.refusal)
    body = await admin.get(PROJECTS, namespace, "ranking")
    assert not observed(body)
    await account.may(has | {missing})
    await until(admin, PROJECTS, namespace, "ranking", says("Applied", "False", "Progressing"))
