"""Which pages are requested; offset paging must not hide a version."""

from typing import Any

import pytest
from tests.unit.tracking.fake import START, Clock, FakeClient

from feature_lineage.errors import RequestRejected
from feature_lineage.tracking import paging as reading
from feature_lineage.tracking.paging import RegistryListing, read_all, read_changes


@pytest.fixture
def client() -> Any:
    return FakeClient(Clock())


def numbers(found: RegistryListing) -> dict[str, set[str]]:
    return {name: set(versions) for name, versions in found.versions.items()}


async def test_a_whole_reading_has_every_page(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "VERSIONS_PAGE", 3)
    monkeypatch.setattr(reading, "MODELS_PAGE", 2)
    for i in range(10):
        client.add(f"m{i}", "1", i)

    found = await read_all(client, START, None)

    assert numbers(found) == {f"m{i}": {"1"} for i in range(10)}
    assert found.newest_ms == 9


async def test_a_deletion_between_two_pages_hides_no_known_version(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "VERSIONS_PAGE", 2)
    for i in range(6):
        client.add("m", str(i + 1), i)
    before = await read_all(client, START, None)
    client.calls.clear()

    def delete_one(call: str) -> None:
        # Just before the second page: version 3 moves to the first page, which was already read.
        if client.calls.count("versions") == 2 and len(client.rows) == 6:
            del client.rows[0]

    client.before_call = delete_one
    found = await read_all(client, START, before)

    # Version 1 was seen on the first page; the next full read removes it.
    assert numbers(found) == {"m": {"1", "2", "3", "4", "5", "6"}}
    assert numbers(await read_all(client, START, found)) == {"m": {"2", "3", "4", "5", "6"}}


async def test_a_model_that_a_page_hid_is_looked_for_again(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MODELS_PAGE", 2)
    for i in range(4):
        client.add(f"m{i}", "1", i)
    before = await read_all(client, START, None)
    client.calls.clear()

    def delete_one(call: str) -> None:
        if client.calls == ["models", "models"]:
            del client.models["m0"]
            del client.rows[0]

    client.before_call = delete_one
    found = await read_changes(client, before)

    assert set(found.models) == {"m0", "m1", "m2", "m3"}
    assert set((await read_changes(client, found)).models) == {"m1", "m2", "m3"}


async def test_pages_too_large_to_read_are_asked_for_in_smaller_ones(client: Any) -> None:
    sizes: list[int] = []
    real = client.search_versions

    async def search(**query: Any) -> Any:
        sizes.append(query["page_size"])
        if query["page_size"] > 50:
            raise RequestRejected("too large", error_code="ANSWER_TOO_LARGE")
        return await real(**query)

    client.search_versions = search
    for i in range(60):
        client.add("m", str(i + 1), i)

    assert len((await read_all(client, START, None)).versions["m"]) == 60
    assert sizes == [2500, 1250, 625, 312, 156, 78, 39, 39]


async def test_news_stop_at_what_is_known_and_ties_are_not_lost(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHANGES_PAGE", 2)
    for i in range(20):
        client.add(f"old{i:02}", "1", 100 + i)
    before = await read_all(client, START, None)
    for i in range(3):
        client.add(f"tie{i}", "1", 119)
    client.calls.clear()

    found = await read_changes(client, before)

    assert {f"tie{i}" for i in range(3)} <= set(found.versions)
    assert client.calls.count("news") == 3


async def test_news_see_moved_aliases_and_vanished_models(client: Any) -> None:
    client.add("stays", "1", 1)
    client.add("stays", "2", 2)
    client.add("goes", "1", 3)
    client.models["stays"]["champion"] = "1"
    before = await read_all(client, START, None)
    client.models["stays"]["champion"] = "2"
    del client.models["goes"]
    client.rows = [row for row in client.rows if row.name != "goes"]

    found = await read_changes(client, before)

    assert found.models["stays"].aliases == {"champion": "2"}
    assert numbers(found) == {"stays": {"1", "2"}}


async def test_a_recreated_model_has_none_of_its_old_versions(client: Any) -> None:
    for number in ("1", "2", "3"):
        client.add("m", number, int(number), created_ms=1)
    before = await read_all(client, START, None)
    client.rows.clear()
    client.born["m"] = 50
    client.add("m", "1", 50, created_ms=50)

    found = await read_changes(client, before)

    assert numbers(found) == {"m": {"1"}}
    assert found.versions["m"]["1"].created_at != before.versions["m"]["1"].created_at


async def test_a_renamed_model_is_read_by_name(client: Any) -> None:
    client.add("old", "1", 1)
    client.add("old", "2", 2)
    for i in range(300):
        client.add("busy", str(i + 1), 100)
    before = await read_all(client, START, None)
    client.models["new"] = client.models.pop("old")
    for row in client.rows:
        row.name = {"old": "new"}.get(row.name, row.name)
    for i in range(300):
        client.add("busy", str(i + 301), 200)

    found = await read_changes(client, before)

    assert numbers(found)["new"] == {"1", "2"}
    assert "old" not in found.versions


async def test_an_alias_of_an_unlisted_version_makes_its_model_read(client: Any) -> None:
    client.add("m", "1", 1)

    def race(call: str) -> None:
        # Created between the two lists, and aliased before the first.
        if call.startswith("versions name"):
            client.rows.append(late)

    late = client.add("m", "2", 2)
    client.rows.remove(late)
    client.models["m"]["champion"] = "2"
    client.before_call = race

    assert numbers(await read_all(client, START, None)) == {"m": {"1", "2"}}
