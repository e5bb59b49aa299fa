"""The reverse index: complete, paged, and the same result as a search in all versions."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.strategies import EPOCH

from feature_lineage.features.definitions import feeding_views
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion
from feature_lineage.models.impact_page import AffectedVersion
from feature_lineage.models.index import ReverseIndex, build
from feature_lineage.models.links import Link

REAL = some.real_snapshot()
CONV = FeatureRef("driver_hourly_stats", "conv_rate")


def _entry(
    model: str, version: str, *texts: str, service: str = "", aliases: tuple[str, ...] = ()
) -> tuple[ModelVersion, Link]:
    refs = tuple(FeatureRef.parse(text) for text in texts)
    return ModelVersion(model, version, EPOCH, aliases=aliases), Link(refs=refs, service=service)


INDEX = build(
    [
        _entry("b", "10", "driver_hourly_stats:conv_rate", service="v1", aliases=("champion",)),
        _entry("b", "9", "driver_hourly_stats@v1:conv_rate", "globals_view:g"),
        _entry("a", "1", "transformed:conv_plus", service="v2"),
        _entry("a", "2", "driver_customer:clicks", service="v1"),
        _entry("c", "1", "mixed:mix", aliases=("champion", "prod")),
        _entry("d", "1"),
    ],
    REAL,
)


def _names(index: ReverseIndex, ref: FeatureRef) -> list[str]:
    return [f"{item.model}/{item.version}" for item in index.impact_of_feature(ref)]


def test_a_feature_reaches_all_versions_and_computed_views() -> None:
    assert _names(INDEX, CONV) == ["a/1", "b/9", "b/10", "c/1"]


def test_a_feature_does_not_reach_views_that_do_not_read_it() -> None:
    assert _names(INDEX, FeatureRef("driver_hourly_stats", "acc_rate")) == ["a/1"]


def test_a_view_reaches_its_users_and_users_of_views_it_feeds() -> None:
    actual = INDEX.impact_of_view("driver_customer")

    assert [(item.model, item.version) for item in actual] == [("a", "2"), ("c", "1")]
    assert [list(map(str, item.features)) for item in actual] == [
        ["driver_customer:clicks"],
        ["mixed:mix"],
    ]


def test_an_answer_says_services_and_aliases() -> None:
    actual = INDEX.impact_of_view("driver_hourly_stats")

    assert actual.page().services == ("v1", "v2")
    assert (actual.page().total, actual.page().promoted) == (4, 2)
    assert {item.aliases for item in actual} == {(), ("champion",), ("champion", "prod")}


def test_a_service_reaches_who_is_served_through_it() -> None:
    actual = INDEX.impact_of_service("v1")

    assert [(item.model, item.version) for item in actual] == [("a", "2"), ("b", "10")]


@pytest.mark.parametrize("name", ["", "gone", "フィード"])
def test_unused_names_reach_no_version(name: str) -> None:
    assert len(INDEX.impact_of_view(name)) == 0
    assert len(INDEX.impact_of_service(name)) == 0
    assert INDEX.impact_of_feature(FeatureRef(name, "x")).page().items == ()


def test_without_a_registry_direct_users_are_found() -> None:
    index = build([_entry("a", "1", "mixed:mix"), _entry("b", "1", str(CONV))])

    assert _names(index, CONV) == ["b/1"]


def test_pages_are_complete_and_sorted_by_version_number() -> None:
    index = build([_entry("m", str(n), str(CONV)) for n in (2, 10, 1, 30, 4)])
    reach = index.impact_of_feature(CONV)

    first = reach.page(limit=2)
    second = reach.page(first.after, limit=2)
    third = reach.page(second.after, limit=2)

    assert [item.version for page in (first, second, third) for item in page.items] == [
        "1",
        "2",
        "4",
        "10",
        "30",
    ]
    assert (first.total, third.after) == (5, None)


def test_a_cursor_stays_good_when_its_version_is_gone() -> None:
    before = build([_entry("m", str(n), str(CONV)) for n in (1, 2, 3)])
    after = build([_entry("m", str(n), str(CONV)) for n in (1, 3)])
    cursor = before.impact_of_feature(CONV).page(limit=2).after

    page = after.impact_of_feature(CONV).page(cursor)

    assert [item.version for item in page.items] == ["3"]


@pytest.mark.parametrize("cursor", ["", "/", "m", "ö/x/y", "m/-1"])
def test_a_cursor_that_is_none_is_no_error(cursor: str) -> None:
    assert INDEX.impact_of_feature(CONV).page(cursor, limit=0).total == 4


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[RegistrySnapshot, list[tuple[ModelVersion, Link]]]:
    snapshot = draw(some.snapshots())
    entries = []
    for number in range(draw(st.integers(0, 8))):
        version, _ = draw(some.trained_versions(snapshot))
        refs = draw(some.used_refs(snapshot))
        if draw(st.booleans()):
            refs = (*refs, replace(refs[0], version=1))
        link = Link(refs=refs, service=draw(st.sampled_from(["", "v1", "v2"])))
        entries.append((replace(version, version=str(number)), link))
    return snapshot, entries


@given(_worlds(), st.integers(1, 4))
def test_the_index_agrees_with_looking_through_everything(
    world: tuple[RegistrySnapshot, list[tuple[ModelVersion, Link]]], limit: int
) -> None:
    snapshot, entries = world
    index = build(entries, snapshot)

    for _, view, _ in snapshot.views():
        expected = {
            (version.name, version.version)
            for version, link in entries
            if any(view in feeding_views(snapshot, ref.view) for ref in link.refs)
        }
        found: list[AffectedVersion] = []
        page = index.impact_of_view(view).page(limit=limit)
        found += page.items
        while page.after is not None:
            page = index.impact_of_view(view).page(page.after, limit=limit)
            found += page.items
        assert len(found) == page.total
        assert expected == {(item.model, item.version) for item in found}
    for service in ("v1", "v2"):
        expected = {(v.name, v.version) for v, link in entries if link.service == service}
        actual = {(item.model, item.version) for item in index.impact_of_service(service)}
        assert expected == actual
