"""The cache keeps the newest state of each object, and finds it by name, model and project."""

import itertools
import random

import pytest

from feature_lineage.decide.facts import Key
from feature_lineage.kube.cache.cache_entry import newer, trimmed
from feature_lineage.kube.cache.resource_cache import ResourceCache


def body(name: str = "m", version: int = 1, uid: str = "u1", **spec: object) -> dict:
    given = {"projectRef": {"name": "p"}, "model": {"name": "ranker", "alias": "champion"}}
    return {
        "apiVersion": "featurelineage.io/v1alpha1",
        "kind": "TrainedModel",
        "metadata": {
            "name": name,
            "namespace": "ml",
            "uid": uid,
            "resourceVersion": str(version),
            "generation": version,
            "creationTimestamp": "2026-11-26T00:00:00Z",
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {**given, **spec},
    }


def key(name: str = "m") -> Key:
    return Key("TrainedModel", "ml", name)


@pytest.fixture
def store() -> ResourceCache:
    return ResourceCache(api=None)  # nothing here writes


def test_an_object_is_new_once(store):
    assert store.take(body()) == key()
    assert store.take(body()) is None


def test_a_late_event_of_an_older_state_is_ignored(store):
    store.take(body(version=10, model={"name": "new", "alias": "champion"}))

    assert store.take(body(version=9)) is None
    assert store.get(key()).spec.model.name == "new"


def test_versions_are_compared_as_numbers():
    assert newer("10", than="9")
    assert not newer("9", than="10")
    assert not newer("9", than="9")
    assert newer("b", than="a")
    assert newer("a", than="b")


def test_recreated_object_replaces_the_old_one(store):
    store.take(body(version=10))

    assert store.take(body(version=12, uid="u2")) == key()
    assert store.take(body(version=11)) is None
    assert store.get(key()).metadata.uid == "u2"


def test_object_read_by_name_counts_in_any_version(store):
    """A cluster that was restored from a backup continues with an earlier version."""
    store.take(body(version=10))

    assert store.take(body(version=3, uid="u2"), read=True) == key()
    assert store.get(key()).metadata.uid == "u2"


def test_a_late_event_does_not_restore_a_deleted_object(store):
    store.take(body(version=10))
    store.drop(key(), "u1")
    store.drop(key("n"), "u9")

    assert store.take(body(version=11)) is None
    assert store.take(body("n", version=11, uid="u9")) is None
    assert store.all_keys() == []


def test_end_of_an_old_job_spares_its_successor(store):
    store.take(body(uid="u2"))

    assert not store.drop(key(), uid="u1")
    assert store.get(key()) is not None
    assert store.drop(key(), uid="u2")
    assert store.get(key()) is None


@pytest.mark.parametrize("seed", range(20))
def test_newest_state_stays_in_any_order(store, seed):
    chance = random.Random(seed)
    states = [body(version=n, featureService=f"s{n}") for n in range(1, 9)]
    events = [*states, *chance.choices(states, k=8)]
    chance.shuffle(events)
    for each in events:
        store.take(each)

    assert store.get(key()).spec.feature_service == "s8"


def test_user_changes_differ_from_operator_writes(store):
    store.take(body(version=1))
    spec_hash = store.entry(key()).spec_hash
    written = body(version=2)
    written["metadata"]["generation"] = 1
    written["status"] = {"observedGeneration": 1}
    store.take(written)
    assert store.entry(key()).spec_hash == spec_hash

    for number, change in enumerate(
        (
            {"generation": 3},
            {"annotations": {"featurelineage.io/reconcile-requested-at": "now"}},
            {"deletionTimestamp": "2026-11-26T01:00:00Z"},
        )
    ):
        edited = body(version=10 + number)
        edited["metadata"] |= {"generation": 1, **change}
        store.take(edited)
        assert store.entry(key()).spec_hash != spec_hash, change


def test_only_the_metadata_that_is_read_is_kept(store):
    large = body()
    large["metadata"] |= {
        "annotations": {"note": "x" * 250_000, "featurelineage.io/reconcile-requested-at": "now"},
        "labels": {f"l{number}": "" for number in range(1000)},
        "managedFields": [{"manager": "x" * 100_000}],
        "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}] * 100,
    }
    assert len(str(trimmed(large))) < 1000
    store.take(large)

    kept = store.get(key()).metadata

    assert kept.annotations == {"featurelineage.io/reconcile-requested-at": "now"}
    assert kept.labels == {}
    assert kept.owner_references == ()


def test_an_object_with_too_many_finalizers_is_invalid_and_not_kept(store):
    """A megabyte of them would take more than ten times as much memory for each object."""
    large = body()
    large["metadata"]["finalizers"] = [f"x/{number}" for number in range(100)]
    store.take(large)
    assert store.invalid(key()) is None

    large = body(version=2)
    large["metadata"]["finalizers"] = [f"x/{number}" for number in range(150_000)]
    store.take(large)

    assert "metadata.finalizers" in store.invalid(key())
    assert len(store.invalid(key())) < 500
    assert store.get(key()) is None


def test_models_are_indexed_by_model_and_project(store):
    for name, model in (("a", "ranker"), ("b", "ranker"), ("c", "other")):
        store.take(body(name, uid=name, model={"name": model, "alias": "champion"}))
    store.take(body("d", uid="d", projectRef={"name": "p", "namespace": "elsewhere"}))

    assert [m.metadata.name for m in store.models_named("ranker")] == ["a", "b", "d"]
    project = Key("FeatureStoreProject", "ml", "p")
    assert store.models_of(project) == [key("a"), key("b"), key("c")]

    store.take(body("a", version=2, uid="a", model={"name": "other", "alias": "champion"}))
    store.drop(key("b"))
    assert [m.metadata.name for m in store.models_named("ranker")] == ["d"]
    assert [m.metadata.name for m in store.models_named("other")] == ["a", "c"]
    assert store.models_of(project) == [key("a"), key("c")]


def test_invalid_object_is_cached_with_its_errors(store):
    store.take(body(model={"name": "ranker", "alias": "champion", "version": "3"}))

    assert store.get(key()) is None
    assert "set exactly one of alias, version" in store.invalid(key())
    assert list(store.models()) == []

    store.take(body(version=2))
    assert store.invalid(key()) is None
    assert store.get(key()) is not None


def test_keys_are_ordered_with_projects_first(store):
    for name in ("b", "a"):
        store.take(body(name, uid=name))
    project = body("z", uid="z")
    project["kind"] = "FeatureStoreProject"
    project["spec"] = {"project": "p", "source": {"image": {"path": "/r"}}}
    store.take(project)

    assert [str(each) for each in store.all_keys()] == [
        "FeatureStoreProject/ml/z",
        "TrainedModel/ml/a",
        "TrainedModel/ml/b",
    ]
    assert [p.metadata.name for p in store.projects()] == ["z"]


def test_the_indexes_are_empty_after_the_last_deletion(store):
    names = "abc"
    for name, model in itertools.product(names, ("x", "y")):
        store.take(body(name, version=ord(model), uid=name, model={"name": model, "alias": "c"}))
    for name in names:
        store.drop(key(name))

    assert (store._entries, store._projects, store._by_model, store._by_project) == ({}, {}, {}, {})


def recorded_store() -> tuple[ResourceCache, list[set[str]]]:
    changes: list[set[str]] = []
    return ResourceCache(None, lambda names: changes.append(set(names))), changes


def test_model_stamps_omit_status():
    store, changes = recorded_store()
    store.take(body(version=1))
    assert changes == [{"ranker"}]

    changes.clear()
    written = body(version=2)
    written["metadata"]["generation"] = 1
    written["status"] = {"observedGeneration": 1}
    store.take(written)
    assert changes == []

    store.take(body(version=3, model={"name": "other", "alias": "champion"}))
    assert changes == [{"ranker", "other"}]

    changes.clear()
    store.drop(key())
    assert changes == [{"other"}]


def test_project_change_enqueues_related_models():
    store, changes = recorded_store()
    elsewhere = {"projectRef": {"name": "q"}}
    store.take(body("own", uid="1"))
    store.take(body("twin", uid="2", **elsewhere))
    store.take(body("stranger", uid="3", model={"name": "x", "alias": "a"}, **elsewhere))
    changes.clear()
    project = {**body("p", uid="4"), "kind": "FeatureStoreProject"}
    project["spec"] = {"project": "ranking", "source": {"image": {"path": "/repo"}}}

    store.take(project)
    store.drop(Key("FeatureStoreProject", "ml", "p"))

    assert changes == [{"ranker"}, {"ranker"}]
    assert store.keys_named({"ranker"}) == [key("own"), key("twin")]
