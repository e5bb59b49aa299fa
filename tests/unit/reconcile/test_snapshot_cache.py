"""Snapshots stay in memory while all of them together are small enough."""

import asyncio
from typing import Any

import pytest

from feature_lineage.api import FeatureStoreProject
from feature_lineage.features.bounds import read_stored
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.large_parses import NeedsTurn, parsing
from feature_lineage.reconcile import snapshot_cache
from feature_lineage.reconcile.snapshot_cache import SnapshotCache


@pytest.fixture
def project() -> FeatureStoreProject:
    return FeatureStoreProject.model_validate(
        {
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"project": "p", "source": {"local": {"path": "."}}},
        }
    )


class Store:
    """Snapshots by digest, and which of them were read."""

    def __init__(self, *snapshots: RegistrySnapshot) -> None:
        self.by_digest = {each.digest: each for each in snapshots}
        self.read: list[str] = []
        self.snapshots = self  # as `Ports` has it

    async def get(self, key: object, digest: str) -> RegistrySnapshot | None:
        self.read.append(digest)
        return self.by_digest.get(digest)


def snapshot(name: str, entities: int) -> RegistrySnapshot:
    return RegistrySnapshot(name, {"entity": {f"e{i}": {"name": f"e{i}"} for i in range(entities)}})


async def read(cache: SnapshotCache, store: Any, project: Any, *which: RegistrySnapshot) -> None:
    for each in which:
        assert await cache.read(store, project, None, [each.digest]) == {each.digest: each}


async def test_the_snapshots_used_longest_ago_make_room(
    monkeypatch: pytest.MonkeyPatch, project: Any
) -> None:
    first, second, third = (snapshot(name, 10) for name in ("a", "b", "c"))
    monkeypatch.setattr(snapshot_cache, "MAX_MEMORY", first.memory + second.memory)
    store, cache = Store(first, second, third), SnapshotCache()

    await read(cache, store, project, first, second, first, third)

    assert store.read == [first.digest, second.digest, third.digest]
    assert cache.get(second.digest) is None
    assert cache.get(first.digest) == first
    assert cache.get(third.digest) == third


async def test_one_large_snapshot_stays_alone(
    monkeypatch: pytest.MonkeyPatch, project: Any
) -> None:
    small, large = snapshot("a", 10), snapshot("b", 1000)
    monkeypatch.setattr(snapshot_cache, "MAX_MEMORY", 2 * small.memory)
    store, cache = Store(small, large), SnapshotCache()

    await read(cache, store, project, small, large, large)

    assert store.read == [small.digest, large.digest]
    assert cache.get(small.digest) is None


async def test_only_so_many_snapshots_stay(monkeypatch: pytest.MonkeyPatch, project: Any) -> None:
    monkeypatch.setattr(snapshot_cache, "MAX_SNAPSHOTS", 2)
    some = [snapshot(name, 1) for name in "abc"]
    cache = SnapshotCache()

    await read(cache, Store(*some), project, *some)

    assert [cache.get(each.digest) for each in some] == [None, *some[1:]]


async def test_a_snapshot_in_use_counts_after_it_was_replaced(
    monkeypatch: pytest.MonkeyPatch, project: Any
) -> None:
    first, second = snapshot("a", 10_000), snapshot("b", 10_000)
    monkeypatch.setattr(snapshot_cache, "MAX_MEMORY", first.memory + 1)
    store, cache = Store(first, second), SnapshotCache()
    with parsing(large=False):
        await read(cache, store, project, first, first, second)
        with pytest.raises(NeedsTurn):
            await read(cache, store, project, second)
    await read(cache, store, project, second)

    store.by_digest.clear()
    del first
    with parsing(large=False):
        await read(cache, store, project, second)


async def test_who_has_no_turn_does_not_fail_who_has_one(project: Any) -> None:
    large = snapshot("a", 10_000)
    both, cache = asyncio.Event(), SnapshotCache()

    class SlowStore(Store):
        async def get(self, key: object, digest: str) -> RegistrySnapshot | None:
            self.read.append(digest)
            if len(self.read) == 2:
                both.set()
            await both.wait()
            return read_stored(large.to_json().encode(), digest)

    store = SlowStore()

    async def one(turn: bool) -> None:
        with parsing(large=turn):
            await read(cache, store, project, large)

    async with asyncio.timeout(10):  # a read that is shared waits for the other one
        without, having = await asyncio.gather(one(False), one(True), return_exceptions=True)

    assert isinstance(without, NeedsTurn)
    assert having is None
