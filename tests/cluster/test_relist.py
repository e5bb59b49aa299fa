"""A relist finds every change, and no other."""

from feature_lineage.decide.facts import Key
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.cache.relist import relist
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.kube.kinds import MODELS, PROJECTS, Kind


def manifest(kind: Kind, name: str) -> dict[str, object]:
    specs: dict[str, object] = {
        PROJECTS.kind: {"project": "ranking", "source": {"image": {"path": "/repo"}}},
        MODELS.kind: {"projectRef": {"name": "p"}, "model": {"name": "m", "alias": "champion"}},
    }
    metadata = {"name": name}
    spec = specs[kind.kind]
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}


def key(kind: Kind, namespace: str, name: str) -> Key:
    return Key(kind.kind, namespace, name)  # type: ignore[arg-type]


async def relisted(
    admin: Api, resources: ResourceCache, namespace: str, *, whole: bool = False
) -> set[Key]:
    return {each async for each in relist(admin, resources, (namespace,), whole=whole)}


async def known(admin: Api, namespace: str) -> ResourceCache:
    """A cache of a project and two models."""
    for kind, name in ((PROJECTS, "p"), (MODELS, "a"), (MODELS, "b")):
        await admin.create(kind, namespace, manifest(kind, name))
    resources = ResourceCache(admin)
    await relisted(admin, resources, namespace, whole=True)
    return resources


async def test_the_first_relist_reads_everything(admin: Api, namespace: str) -> None:
    resources = await known(admin, namespace)

    assert [each.name for each in resources.all_keys()] == ["p", "a", "b"]
    assert [model.spec.model.alias for model in resources.models()] == ["champion", "champion"]


async def test_without_a_change_nothing_is_found(admin: Api, namespace: str) -> None:
    resources = await known(admin, namespace)

    assert await relisted(admin, resources, namespace) == set()


async def test_missed_changes_are_found_by_the_relist(admin: Api, namespace: str) -> None:
    resources = await known(admin, namespace)
    await admin.delete(MODELS, namespace, "a")
    await admin.patch(MODELS, namespace, "b", {"spec": {"suspend": True}})
    await admin.create(MODELS, namespace, manifest(MODELS, "c"))

    found = await relisted(admin, resources, namespace)

    assert found == {key(MODELS, namespace, name) for name in "abc"}
    assert resources.entry(key(MODELS, namespace, "a")) is None
    changed = resources.model(namespace, "b")
    assert changed is not None
    assert changed.spec.suspend


async def test_a_new_object_of_the_same_name_is_found(admin: Api, namespace: str) -> None:
    resources = await known(admin, namespace)
    before = resources.entry(key(MODELS, namespace, "a"))
    await admin.delete(MODELS, namespace, "a")
    await admin.create(MODELS, namespace, manifest(MODELS, "a"))

    found = await relisted(admin, resources, namespace)

    after = resources.entry(key(MODELS, namespace, "a"))
    assert found == {key(MODELS, namespace, "a")}
    assert before is not None
    assert after is not None
    assert before.uid != after.uid


async def test_other_namespaces_are_not_listed(admin: Api, namespace: str) -> None:
    await known(admin, namespace)
    resources = ResourceCache(admin)

    await relisted(admin, resources, "nobody-lives-here", whole=True)
    assert resources.all_keys() == []
