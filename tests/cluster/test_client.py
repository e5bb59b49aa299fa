"""Requests to the API server: the meaning of each answer, and a limit for each wait."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.controlplane import ControlPlane
from tests.cluster.existing import Cluster

from feature_lineage.errors import NotFound, RequestRejected, TerminalError
from feature_lineage.kube import api_client
from feature_lineage.kube.api_client import PAGE, Api, connect
from feature_lineage.kube.api_errors import ApiUnavailable, Conflict, Forbidden, NotLeading
from feature_lineage.kube.kinds import CONFIG_MAPS, MODELS, SECRETS


def config_map(name: str, **data: str) -> dict[str, object]:
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    return {**kind, "metadata": {"name": name}, "data": data}


async def test_what_is_not_there_is_not_found_or_none(admin: Api, namespace: str) -> None:
    with pytest.raises(NotFound, match='configmaps "nothing" not found'):
        await admin.get(CONFIG_MAPS, namespace, "nothing")
    assert await admin.find(CONFIG_MAPS, namespace, "nothing") is None
    await admin.delete(CONFIG_MAPS, namespace, "nothing")


async def test_existing_or_changed_object_is_a_conflict(admin: Api, namespace: str) -> None:
    made = await admin.create(CONFIG_MAPS, namespace, config_map("a"))
    with pytest.raises(Conflict):
        await admin.create(CONFIG_MAPS, namespace, config_map("a"))

    await admin.patch(CONFIG_MAPS, namespace, "a", {"data": {"x": "1"}})
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {}}
    with pytest.raises(Conflict):
        await admin.patch(CONFIG_MAPS, namespace, "a", stale)


async def test_apply_makes_the_fields_so_whoever_set_them(admin: Api, namespace: str) -> None:
    await admin.apply(CONFIG_MAPS, namespace, config_map("a", mine="1"))
    await admin.patch(CONFIG_MAPS, namespace, "a", {"data": {"mine": "2", "theirs": "3"}})

    found = await admin.apply(CONFIG_MAPS, namespace, config_map("a", mine="1"))
    assert found["data"] == {"mine": "1", "theirs": "3"}


async def test_a_listing_is_complete_over_its_pages(admin: Api, namespace: str) -> None:
    names = {f"c{number}" for number in range(PAGE + 3)}
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(admin.create(CONFIG_MAPS, namespace, config_map(name)))

    found = [each async for each in admin.list(CONFIG_MAPS, namespace, metadata_only=True)]
    listed = {each["metadata"]["name"] for each in found}
    assert names <= listed
    assert all("data" not in each for each in found)
    fields = "metadata.name=c7"
    (only,) = [each async for each in admin.list(CONFIG_MAPS, namespace, fields=fields)]
    assert only["metadata"]["name"] == "c7"


async def test_what_the_schema_refuses_names_the_field(admin: Api, namespace: str) -> None:
    body = {
        "apiVersion": MODELS.api_version,
        "kind": MODELS.kind,
        "metadata": {"name": "m"},
        "spec": {"projectRef": {"name": "p"}, "model": {"name": "m"}},
    }
    with pytest.raises(RequestRejected, match="exactly one of alias, version"):
        await admin.create(MODELS, namespace, body)


async def test_what_rbac_forbids_names_the_permission(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    kubeconfig = cluster.service_account_kubeconfig(namespace, "nobody")
    async with await connect(str(kubeconfig)) as api:
        with pytest.raises(Forbidden, match='cannot get resource "secrets"'):
            await api.get(SECRETS, namespace, "x")


async def test_a_namespace_that_goes_says_so(admin: Api, cluster: Cluster, namespace: str) -> None:
    held = {**config_map("held"), "metadata": {"name": "held", "finalizers": ["example.org/x"]}}
    await admin.create(CONFIG_MAPS, namespace, held)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    with pytest.raises(Forbidden) as error:
        await admin.create(CONFIG_MAPS, namespace, config_map("a"))
    assert error.value.causes == ("NamespaceTerminating",)
    await admin.patch(CONFIG_MAPS, namespace, "held", {"metadata": {"finalizers": None}})


async def test_a_server_that_does_not_answer_is_given_up(admin: Api) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        configuration = admin.configuration
        configuration.host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with Api(configuration, deadline=0.3) as api:
            with pytest.raises(ApiUnavailable, match="no answer in"):
                await api.get(CONFIG_MAPS, "default", "x")


async def test_a_server_that_is_away_is_unavailable_and_found_again(
    start_control_plane: Callable[..., ControlPlane],
) -> None:
    plane = start_control_plane()
    async with await connect(str(plane.kubeconfig)) as api:
        await api.create(CONFIG_MAPS, "default", config_map("kept"))
        plane.kill_apiserver()
        with pytest.raises(ApiUnavailable):
            await api.get(CONFIG_MAPS, "default", "kept")
        plane.start_apiserver()
        assert (await api.get(CONFIG_MAPS, "default", "kept"))["metadata"]["name"] == "kept"


async def test_behind_a_fence_things_are_read_and_nothing_is_written(
    admin: Api, namespace: str
) -> None:
    leading = True
    fenced = admin.fenced(lambda: leading)
    await fenced.create(CONFIG_MAPS, namespace, config_map("a"))

    leading = False
    await fenced.get(CONFIG_MAPS, namespace, "a")
    with pytest.raises(NotLeading):
        await fenced.create(CONFIG_MAPS, namespace, config_map("b"))
    with pytest.raises(NotLeading):
        await fenced.patch(CONFIG_MAPS, namespace, "a", {"data": {"x": "1"}})
    with pytest.raises(NotLeading):
        await fenced.delete(CONFIG_MAPS, namespace, "a")
    await admin.create(CONFIG_MAPS, namespace, config_map("b"))


async def test_a_kubeconfig_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="set KUBECONFIG or use --kubeconfig"):
        await connect(str(tmp_path / "missing"))


async def test_large_objects_are_listed_in_small_pages(
    admin: Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two megabytes do not fit into a page of one; the small objects among them arrive as well."""
    sizes = [400_000 if number in (3, 4, 5, 6, 7) else 10 for number in range(12)]
    for number, size in enumerate(sizes):
        body = config_map(f"c{number:02d}", text="x" * size)
        await admin.create(CONFIG_MAPS, namespace, body)
    monkeypatch.setattr(api_client, "PAGE_BYTES", 1_000_000)
    asked: list[int] = []
    request = Api._request

    async def counted(api: Api, method: str, path: str, **given: Any) -> dict[str, Any]:
        answer = await request(api, method, path, **given)
        asked.append(len(answer["items"]))
        return answer

    monkeypatch.setattr(Api, "_request", counted)

    listed = [each async for each in admin.list(CONFIG_MAPS, namespace)]

    found = [each for each in listed if each["metadata"]["name"].startswith("c")]
    assert [len(each["data"]["text"]) for each in found] == sizes
    assert len(asked) > 1
    assert max(asked) < 12
