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
"""What the operator makes, owners before what they own."""

_LAST_ATTEMPT = ("reason", "message")
"""Of an operation: why the attempt before could not be started. The end is the same without."""

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
    """A repo, projects with jobs to run and one without its repo, and models of them."""
    repo = {"metadata": {"name": "repo"}, "data": {"feature_store.yaml": "project: p0\n"}}
    await api.create(CONFIG_MAPS, namespace, repo)
    for name in PROJECT_NAMES:
        await api.create(PROJECTS, namespace, project(name, "none" if name == "p3" else "repo"))
    for number, name in enumerate(MODEL_NAMES):
        await api.create(MODELS, namespace, model(name, f"p{number % 5}"))


async def begun(api: Api, namespace: str) -> None:
    """Return once the operator has written a status for each resource."""
    for kind, names in ((PROJECTS, PROJECT_NAMES), (MODELS, MODEL_NAMES)):
        for name in names:
            await until(api, kind, namespace, name, seen)


async def delete(api: Api, namespace: str) -> None:
    """A project without a model, a model, and the model of a project that stays."""
    await api.delete(PROJECTS, namespace, "p2")
    await api.delete(MODELS, namespace, "m2")
    await api.delete(MODELS, namespace, "m0")


async def edit(api: Api, namespace: str) -> None:
    """A source that is another one now, a project that rests, a model that follows another."""
    source = {"spec": {"source": {"configMapRef": {"name": "repo"}}}}
    await api.patch(PROJECTS, namespace, "p3", source)
    await api.patch(PROJECTS, namespace, "p1", {"spec": {"suspend": True}})
    await api.patch(MODELS, namespace, "m1", {"spec": {"projectRef": {"name": "nobody"}}})


async def create(api: Api, namespace: str) -> None:
    await api.create(PROJECTS, namespace, project("p4", "none"))
    await api.create(MODELS, namespace, model("m6", "p4"))


async def change(api: Api, namespace: str) -> None:
    """All of it."""
    await delete(api, namespace)
    await edit(api, namespace)
    await create(api, namespace)


def seen(body: Object | None) -> bool:
    """Whether the operator has told what it thinks of an object as it is now."""
    if body is None:
        return False
    status = body.get("status") or {}
    if status.get("observedGeneration") != body["metadata"]["generation"]:
        return False
    operation = status.get("operation")
    return operation is None or operation.get("phase") == "Running"


async def quiet_state(api: Api, namespace: str) -> State:
    """The state once everything is seen and nothing has changed for two seconds."""
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
    """All statuses, and the names of all that was made, without times and versions.

    What belongs to a project that is gone is Kubernetes' garbage collector's, which takes its
    time after an outage.
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
    """Whether the operator made it, and for something that is still there."""
    metadata = item["metadata"]
    if (metadata.get("labels") or {}).get(MANAGED_BY) != MANAGER:
        return False
    references = metadata.get("ownerReferences")
    assert references, f"nobody owns {metadata['name']}: it would stay for ever"
    return any(each["uid"] in owners for each in references)


async def becomes(api: Api, namespace: str, expected: State, seconds: float = 120.0) -> None:
    """Return once all is as `expected`; else fail with what differs."""
    found: State = {}
    try:
        async with asyncio.timeout(seconds):
            while found != expected:
                if found:
                    await asyncio.sleep(0.25)  # many objects of many kinds: no one watch tells
                found = await state(api, namespace)
    except TimeoutError:
        raise AssertionError(f"after {seconds:.0f} s:\n{_difference(expected, found)}") from None


def _difference(expected: State, found: State) -> str:
    was, now = (
        json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (expected, found)
    )
    return "\n".join(difflib.unified_diff(was, now, "expected", "found", n=6, lineterm=""))


_DIGEST = re.compile(r"\b[0-9a-f]{12,64}\b")  # of what is in it, the namespace is a part
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _plain(text: str, namespace: str) -> Any:
    text = _TIME.sub("<time>", text).replace(namespace, "<namespace>")
    return json.loads(_DIGEST.sub("<digest>", text))


def names_in(metrics: str, namespace: str) -> set[str]:
    """Names of the resources that a scrape tells of."""
    lines = (line for line in metrics.splitlines() if f'namespace="{namespace}"' in line)
    return {name for line in lines for name in re.findall(r'\bname="([^"]+)"', line)}


def names(of: State) -> set[str]:
    """Names of the custom resources of a state."""
    kinds = (PROJECTS.kind, MODELS.kind)
    return {key.split("/")[1] for key in of if key.split("/")[0] in kinds}


async def until_scrape_shows(
    operator: Operator, namespace: str, expected: set[str], seconds: float = 60.0
) -> None:
    """Return once the metrics tell of exactly these resources."""
    found: set[str] = set()
    try:
        async with asyncio.timeout(seconds):
            while (found := names_in(await operator.metrics(), namespace)) != expected:
                await asyncio.sleep(0.25)  # nothing tells when a scrape would change
    except TimeoutError:
        assert found == expected, f"after {seconds:.0f} s"
