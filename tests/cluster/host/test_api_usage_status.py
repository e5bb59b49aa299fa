"""Statuses are written only if they change, and only from the newest version of the object."""

import asyncio
import re
import time

import pytest
from tests.cluster.controlplane import ControlPlane
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import condition, says, until
from tests.cluster.host.process import Operator
from tests.cluster.host.resources import (
    change,
    create_model,
    create_project,
    handled,
    has_condition,
    observed,
    request_reconcile,
)

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import MODELS, PROJECTS

PASSES = re.compile(
    r'^feature_lineage_reconcile_total\{kind="(\w+)",result="success"\} (\S+)$', re.MULTILINE
)
QUIET_PASSES = 2
HOURLY = {"name": "hourly", "incremental": {}}


async def passes(operator: Operator) -> dict[str, float]:
    """Return the number of successful reconciles, by kind."""
    return {kind: float(count) for kind, count in PASSES.findall(await operator.metrics())}


async def until_passed(operator: Operator, times: int) -> None:
    """Return after each kind had this number of further reconciles."""
    before = await passes(operator)
    async with asyncio.timeout(180):
        while True:
            now = await passes(operator)
            if all(now[kind] >= before[kind] + times for kind in before):
                return
            await asyncio.sleep(0.5)


def version(body: Object) -> str:
    return str(body["metadata"]["resourceVersion"])


def writes(control_plane: ControlPlane, namespace: str) -> list[str]:
    """Return the writes of the operator in a namespace, without those of its Lease."""
    return [
        f"{record.verb} {record.uri}"
        for record in control_plane.audit()
        if record.namespace == namespace
        and record.user.endswith(":feature-lineage-operator")
        and record.verb in ("create", "patch", "update", "delete")
        and record.resource != "leases"
    ]


async def test_what_has_settled_is_looked_at_again_and_not_written(
    admin: Api, namespace: str, start_operator: StartOperator, control_plane: ControlPlane
) -> None:
    operator = await start_operator(resyncInterval="10s")
    await create_project(admin, namespace, source={"local": {"path": "repo"}})
    await create_model(admin, namespace)
    project = await until(admin, PROJECTS, namespace, "ranking", says("Ready", "False"))
    model = await until(admin, MODELS, namespace, "m", says("Resolved", "False", "ProjectNotReady"))
    await until_passed(operator, 1)
    before = writes(control_plane, namespace)

    await until_passed(operator, QUIET_PASSES)

    assert writes(control_plane, namespace) == before
    assert len([one for one in before if one.endswith("/trainedmodels/m/status")]) <= 2
    for kind, name, known in ((PROJECTS, "ranking", project), (MODELS, "m", model)):
        found = await admin.get(kind, namespace, name)
        assert found["status"] == known["status"]
    assert operator.errors() == []


async def test_second_process_writes_no_status(
    admin: Api, namespace: str, start_operator: StartOperator, control_plane: ControlPlane
) -> None:
    first = await start_operator()
    schedule = {"name": "never", "cron": "0 0 30 2 *", "incremental": {}}
    await create_project(admin, namespace, source={"local": {"path": "repo"}})
    await create_project(admin, namespace, "other", schedules=[schedule])
    await create_model(admin, namespace)
    await until(admin, PROJECTS, namespace, "ranking", says("Ready", "False"))
    await until(admin, PROJECTS, namespace, "other", says("Ready", "False", "InvalidManifest"))
    await until(admin, MODELS, namespace, "m", says("Resolved", "False", "ProjectNotReady"))
    assert await first.end() == 0
    before = writes(control_plane, namespace)

    second = await start_operator(resyncInterval="10s")
    await until_lead(second)
    await until_passed(second, 1)

    assert writes(control_plane, namespace) == before
    assert second.errors() == []


async def until_lead(operator: Operator) -> None:
    """Return after the operator has reconciled a resource of each kind."""
    async with asyncio.timeout(60):
        while len(await passes(operator)) < 2:
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("how", ["annotation", "resync"])
async def test_a_status_that_a_user_edits_is_corrected(
    admin: Api, namespace: str, start_operator: StartOperator, how: str
) -> None:
    await start_operator(resyncInterval="10s" if how == "resync" else "10m")
    await create_project(admin, namespace, source={"local": {"path": "repo"}})
    right = await until(admin, PROJECTS, namespace, "ranking", says("Stalled", "True"))
    lie = dict(condition(right, "Ready"), status="True", reason="Succeeded", message="all is well")
    edited = await admin.patch(
        PROJECTS,
        namespace,
        "ranking",
        {"status": {"conditions": [lie], "observedGeneration": 7}},
        subresource="status",
    )
    assert condition(edited, "Ready")["status"] == "True"

    if how == "annotation":
        await request_reconcile(admin, PROJECTS, namespace, "ranking", "edited")

    found = await until(
        admin, PROJECTS, namespace, "ranking", lambda b: says("Stalled", "True")(b) and observed(b)
    )
    assert condition(found, "Ready")["reason"] == condition(right, "Ready")["reason"]
    assert {c["type"] for c in found["status"]["conditions"]} == {
        c["type"] for c in right["status"]["conditions"]
    }


async def test_requested_reconcile_observes_a_new_spec(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    await start_operator()
    await create_project(admin, namespace, source={"local": {"path": "repo"}})
    await create_model(admin, namespace)
    names = ((PROJECTS, "ranking"), (MODELS, "m"))
    for kind, name in names:
        first = await until(admin, kind, namespace, name, observed)
        assert "lastHandledReconcileAt" not in first["status"]
        await request_reconcile(admin, kind, namespace, name, "2026-11-26T04:00:00Z")
        await until(admin, kind, namespace, name, handled("2026-11-26T04:00:00Z"))

    took = []
    for round_ in range(5):
        for kind, name in names:
            began = time.monotonic()
            await change(admin, kind, namespace, name, suspend=round_ % 2 == 0)
            await until(admin, kind, namespace, name, observed)
            took.append(time.monotonic() - began)

    assert sorted(took)[len(took) // 2] < 5  # well below a second on an idle machine


@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [
        ("cron", {"cron": "0 0 30 2 *"}, {"cron": "0 0 1 2 *"}),
        ("timeZone", {"cron": "0 * * * *", "timeZone": "Mars/Olympus"}, {"timeZone": "UTC"}),
    ],
)
async def test_operator_side_errors_are_shown_until_corrected(
    admin: Api,
    namespace: str,
    start_operator: StartOperator,
    field: str,
    wrong: dict[str, str],
    right: dict[str, str],
) -> None:
    operator = await start_operator()
    await create_project(admin, namespace, schedules=[{**HOURLY, **wrong}])
    is_invalid = has_condition("Ready", "InvalidManifest", f"spec.schedules[0].{field}")

    def at_work(body: Object | None) -> bool:
        return (
            has_condition("Ready", "Progressing", "apply-")(body)
            and condition(body, "Stalled") == {}
        )

    for round_ in ("first", "again"):
        found = await until(admin, PROJECTS, namespace, "ranking", is_invalid)
        assert observed(found)
        assert condition(found, "Stalled")["message"] == condition(found, "Ready")["message"]
        assert condition(found, "Reconciling") == {}
        since = condition(found, "Ready")["lastTransitionTime"]
        await request_reconcile(admin, PROJECTS, namespace, "ranking", round_)

        schedule = {**HOURLY, **wrong, **right}
        await change(admin, PROJECTS, namespace, "ranking", schedules=[schedule])
        found = await until(admin, PROJECTS, namespace, "ranking", at_work)
        # Ready was False the whole time.
        assert condition(found, "Ready")["lastTransitionTime"] == since
        await change(admin, PROJECTS, namespace, "ranking", schedules=[{**HOURLY, **wrong}])
    assert operator.errors() == []
