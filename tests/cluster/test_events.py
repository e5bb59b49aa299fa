"""Events, as the API server stores them and kubectl prints them."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.cluster.existing import Cluster
from tests.cluster.kubectl import Kubectl

from feature_lineage.decide.facts import Event, Key
from feature_lineage.kube.api_client import Api, connect
from feature_lineage.kube.api_errors import Forbidden
from feature_lineage.kube.kinds import EVENTS, PROJECTS
from feature_lineage.kube.kube_events import KubeEvents


class UtcClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def project(name: str) -> dict[str, Any]:
    return {
        "apiVersion": PROJECTS.api_version,
        "kind": PROJECTS.kind,
        "metadata": {"name": name},
        "spec": {
            "project": "ranking",
            "source": {"git": {"url": "https://git.example/x", "ref": {"branch": "main"}}},
            "mlflow": {"trackingUri": "http://mlflow:5000"},
        },
    }


async def created(admin: Api, namespace: str, name: str = "ranking") -> tuple[Key, str]:
    """The key and uid of a project."""
    made = await admin.create(PROJECTS, namespace, project(name))
    return Key("FeatureStoreProject", namespace, name), made["metadata"]["uid"]


def events_of(api: Api, uid: str = "", identity: str = "operator-0") -> KubeEvents:
    return KubeEvents(api, UtcClock(), identity, lambda _: uid)


async def written(admin: Api, namespace: str) -> list[dict[str, Any]]:
    return [event async for event in admin.list(EVENTS, namespace)]


def matching(pattern: str, lines: list[str]) -> bool:
    """Whether exactly one line matches."""
    return [re.fullmatch(pattern, line) is not None for line in lines].count(True) == 1


async def test_kubectl_describe_shows_them_below_their_resource(
    admin: Api, namespace: str, kubectl: Kubectl
) -> None:
    key, uid = await created(admin, namespace)
    events = events_of(admin, uid)
    blocked = Event(key, "Warning", "Blocked", "view v loses feature f: 価格")
    await events.emit(Event(key, "Normal", "Applied", "revision abc is applied"))
    for _ in range(3):
        await events.emit(blocked)
    text = kubectl("describe", "fsp", "ranking", f"--namespace={namespace}")
    lines = [" ".join(line.split()) for line in text.partition("Events:")[2].splitlines()]
    ago, by = r"\d+s", "featurelineage.io/operator"

    assert events.unwritten == 0
    assert matching(rf"Normal Applied {ago} {by} revision abc is applied", lines)
    series = rf"Warning Blocked {ago} \(x3 over {ago}\) {by} view v loses feature f: 価格"
    assert matching(series, lines)


async def test_a_namesake_s_events_are_not_those_of_the_resource(
    admin: Api, namespace: str, kubectl: Kubectl
) -> None:
    key, uid = await created(admin, namespace)
    await events_of(admin, uid).emit(Event(key, "Normal", "Applied", "the old one"))
    await admin.delete(PROJECTS, namespace, "ranking")
    key, uid = await created(admin, namespace)
    await events_of(admin, uid).emit(Event(key, "Normal", "Applied", "the new one"))
    text = kubectl("describe", "fsp", "ranking", f"--namespace={namespace}")

    assert "the new one" in text
    assert "the old one" not in text


async def test_a_repeated_event_is_a_series_from_any_process(admin: Api, namespace: str) -> None:
    key, uid = await created(admin, namespace)
    event = Event(key, "Warning", "Blocked", "once more")
    await events_of(admin, uid, "operator-0").emit(event)
    (first,) = await written(admin, namespace)
    await events_of(admin, uid, "operator-1").emit(event)
    await events_of(admin, uid, "operator-1").emit(event)
    (last,) = await written(admin, namespace)

    assert first.get("series") is None
    assert last["series"]["count"] == 3
    assert last["series"]["lastObservedTime"] > last["eventTime"] == first["eventTime"]
    assert last["reportingInstance"] == "operator-0"


async def test_concurrent_events_are_all_counted(admin: Api, namespace: str) -> None:
    key, uid = await created(admin, namespace)
    events = events_of(admin, uid)
    event = Event(key, "Warning", "Blocked", "at once")
    await asyncio.gather(events.emit(event), events.emit(event), events.emit(event))
    (found,) = await written(admin, namespace)

    assert found["series"]["count"] == 3
    assert events.unwritten == 0


async def test_a_deleted_event_is_created_again(admin: Api, namespace: str) -> None:
    key, uid = await created(admin, namespace)
    events = events_of(admin, uid)
    event = Event(key, "Warning", "Blocked", "an hour ago")
    await events.emit(event)
    await events.emit(event)
    (old,) = await written(admin, namespace)
    await admin.delete(EVENTS, namespace, old["metadata"]["name"])
    await events.emit(event)
    (new,) = await written(admin, namespace)

    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert new.get("series") is None


async def test_the_largest_there_can_be_is_taken(admin: Api, namespace: str) -> None:
    key, uid = await created(admin, namespace, "n" * 63)
    events = events_of(admin, uid, "p" * 253)
    await events.emit(Event(key, "Warning", "R" * 200, "価\n\t\0\ud800" * 1000))
    (found,) = await written(admin, namespace)

    assert events.unwritten == 0
    assert found["regarding"]["name"] == key.name
    assert found["note"].endswith("…")
    assert 1020 <= len(found["note"].encode()) <= 1024


ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: teller}
rules:
- {apiGroups: [events.k8s.io], resources: [events], verbs: [get, create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: teller}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: teller}
subjects: [{kind: ServiceAccount, name: teller}]
"""


async def test_missing_event_permission_is_logged_once(
    cluster: Cluster, admin: Api, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    key, uid = await created(admin, namespace)
    cluster.kubectl("create", "serviceaccount", "teller", f"--namespace={namespace}")
    kubeconfig = cluster.service_account_kubeconfig(namespace, "teller")
    async with await connect(str(kubeconfig)) as api:
        events = events_of(api, uid)
        for number in range(3):
            await events.emit(Event(key, "Normal", "Applied", f"unseen {number}"))
        said = [record.getMessage() for record in caplog.records]
        cluster.kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=ROLE)
        async with asyncio.timeout(30):
            while not await written(admin, namespace):
                await events.emit(Event(key, "Normal", "Applied", "seen"))
        await events.emit(Event(key, "Normal", "Applied", "seen"))

    (found,) = await written(admin, namespace)
    assert found["note"] == "seen"
    assert found["series"]["count"] == 2
    assert events.unwritten >= 3
    (line,) = said
    assert line.startswith(f"no event Applied for {key}: ")
    assert 'cannot create resource "events" in API group "events.k8s.io"' in line


async def test_deleted_namespace_gets_no_events(
    admin: Api, namespace: str, kubectl: Kubectl, caplog: pytest.LogCaptureFixture
) -> None:
    held = project("ranking")
    held["metadata"]["finalizers"] = ["featurelineage.io/test"]
    made = await admin.create(PROJECTS, namespace, held)
    key, uid = Key("FeatureStoreProject", namespace, "ranking"), made["metadata"]["uid"]
    kubectl("delete", "namespace", namespace, "--wait=false")
    refused = False
    try:
        async with asyncio.timeout(30):
            while not refused:
                refused = await is_refused(admin, namespace)
        events = events_of(admin, uid)
        await events.emit(Event(key, "Warning", "Blocked", "too late"))
    finally:
        patch = {"metadata": {"finalizers": None}}
        await admin.patch(PROJECTS, namespace, "ranking", patch)

    kubectl("wait", "--for=delete", f"namespace/{namespace}", "--timeout=60s", seconds=90)
    await events.emit(Event(key, "Warning", "Blocked", "much too late"))
    assert events.unwritten == 0
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


async def is_refused(admin: Api, namespace: str) -> bool:
    """Whether the server refuses new objects in this namespace."""
    try:
        await admin.create(PROJECTS, namespace, project("another"))
    except Forbidden as error:
        return "NamespaceTerminating" in error.causes
    await admin.delete(PROJECTS, namespace, "another")
    return False
