"""One reverse index per project: when it is built, and how an unknown name is answered."""

import asyncio
import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.decide.build import STATS, version
from tests.unit.reconcile.test_observing import KEY, OUT, TAGS, ObserverSetup

from feature_lineage.errors import NotFound, ServerUnavailable
from feature_lineage.lineage import query
from feature_lineage.lineage.answers import ImpactAnswer
from feature_lineage.lineage.query import LineageQuery

CONV_RATE = "stats:conv_rate"


class Lineage(ObserverSetup):
    """A project whose version 1 uses `CONV_RATE`, and the queries on it.

    Attributes:
        builds: how many versions each index was built from.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.version()
        self.query = LineageQuery(self.ports, self.cache)
        self.builds: list[int] = []
        build = query.build

        def counted(pairs: list[Any]) -> Any:
            self.builds.append(len(pairs))
            return build(pairs)

        monkeypatch.setattr(query, "build", counted)

    async def users(self, name: str) -> list[str]:
        return [item.version for item in (await self.impact(name)).items]

    async def impact(self, name: str) -> ImpactAnswer:
        return (await self.query.lineage(self.project)).impact(name)


@pytest.fixture
async def lineage(monkeypatch: pytest.MonkeyPatch) -> Lineage:
    scene = Lineage(monkeypatch)
    await scene.observe()
    return scene


@pytest.mark.parametrize("name", [CONV_RATE, "stats", "stats@v1:conv_rate"])
async def test_a_feature_and_its_view_have_the_same_user(lineage: Lineage, name: str) -> None:
    assert await lineage.users(name) == ["1"]


async def test_an_index_is_built_once_per_set_of_facts(lineage: Lineage) -> None:
    await lineage.observe()
    await asyncio.gather(*(lineage.users(CONV_RATE) for _ in range(3)))
    assert lineage.builds == [1]

    lineage.fakes.versions["2"] = replace(version("2"), tags=TAGS)
    await lineage.observe()
    assert await lineage.users(CONV_RATE) == ["1", "2"]
    assert lineage.builds == [1, 2]


async def test_a_new_registry_snapshot_rebuilds_the_index(lineage: Lineage) -> None:
    await lineage.users(CONV_RATE)
    other = replace(STATS, objects={**STATS.objects, "feature_service": {}})
    lineage.fakes.kept[other.digest] = other
    registry = lineage.project.status.registry
    assert registry is not None
    status = lineage.project.status.model_copy(
        update={"registry": registry.model_copy(update={"digest": other.digest})}
    )
    lineage.project = lineage.project.model_copy(update={"status": status})
    await lineage.observe()

    with pytest.raises(NotFound, match="has no service/activity"):
        await lineage.users("service/activity")
    assert lineage.builds == [1, 1]


async def test_replaced_facts_are_not_kept_in_memory(lineage: Lineage) -> None:
    await lineage.users(CONV_RATE)
    facts = weakref.ref(lineage.cache.facts[KEY].facts)

    lineage.fakes.versions["2"] = replace(version("2"), tags=TAGS)
    await lineage.observe()
    gc.collect()

    assert facts() is None


async def test_only_the_most_recently_used_indexes_are_kept(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "MAX_INDEXES", 2)
    first = lineage.project
    await lineage.users(CONV_RATE)
    for namespace in ("a", "b"):
        metadata = first.metadata.model_copy(update={"namespace": namespace})
        lineage.project = first.model_copy(update={"metadata": metadata})
        await lineage.observe()
        await lineage.users(CONV_RATE)
        (await lineage.query.lineage(first)).impact(CONV_RATE)

    assert lineage.builds == [1, 1, 1]
    assert len(lineage.query._indexes) == 2


async def test_indexes_keep_registries_of_a_bounded_size_only(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lineage.project
    await lineage.users(CONV_RATE)
    size = next(iter(lineage.query._indexes.values())).snapshot_memory
    monkeypatch.setattr(query, "MAX_SNAPSHOTS", size)
    metadata = first.metadata.model_copy(update={"namespace": "other"})
    lineage.project = first.model_copy(update={"metadata": metadata})
    await lineage.observe()
    await lineage.users(CONV_RATE)

    assert [key.namespace for key in lineage.query._indexes] == ["other"]


async def test_a_project_that_was_never_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lineage = Lineage(monkeypatch)
    with pytest.raises(ServerUnavailable, match="was not read yet"):
        await lineage.users(CONV_RATE)

    lineage.fakes.fail["view"] = OUT
    await lineage.observe()
    with pytest.raises(ServerUnavailable, match="was not read yet"):
        await lineage.users(CONV_RATE)


async def test_a_deleted_project_has_no_index(lineage: Lineage) -> None:
    await lineage.users(CONV_RATE)
    lineage.cache.forget(KEY)

    with pytest.raises(ServerUnavailable):
        await lineage.users(CONV_RATE)
    assert lineage.query._indexes == {}


async def test_a_refresh_reads_all_of_mlflow(lineage: Lineage) -> None:
    lineage.fakes.asked.clear()
    await lineage.query.refresh(lineage.project)
    assert lineage.fakes.asked == [True]


async def test_a_refresh_during_an_outage_is_an_error(lineage: Lineage) -> None:
    lineage.fakes.fail["view"] = OUT
    with pytest.raises(ServerUnavailable, match=r"ml/ranking: .* does not answer"):
        await lineage.query.refresh(lineage.project)


async def test_a_lost_registry_snapshot_is_an_error(lineage: Lineage) -> None:
    lineage.fakes.kept.clear()
    lineage.cache.snapshots._snapshots.clear()

    with pytest.raises(NotFound, match="is not kept any more"):
        await lineage.users(CONV_RATE)


@pytest.mark.parametrize("name", ["stats:trips", "extra", "service/activity"])
async def test_a_name_without_users_has_an_empty_answer(lineage: Lineage, name: str) -> None:
    page = await lineage.impact(name)
    assert (page.total, page.items, page.after) == (0, (), None)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("stat:trips", "stats:trips"),
        ("stats:tripss", "stats:trips"),
        ("service/activty", "service/activity"),
        ("extras", "extra"),
    ],
)
async def test_a_misspelled_name_is_an_error(lineage: Lineage, name: str, near: str) -> None:
    with pytest.raises(NotFound, match=f"no {name}, and no model uses it; did you mean {near}?"):
        await lineage.users(name)
