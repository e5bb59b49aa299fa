"""Two namespaces with the same Feast project: the older resource does not stop the other."""

import json

from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import says, until
from tests.cluster.host.resources import create_project

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import JOBS, PROJECTS, Kind

NAMESPACES = Kind("", "v1", "namespaces", "Namespace")


def works(body: Object | None) -> bool:
    return bool((body or {}).get("status", {}).get("operation"))


async def test_a_namesake_without_a_source_stops_nobody(
    admin: Api, namespace: str, start_operator: StartOperator
) -> None:
    other = f"a-{namespace}"  # of two resources of the same second, the first by name is older
    await admin.create(NAMESPACES, "", {"metadata": {"name": other}})
    await create_project(admin, other, source={"configMapRef": {"name": "nowhere"}})
    await create_project(admin, namespace)
    operator = await start_operator(namespaces=[namespace, other])

    await until(admin, PROJECTS, other, "ranking", says("SourceReady", "False", "RefNotFound"))
    found = await until(admin, PROJECTS, namespace, "ranking", works)

    job = f"{found['status']['operation']['id']}-1"
    assert await until(admin, JOBS, namespace, job, lambda body: body is not None)
    assert other not in json.dumps(found)
    assert operator.errors() == []
