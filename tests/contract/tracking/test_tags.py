"""Tags on versions: written to the right version, visible at once, one call each."""

from datetime import timedelta

import pytest
from tests.contract.tracking.conftest import Rest

from feature_lineage.errors import NotFound, RequestRejected
from feature_lineage.models.facts import ModelVersion
from feature_lineage.tracking import MLflowRegistry
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.tags import set_version_tag

NOW = timedelta(0)


async def seen(registry: MLflowRegistry, name: str) -> ModelVersion:
    version = (await registry.view(max_age=NOW, full=True)).version(name, "1")
    assert version is not None
    return version


async def test_a_tag_is_set_replaced_and_removed(client: MLflowClient, rest: Rest) -> None:
    name = rest.model()
    rest.version(name)
    key = "featurelineage.io/verdict"

    await set_version_tag(client, name, "1", key, "Verified")
    await set_version_tag(client, name, "1", key, "Brisé 💥")
    assert rest.tags(name, "1") == {key: "Brisé 💥"}

    await client.delete_version_tag(name, "1", key)
    await client.delete_version_tag(name, "1", key)
    assert rest.tags(name, "1") == {}


async def test_a_value_above_the_limit_is_refused_and_not_cut(
    client: MLflowClient, rest: Rest
) -> None:
    name = rest.model()
    rest.version(name)
    await set_version_tag(client, name, "1", "feast.feature_refs", "é" * 100_000)

    with pytest.raises(RequestRejected, match="is not written") as error:
        await set_version_tag(client, name, "1", "feast.feature_refs", "é" * 100_001)

    assert error.value.reason == "TagTooLong"
    assert rest.tags(name, "1") == {"feast.feature_refs": "é" * 100_000}


async def test_a_version_that_is_not_there(client: MLflowClient, rest: Rest) -> None:
    name = rest.model()
    for call in (
        set_version_tag(client, name, "1", "k", "v"),
        client.delete_version_tag(name, "1", "k"),
        set_version_tag(client, name + "-none", "1", "k", "v"),
    ):
        with pytest.raises(NotFound):
            await call


async def test_what_is_written_shows_in_the_view_at_once(
    registry: MLflowRegistry, rest: Rest
) -> None:
    name = rest.model()
    rest.version(name)
    version = await seen(registry, name)

    await registry.set_version_tags(version, {"featurelineage.io/verdict": "Verified", "a": "b"})
    view = await registry.view(max_age=timedelta(hours=1))
    assert view.versions[name]["1"].tags["featurelineage.io/verdict"] == "Verified"
    assert rest.tags(name, "1") == {"featurelineage.io/verdict": "Verified", "a": "b"}

    await registry.delete_version_tags(version, ("featurelineage.io/verdict", "none"))
    view = await registry.view(max_age=timedelta(hours=1))
    assert "featurelineage.io/verdict" not in view.versions[name]["1"].tags
    assert rest.tags(name, "1") == {"a": "b"}


async def test_a_recreated_model_is_not_tagged_by_mistake(
    registry: MLflowRegistry, rest: Rest
) -> None:
    name = rest.model()
    rest.version(name)
    old = await seen(registry, name)
    rest.call("DELETE", "registered-models/delete", name=name)
    rest.model(name)
    rest.version(name)
    rest.set_tag(name, "1", "keep", "me")

    with pytest.raises(NotFound, match="created again") as error:
        await registry.set_version_tags(old, {"featurelineage.io/verdict": "Broken"})
    assert error.value.reason == "VersionNotFound"
    await registry.delete_version_tags(old, ("keep",))

    assert rest.tags(name, "1") == {"keep": "me"}


async def test_removing_tags_from_a_version_that_is_gone_is_fine(
    registry: MLflowRegistry, rest: Rest
) -> None:
    name = rest.model()
    rest.version(name)
    old = await seen(registry, name)
    rest.call("DELETE", "registered-models/delete", name=name)

    await registry.delete_version_tags(old, ("feast.project",))
