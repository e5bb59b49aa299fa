"""Changes that users make in a test, and the state that must follow despite any fault."""

import asyncio
import difflib
import json
import re
from typing import Any

from tests.cluster.host.polling import gone as gone
from tests.cluster.host.polling import until as until
from tests.cluster.host.process import Operator

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import (
    CONFIG_MAPS,
    JOBS,
    MANAGED_BY,
    MANAGER,
    MODELS,
    PROJECTS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
)

OWNED = (JOBS, CONFIG_MAPS, SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS)
"""The kinds that the operator creates; owners come before owned objects."""

_LAST_ATTEMPT = ("reason", "message")
"""Fields of an operation that say why an earlier attempt could not start; they are not compared."""

PROJECT_NAMES = tuple(f"p{number}" for number in range(4))
MODEL_NAMES = tuple(f"m{number}" for number in range(6))

State = dict[str, Any]


def project(name: str, repo: str = "repo", **spec: Any) -> Object:
    return {
        "apiVersion": PROJECTS.api_version,
        "kind": PROJECTS.kind,
        "metadata": {"name": name},
        "spec": {"project": name, "source": {"configMapRef": {"name": repo}}, **spec},
    }


def model(name: str, of: str, alias: str = "champion") -> Object:
    return {
        "apiVersion": MODELS.api_version,
        "kind": MODELS.kind,
        "metadata": {"name": name},
        "spec": {"projectRef": {"name": of}, "model": {"name": name, "alias": alias}},
    }


async def begin(api: Api, namespace: str) -> None:
    """Create a repo, projects with and without a repo, and models of these projects."""
    repo = {"metadata": {"name": "repo"}, "data": {"feature_store.yaml": "project: p0\n"}}
    await api.create(CONFIG_MAPS, namespace, repo)
    for name in PROJECT_NAMES:
        await api.create(PROJECTS, namespace, project(name, "none" if name == "p3" else "repo"))
    for number, name in enumerate(MODEL_NAMES):
        await api.create(MODELS, namespace, model(name, f"p{number % 5}"))


async def begun(api: Api, namespace: str) -> None:
    """Return after the operator has written a status for each resource."""
    for kind, names in ((PROJECTS, PROJECT_NAMES), (MODELS, MODEL_NAMES)):
        for name in names:
            await until(api, kind, namespace, name, seen)


async def delete(api: Api, namespace: str) -> None:
    """Delete a project without models, a model, and the model of a project that is kept."""
    await api.delete(PROJECTS, namespace, "p2")
    await api.delete(MODELS, namespace, "m2")
    await api.delete(MODELS, namespace, "m0")


async def edit(api: Api, namespace: str) -> None:
    """Change the source of a project, suspend a project, and let a model follow another one."""
    source = {"spec": {"source": {"configMapRef": {"name": "repo"}}}}
    await api.patch(PROJECTS, namespace, "p3", source)
    await api.patch(PROJECTS, namespace, "p1", {"spec": {"suspend": True}})
    await api.patch(MODELS, namespace, "m1", {"spec": {"projectRef": {"name": "nobody"}}})


async def create(api: Api, namespace: str) -> None:
    await api.create(PROJECTS, namespace, project("p4", "none"))
    await api.create(MODELS, namespace, model("m6", "p4"))


async def change(api: Api, namespace: str) -> None:
    """Make all of these changes."""
    await delete(api, namespace)
    await edit(api, namespace)
    await create(api, namespace)


def seen(body: Object | None) -> bool:
    """Whether the status of an object is of its current spec, and no operation of it waits."""
    if body is None:
        return False
    status = body.get("status") or {}
    if status.get("observedGeneration") != body["metadata"]["generation"]:
        return False
    operation = status.get("operation")
    return operation is None or operation.get("phase") == "Running"


async def quiet_state(api: Api, namespace: str) -> State:
    """Return the state when everything is handled and nothing has changed for 2 s."""
    before: State = {}
    while True:
        now = await state(api, namespace)
        if now == before:
            return now
        for kind in (PROJECTS, MODELS):
            async for item in api.list(kind, namespace):
                await until(api, kind, namespace, item["metadata"]["name"], seen)
        before = now
        await asyncio.sleep(2)


async def state(api: Api, namespace: str) -> State:
    """Return all statuses and the names of all created objects, without times and versions.

    Objects of a deleted project are left out: Kubernetes' garbage collector deletes them, and it is
    slow after an outage.
    """
    found: State = {}
    owners: set[str] = set()
    for kind in (PROJECTS, MODELS):
        async for item in api.list(kind, namespace):
            owners.add(item["metadata"]["uid"])
            status = item.get("status") or {}
            for field in _LAST_ATTEMPT:
                (status.get("operation") or {}).pop(field, None)
            text = json.dumps(status, sort_keys=True)
            found[f"{kind.kind}/{item['metadata']['name']}"] = _plain(text, namespace)
    for kind in OWNED:
        async for item in api.list(kind, namespace):
            if "deletionTimestamp" not in item["metadata"] and _ours(item, owners):
                owners.add(item["metadata"]["uid"])
                name = _DIGEST.sub("<digest>", f"{kind.kind}/{item['metadata']['name']}")
                found[name] = found.get(name, 0) + 1
    return found


def _ours(item: Object, owners: set[str]) -> bool:
    """Whether the operator created the object, for an owner that still exists."""
    metadata = item["metadata"]
    if (metadata.get("labels") or {}).get(MANAGED_BY) != MANAGER:
        return False
    references = metadata.get("ownerReferences")
    assert references, f"nobody owns {metadata['name']}: it would stay for ever"
    return any(each["uid"] in owners for each in references)


async def becomes(api: Api, namespace: str, expected: State, seconds: float = 120.0) -> None:
    """Return when the state is as `expected`; otherwise fail with the differences."""
    found: State = {}
    try:
        async with asyncio.timeout(seconds):
            while found != expected:
                if found:
                    await asyncio.sleep(0.25)  # many objects of many kinds: one watch is not enough
                found = await state(api, namespace)
    except TimeoutError:
        raise AssertionError(f"after {seconds:.0f} s:\n{_difference(expected, found)}") from None


def _difference(expected: State, found: State) -> str:
    was, now = (
        json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (expected, found)
    )
    return "\n".join(difflib.unified_diff(was, now, "expected", "found", n=6, lineterm=""))


_DIGEST = re.compile(r"\b[0-9a-f]{12,64}\b")  # the namespace is part of the content
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _plain(text: str, namespace: str) -> Any:
    text = _TIME.sub("<time>", text).replace(namespace, "<namespace>")
    return json.loads(_DIGEST.sub("<digest>", text))


def names_in(metrics: str, namespace: str) -> set[str]:
    """Return the names of the resources in a scrape."""
    lines = (line for line in metrics.splitlines() if f'namespace="{namespace}"' in line)
    return {name for line in lines for name in re.findall(r'\bname="([^"]+)"', line)}


def names(of: State) -> set[str]:
    """Return the names of the custom resources in a state."""
    kinds = (PROJECTS.kind, MODELS.kind)
    return {key.split("/")[1] for key in of if key.split("/")[0] in kinds}


async def until_scrape_shows(
    operator: Operator, namespace: str, expected: set[str], seconds: float = 60.0
) -> None:
    """Return when the metrics contain exactly these resources."""
    found: set[str] = set()
    try:
        async with asyncio.timeout(seconds):
            while (found := names_in(await operator.metrics(), namespace)) != expected:
                await asyncio.sleep(0.25)  # there is no event for a change of the metrics
    except TimeoutError:
        assert found == expected, f"after {seconds:.0f} s"
