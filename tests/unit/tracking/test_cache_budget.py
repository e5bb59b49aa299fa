"""All readings share a budget; the owner that uses most of it loses its largest one."""

import asyncio
import gc
import tracemalloc
import weakref
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.access import ENTRIES
from tests.unit.tracking.fake import Clock, FakeClient

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import RequestRejected
from feature_lineage.kube.config import NamedServer
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.models.facts import LoggedModel, ModelVersion, RegistryView, TrainingRun
from feature_lineage.tracking import paging
from feature_lineage.tracking.cache_budget import (
    PLATFORM_BYTES,
    TENANTS_BYTES,
    CacheBudget,
    GivenUp,
    count_answer,
    count_kept,
    memory_of,
    memory_of_model,
)
from feature_lineage.tracking.client_pool import ModelRegistryPool
from feature_lineage.tracking.parsing import RegisteredModel, registered_models
from feature_lineage.tracking.permitted_registry import PermittedRegistry
from feature_lineage.tracking.registry_cache import RegistryCache

NOW = datetime(2026, 11, 30, tzinfo=UTC)
POLL = timedelta(seconds=30)


def view(versions: int, tag_bytes: int) -> RegistryView:
    """A registry of versions, each with tags of this size, and a run."""
    named = {
        f"{number}": ModelVersion(
            f"model_{number}",
            f"{number}",
            NOW + timedelta(seconds=number),
            source=f"models:/m-{number:032x}",
            run_id=f"{number:032x}",
            tags={"feast.feature_refs": f"{number:06d}" + "x" * (tag_bytes - 6)},
        )
        for number in range(versions)
    }
    runs = {
        f"{number:032x}": TrainingRun(f"{number:032x}", NOW, tags={"feast.project": f"p{number}"})
        for number in range(versions)
    }
    return RegistryView(NOW, {each.name: {number: each} for number, each in named.items()}, runs)


def test_the_largest_reading_of_the_largest_owner_is_given_up() -> None:
    budget = CacheBudget(100)
    victim, *hostile = [budget.share(owner) for owner in ("team", "evil", "evil", "evil")]
    victim.hold(40)
    for share in hostile[:2]:
        share.hold(29)

    with pytest.raises(GivenUp, match="all readings together may have"):
        hostile[2].hold(31)

    assert [share.size for share in (victim, *hostile)] == [40, 29, 29, 0]


def test_a_small_owner_is_unaffected_by_many_small_readings_of_another() -> None:
    budget = CacheBudget(1000)
    victim = budget.share("team")
    victim.hold(400)
    for _ in range(100):
        share = budget.share("evil")
        try:
            share.hold(10)
        except GivenUp:
            assert share.size == 0

    assert victim.size == 400
    assert sum(share.size for share in budget.shares) <= 1000


def test_nobody_loses_a_reading_because_others_use_it_too() -> None:
    budget = CacheBudget(100)
    shared = budget.share("evil")
    shared.owners.add("team")
    shared.hold(40)
    hostile = [budget.share("evil") for _ in range(10)]
    for share in hostile[:6]:
        share.hold(10)

    with pytest.raises(GivenUp):
        hostile[6].hold(11)

    assert shared.size == 40
    assert sum(share.size for share in hostile) == 60


async def test_all_namespaces_that_use_a_reading_account_for_it() -> None:
    clock, uri = Clock(), "http://own:5000"
    pool = ModelRegistryPool(FolderObjects(), clock)
    projects = [
        FeatureStoreProject.model_validate(
            {
                "metadata": {"name": "p", "namespace": namespace},
                "spec": {
                    "project": "churn",
                    "source": {"local": {"path": "."}},
                    "mlflow": {"trackingUri": uri},
                },
            }
        )
        for namespace in ("first", "second")
    ]
    for project in projects:
        await pool.of(project)
    (share,) = pool.of_tenants.shares
    assert share.owners == {"first", "second"}

    for _ in range(12):
        clock.advance(minutes=1)
        await pool.of(projects[1])

    assert share.owners == {"second"}
    await pool.close()


async def test_platform_and_each_namespace_account_for_their_servers() -> None:
    platform = {"prod": NamedServer(name="prod", tracking_uri="http://mlflow:5000", access=ENTRIES)}
    pool = ModelRegistryPool(FolderObjects(), Clock(), platform_servers=platform)
    mine, own, workspace = (
        FeatureStoreProject.model_validate(
            {
                "metadata": {"name": "p", "namespace": "ml"},
                "spec": {"project": "churn", "source": {"local": {"path": "."}}, "mlflow": mlflow},
            }
        )
        for mlflow in (
            {"serverRef": "prod"},
            {"trackingUri": "http://own:5000"},
            {"serverRef": "prod", "workspace": "theirs"},
        )
    )
    for each in (mine, own, workspace):
        await pool.of(each)

    assert [share.owners for share in pool.of_platform.shares] == [{"prod"}]
    assert [share.owners for share in pool.of_tenants.shares] == [{"ml"}, {"ml"}]
    await pool.close()
    assert not pool.of_platform.shares | pool.of_tenants.shares


@pytest.mark.parametrize("first", ["serverRef", "trackingUri"])
async def test_the_platform_accounts_for_its_server_whoever_opens_it(first: str) -> None:
    uri = "http://mlflow:5000"
    platform = {"prod": NamedServer(name="prod", tracking_uri=uri, access=ENTRIES)}
    pool = ModelRegistryPool(FolderObjects(), Clock(), platform_servers=platform)
    named = {"serverRef": {"serverRef": "prod"}, "trackingUri": {"trackingUri": uri}}
    for namespace, mlflow in (("one", named.pop(first)), ("two", named.popitem()[1])):
        spec = {"project": "churn", "source": {"local": {"path": "."}}, "mlflow": mlflow}
        metadata = {"name": "p", "namespace": namespace}
        project = FeatureStoreProject.model_validate({"metadata": metadata, "spec": spec})
        await pool.of(project)

    assert [share.owners for share in pool.of_platform.shares] == [{"prod"}]
    assert not pool.of_tenants.shares
    await pool.close()


def test_a_reading_given_up_while_it_was_put_together_is_freed() -> None:
    freed: list[int] = []
    share = CacheBudget(100).share("team")
    share.on_given_up.append(lambda: freed.append(share.held))
    with share.reading():
        share.give_up("others need it")
        with pytest.raises(GivenUp, match="others need it"):
            share.hold(50)

    assert share.size == 0
    assert freed == [0, 0]


async def test_nothing_keeps_the_view_of_a_reading_that_was_given_up() -> None:
    clock, changed = Clock(), list[set[str]]()
    client: Any = FakeClient(clock)
    client.add("m", "1", 1)
    share = CacheBudget(60_000).share("team")
    cache = RegistryCache(
        client, now=clock, on_change=lambda names: changed.append(set(names)), share=share
    )
    before = weakref.ref(await cache.view(max_age=POLL))
    share.give_up("others need it")
    gc.collect()
    assert before() is None

    clock.advance(minutes=1)
    assert (await cache.view(max_age=POLL)).versions.keys() == {"m"}
    assert changed == [{"m"}, {"m"}]


async def test_the_permitted_part_of_a_view_is_freed_with_it() -> None:
    uri = "http://mlflow:5000"
    platform = {"prod": NamedServer(name="prod", tracking_uri=uri, access=ENTRIES)}
    pool = ModelRegistryPool(FolderObjects(), Clock(), platform_servers=platform)
    spec = {"project": "churn", "source": {"local": {"path": "."}}, "mlflow": {"serverRef": "prod"}}
    metadata = {"name": "p", "namespace": "ml"}
    project = FeatureStoreProject.model_validate({"metadata": metadata, "spec": spec})
    registry = await pool.of(project)
    assert isinstance(registry, PermittedRegistry)
    whole = view(1, 10)
    registry.models.of(whole)
    seen = weakref.ref(whole)
    del whole
    (share,) = pool.of_platform.shares
    share.give_up("others need it")
    gc.collect()

    assert seen() is None
    await pool.close()


def test_a_closed_share_counts_nothing() -> None:
    budget = CacheBudget(100)
    left = budget.share("team")
    left.hold(80)
    left.close()

    budget.share("other").hold(90)


async def test_answers_count_while_they_are_read() -> None:
    share = CacheBudget(100).share("evil")
    with share.reading():
        count_kept(30)
        count_answer(60)
        count_answer(60)  # the one before was parsed
        count_kept(30)
        with pytest.raises(GivenUp):
            await asyncio.create_task(_answer(60))

    assert share.size == 0
    count_answer(1_000_000)  # outside of a reading


async def _answer(size: int) -> None:
    count_answer(size)


async def test_a_reading_ends_at_the_page_with_which_it_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "VERSIONS_PAGE", 100)
    clock = Clock()
    client: Any = FakeClient(clock)
    for number in range(3000):
        client.add("m", f"{number}", number)
    share = CacheBudget(1_000_000).share("evil")
    with pytest.raises(RequestRejected, match="is not read: it needs"):
        await RegistryCache(client, now=clock, share=share).view(max_age=POLL)

    assert client.calls.count("versions") < 10
    assert share.size == 0


async def test_no_missing_answer_is_excused_by_a_lack_of_room() -> None:
    clock = Clock()
    client: Any = FakeClient(clock)
    client.add("m", "1", 1, source="models:/m-1")

    async def logged_model_run(model_id: str) -> str:
        count_answer(10_000)
        return ""

    client.logged_model_run = logged_model_run
    share = CacheBudget(9000).share("evil")
    with pytest.raises(RequestRejected, match="is not read: it needs"):
        await RegistryCache(client, now=clock, share=share).view(max_age=POLL)


def test_all_that_is_kept_of_a_reading_counts() -> None:
    logged = LoggedModel("r", 1, inputs=tuple(f"column_{n}" for n in range(1000)))
    parent = TrainingRun("p", NOW, tags={"feast.project": "x" * 5000})
    run = TrainingRun("r", NOW, models=(("m-1", 0),) * 100, parent=parent)
    version = ModelVersion("m", "1", NOW, run_id="r", aliases=("alias",) * 100, logged=logged)
    aliases = {f"alias_{n}": "1" for n in range(1000)}
    models = [RegisteredModel(f"m_{n}", 0, aliases, has_versions=False) for n in range(10)]
    whole = RegistryView(NOW, {"m": {"1": version}}, {"r": run})
    size = memory_of(whole, models, [logged])

    assert size > memory_of(whole, models)
    assert memory_of(whole, models) - memory_of(whole) > 10 * 1000 * 200
    less = replace(whole, versions={"m": {"1": replace(version, logged=None)}})
    assert memory_of(whole) - memory_of(less) > 1000 * 40
    less = replace(whole, versions={"m": {"1": replace(version, aliases=())}})
    assert memory_of(whole) - memory_of(less) > 100 * 200
    for each in (replace(run, models=()), replace(run, parent=None)):
        assert memory_of(whole) - memory_of(replace(whole, runs={"r": each})) > 5000


def test_the_estimate_of_aliases_is_about_the_memory() -> None:
    run = uuid4().hex  # texts that other tests have interned take no memory here
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    models = registered_models(
        {
            "registered_models": [
                {
                    "name": f"model-{n}",
                    "creation_timestamp": 1,
                    "aliases": [{"alias": f"{run}-{n}-{m}", "version": f"{m}"} for m in range(100)],
                }
                for n in range(100)
            ]
        }
    )
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    size = sum(map(memory_of_model, models))
    assert after - before <= size <= 3 * (after - before)


async def test_a_registry_without_room_is_refused_and_others_are_kept() -> None:
    clock, budget = Clock(), CacheBudget(60_000)
    caches: list[tuple[RegistryCache, FakeClient]] = []
    for owner, versions in (("team", 10), ("evil", 30)):
        client: Any = FakeClient(clock)
        for number in range(versions):
            client.add("m", f"{number}", number)
        share = budget.share(owner)
        caches.append((RegistryCache(client, now=clock, share=share), client))
    (small, _), (large, client) = caches
    kept = await small.view(max_age=POLL)
    assert len((await large.view(max_age=POLL)).versions["m"]) == 30
    for number in range(30, 60):
        client.add("m", f"{number}", number)
    clock.advance(minutes=1)

    with pytest.raises(RequestRejected, match=r"is not read: it needs .*MiB of memory"):
        await large.view(max_age=POLL)

    assert large.last is None
    assert small.last is kept
    del client.rows[20:]
    clock.advance(minutes=1)
    assert len((await large.view(max_age=POLL)).versions["m"]) == 20


async def test_tags_that_were_written_count_at_the_next_reading() -> None:
    clock, share = Clock(), CacheBudget(60_000).share("team")
    client: Any = FakeClient(clock)
    row = client.add("m", "1", 1)
    cache = RegistryCache(client, now=clock, share=share)
    version = (await cache.view(max_age=POLL)).versions["m"]["1"]
    held = share.held
    clock.advance(minutes=1)
    row.tags["featurelineage.io/verdict"] = "x" * 1000
    cache.record_tag_write(version, row.tags)
    clock.advance(minutes=1)

    await cache.view(max_age=POLL, full=True)

    assert share.held > held + 1000


def test_what_is_legitimate_fits() -> None:
    thousand = memory_of(view(1000, 5000))

    assert 8 * thousand <= TENANTS_BYTES
    assert 17 * thousand <= PLATFORM_BYTES


def test_the_estimate_is_about_the_memory() -> None:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    whole = view(2000, 500)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert after - before <= memory_of(whole) <= 3 * (after - before)
    assert memory_of(replace(whole, versions={})) < memory_of(whole)
