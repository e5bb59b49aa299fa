"""References to other namespaces: a model without permission learns nothing about the project."""

import re

from tests.cluster.chart.environment import new_namespace
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import says, until
from tests.cluster.host.resources import change, create_model, create_project, has_condition
from tests.cluster.kubectl import Kubectl

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import EVENTS, MODELS, PROJECTS


async def unresolved_status(admin: Api, namespace: str, name: str) -> Object:
    """The status of a model that is not resolved, without the fields that always differ."""
    found = await until(
        admin, MODELS, namespace, name, says("Resolved", "False", "RefNotPermitted")
    )
    conditions = [
        {key: value for key, value in each.items() if key != "lastTransitionTime"}
        for each in found["status"]["conditions"]
    ]
    return {**found["status"], "conditions": conditions}


async def test_missing_and_forbidden_projects_read_the_same(
    admin: Api, kubectl: Kubectl, namespace: str, start_operator: StartOperator
) -> None:
    theirs, empty = (new_namespace(kubectl, f"{namespace}-{name}") for name in ("theirs", "empty"))
    operator = await start_operator(namespaces=[namespace, theirs, empty])
    await create_project(admin, theirs, source={"local": {"path": "repo"}})
    await until(admin, PROJECTS, theirs, "ranking", says("Ready", "False"))

    for name, there in (("hidden", theirs), ("absent", empty)):
        reference = {"name": "ranking", "namespace": there}
        model = {"name": "m", "alias": "champion"}
        await create_model(admin, namespace, name, projectRef=reference, model=model)
    hidden, absent = [
        await unresolved_status(admin, namespace, name) for name in ("hidden", "absent")
    ]

    assert hidden == absent
    text = await operator.metrics()
    about = [
        sorted(
            re.sub(r" \S+$", "", line.replace(name, "NAME").replace(there, "THERE"))
            for line in text.splitlines()
            if f'"{name}"' in line
        )
        for name, there in (("hidden", theirs), ("absent", empty))
    ]
    assert about[0] == about[1] != []
    events = [event async for event in admin.list(EVENTS, namespace)]
    assert [e for e in events if e["regarding"]["name"] in ("hidden", "absent")] == []
    assert operator.errors() == []


async def test_changed_allowed_namespaces_update_models(
    admin: Api, kubectl: Kubectl, namespace: str, start_operator: StartOperator
) -> None:
    theirs = new_namespace(kubectl, f"{namespace}-theirs")
    await start_operator(namespaces=[namespace, theirs], resyncInterval="10m")
    await create_project(admin, theirs, source={"local": {"path": "repo"}})
    await create_model(admin, namespace, projectRef={"name": "ranking", "namespace": theirs})
    await until(admin, MODELS, namespace, "m", says("Resolved", "False", "RefNotPermitted"))

    for allowed in ({"from": "List", "names": [namespace]}, {"from": "All", "names": None}):
        await change(admin, PROJECTS, theirs, "ranking", allowedNamespaces=allowed)
        await until(admin, MODELS, namespace, "m", has_condition("Resolved", "ProjectNotReady"), 20)
        same = {"from": "Same", "names": None}
        await change(admin, PROJECTS, theirs, "ranking", allowedNamespaces=same)
        await until(admin, MODELS, namespace, "m", has_condition("Resolved", "RefNotPermitted"), 20)
