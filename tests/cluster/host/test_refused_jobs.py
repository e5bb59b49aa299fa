"""A schedule whose job the API server refuses: one operation per tick, an Event, a condition."""

from datetime import UTC, datetime

from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import condition, until
from tests.cluster.host.resources import create_project, request_reconcile

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import EVENTS, PROJECTS

TOO_MUCH = {"requests": {"memory": "4Gi"}, "limits": {"memory": "2Gi"}}
SCHEDULE = {"name": "minutely", "cron": "* * * * *", "incremental": {}, "resources": TOO_MUCH}


def refused(body: Object | None) -> bool:
    operations = body["status"].get("operations", ()) if body else ()
    return any(operation["kind"] == "Materialize" for operation in operations)


async def test_a_refused_schedule_runs_once_for_each_tick(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    await create_project(admin, namespace, apply={"mode": "Observe"}, schedules=[SCHEDULE])
    read = {"id": "r", "digest": "d" * 64, "observedAt": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    status = {"status": {"registry": read}}
    await admin.patch(PROJECTS, namespace, "ranking", status, subresource="status")
    operator = await start_operator()

    found = await until(admin, PROJECTS, namespace, "ranking", refused, 90)
    began = datetime.now(UTC)
    for number in range(20):
        await request_reconcile(admin, PROJECTS, namespace, "ranking", str(number))
        found = await until(
            admin,
            PROJECTS,
            namespace,
            "ranking",
            lambda body, n=str(number): body["status"].get("lastHandledReconcileAt") == n,
        )

    ticks = 1 + (datetime.now(UTC) - began).total_seconds() // 60 + 1
    runs = [op for op in found["status"]["operations"] if op["kind"] == "Materialize"]
    assert 1 <= len(runs) <= ticks
    assert "must be less than or equal to memory limit" in runs[0]["message"]
    assert condition(found, "Materialized")["status"] == "False"
    assert "memory" in condition(found, "Materialized")["message"]
    events = [event async for event in admin.list(EVENTS, namespace)]
    told = [event["note"] for event in events if event["reason"] == runs[0]["reason"]]
    assert any("memory limit" in note for note in told)
    assert operator.errors() == []
