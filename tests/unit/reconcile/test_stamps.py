"""States of the resources on one registered model, without creating the resources."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.decide.build import NOW, model

from feature_lineage.decide.facts import Key, key_of
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.cache import resource_cache as store
from feature_lineage.kube.cache.resource_cache import ResourceCache
from feature_lineage.local.folder import LocalResources, Manifests
from feature_lineage.local.state_folder import StateFolder
from feature_lineage.ports import ModelStamp

HOME = Key("FeatureStoreProject", "ml", "ranking")


class NoApi(Api):
    """Nothing here writes."""

    def __init__(self) -> None: ...


def body(name: str, version: int, **spec: Any) -> dict[str, Any]:
    written = model(**spec).as_dict()
    metadata = {"namespace": "ml", "name": name, "uid": name, "resourceVersion": str(version)}
    return {**written, "metadata": {**written["metadata"], **metadata}}


def test_a_stamp_in_a_cluster_is_uid_and_resource_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resources = ResourceCache(NoApi())
    monkeypatch.delattr(store, "unpacked")
    resources.take(body("a", 1))
    resources.take(body("b", 2, projectRef={"name": "ranking", "namespace": "elsewhere"}))
    resources.take(body("c", 3, model={"name": "other", "alias": "champion"}))

    elsewhere = Key("FeatureStoreProject", "elsewhere", "ranking")
    assert set(resources.stamps_named("driver_model")) == {
        ModelStamp(("a", "1"), "ml", HOME),
        ModelStamp(("b", "2"), "ml", elsewhere),
    }

    before = resources.stamps_named("other")
    resources.take(body("c", 4, model={"name": "other", "alias": "champion"}))
    assert resources.stamps_named("other") != before
    resources.drop(Key("TrainedModel", "ml", "c"))
    assert resources.stamps_named("other") == ()


def test_stamps_of_a_resource_and_of_the_cache_are_equal() -> None:
    resources = ResourceCache(NoApi())
    resources.take(body("a", 1))
    (made,) = resources.models_named("driver_model")

    assert resources.stamps_named("driver_model") == (ModelStamp.of(made),)


def test_in_a_folder_a_state_is_the_resource_itself(tmp_path: Path) -> None:
    resources, followed = LocalResources(StateFolder(tmp_path)), model()
    resources.load(Manifests({key_of(followed): followed}, ()), NOW, keep=True)

    (stamp,) = resources.stamps_named("driver_model")

    assert stamp.state is resources.model("ml", followed.metadata.name)
    assert (stamp.namespace, stamp.project) == ("ml", HOME)
    assert resources.stamps_named("other") == ()
