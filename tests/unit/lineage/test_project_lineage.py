"""What a project's lineage answers: users, pages, names, and what nobody uses."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.strategies import EPOCH
from tests.unit.lineage.build import CONV, DAY, REAL, USERS, lineage, version, versions

from feature_lineage.errors import NotFound, TerminalError
from feature_lineage.features.definitions import feeding_views
from feature_lineage.features.services import service_refs
from feature_lineage.lineage import feast_ui
from feature_lineage.lineage.answers import ImpactAnswer, UnknownVersions
from feature_lineage.lineage.nodes import Node, NodeKind, view_of
from feature_lineage.lineage.project_lineage import MAX_VERSIONS, ProjectLineage
from feature_lineage.reasons import Reason

USED = lineage(
    version("a", "1", "driver_hourly_stats:conv_rate", days=1),
    version("a", "2", "driver_hourly_stats:acc_rate", days=50, aliases=("champion",)),
    version("b", "1", "transformed:conv_plus", days=2, run_id="r1", model_id="m-" + "0" * 32),
    version("b", "2", days=3, run_id="r1"),
)


FOUND = lineage(*USERS)


def affected(answer: ImpactAnswer) -> list[str]:
    return [f"{item.model}/{item.version}" for item in answer.items]


@pytest.mark.parametrize(
    ("name", "users"),
    [
        (CONV, ["a/1", "b/9", "b/10", "c/1"]),
        ("driver_hourly_stats:acc_rate", ["a/1"]),
        ("driver_customer", ["a/2", "c/1"]),
        ("service/v1", ["a/2", "b/10"]),
        ("source/daily_source", ["a/2", "b/9", "c/1"]),
        ("entity/customer", ["a/2", "c/1"]),
        ("source/vals", ["a/1"]),
    ],
)
def test_users_are_found_through_computed_views(name: str, users: list[str]) -> None:
    assert affected(FOUND.impact(name)) == users


def test_an_answer_says_features_services_and_aliases() -> None:
    answer = FOUND.impact("driver_hourly_stats")
    assert (answer.total, answer.promoted, answer.services) == (4, 2, ("v1", "v2"))
    assert [item.features for item in answer.items] == [
        ("transformed:conv_plus",),
        ("driver_hourly_stats@v1:conv_rate",),
        (CONV,),
        ("mixed:mix",),
    ]
    assert answer.items[3].aliases == ("champion", "prod")


def test_without_a_registry_direct_users_are_found() -> None:
    assert affected(lineage(*USERS, snapshot=None).impact(CONV)) == ["b/9", "b/10"]


def test_pages_of_users_are_complete_and_sorted_by_number() -> None:
    every = lineage(*(version("m", str(n), CONV) for n in (2, 10, 1, 30, 4)))
    first = every.impact(CONV, limit=2)
    second = every.impact(CONV, after=first.after, limit=2)
    third = every.impact(CONV, after=second.after, limit=2)
    assert [*affected(first), *affected(second), *affected(third)] == [
        *("m/1", "m/2", "m/4", "m/10", "m/30"),
    ]
    assert (first.total, third.after) == (5, None)


def test_a_cursor_stays_good_when_its_version_is_gone() -> None:
    before = lineage(*(version("m", str(n), CONV) for n in (1, 2, 3)))
    after = lineage(*(version("m", str(n), CONV) for n in (1, 3)))
    cursor = before.impact(CONV, limit=2).after
    assert affected(after.impact(CONV, after=cursor)) == ["m/3"]


@pytest.mark.parametrize("cursor", ["", "/", "m", "ö/x/y", "m/-1"])
def test_a_cursor_that_is_none_is_no_error(cursor: str) -> None:
    assert FOUND.impact(CONV, after=cursor).total == 4


@given(st.data())
def test_impact_agrees_with_looking_through_everything(data: st.DataObject) -> None:
    snapshot = data.draw(some.snapshots())
    items = data.draw(versions(snapshot))
    found = lineage(*items, snapshot=snapshot)
    for _, view, _ in snapshot.views():
        expected = [
            f"m/{item.version.version}"
            for item in items
            if any(view in feeding_views(snapshot, ref.view) for ref in item.link.refs)
        ]
        assert affected(found.impact(view)) == expected
    for service in snapshot.objects.get("feature_service", {}):
        served = [f"m/{i.version.version}" for i in items if i.link.service == service]
        assert affected(found.impact(f"service/{service}")) == served


def unused(of: ProjectLineage, days: int) -> list[str]:
    return [f"{each.kind}/{each.name}" for each in of.unused(EPOCH + days * DAY).items]


def test_a_view_without_a_version_is_unused() -> None:
    assert "view/globals_view" in unused(USED, 0)
    assert not {"view/driver_hourly_stats", "view/transformed"} & set(unused(USED, 0))


def test_a_feature_of_an_unused_view_is_not_listed_beside_it() -> None:
    assert "feature/globals_view:g" not in unused(USED, 0)


def test_an_old_version_without_an_alias_is_no_user() -> None:
    page = USED.unused(EPOCH + 90 * DAY)
    found = {each.name: each.last_used_at for each in page.items}
    assert found["driver_hourly_stats:conv_rate"] == EPOCH + 2 * DAY, "through transformed"
    assert found["transformed"] == EPOCH + 2 * DAY
    assert found["globals_view"] is None
    assert "driver_hourly_stats:acc_rate" not in found, "its user has an alias"


def test_a_protected_service_is_a_user() -> None:
    services = {"protection": {"services": {"include": ["driver_activity_v1"]}}}
    protected = lineage(apply=services)
    members = {str(ref.view) for ref in service_refs(REAL, "driver_activity_v1") or ()}
    assert not {f"view/{view}" for view in members} & set(unused(protected, 90))
    assert {f"view/{view}" for view in members} <= set(unused(lineage(), 90))


@given(st.data())
def test_unused_agrees_with_a_search_from_each_object(data: st.DataObject) -> None:
    snapshot = data.draw(some.snapshots())
    items = data.draw(versions(snapshot))
    found = lineage(*items, snapshot=snapshot)
    since = EPOCH + 2 * DAY

    def is_used(node: Node) -> bool:
        reached = found.graph.around(node, 0, None).nodes
        users = [n.name.rpartition("/")[2] for n in reached if n.kind is NodeKind.MODEL]
        facts = [found.linked["m", number].version for number in users]
        return any(each.aliases or each.created_at >= since for each in facts)

    views = [Node(NodeKind.VIEW, name) for _, name, _ in snapshot.views()]
    expected = {view for view in views if not is_used(view)}
    for node in found.graph.defined:
        is_feature = node.kind is NodeKind.FEATURE
        if is_feature and Node(NodeKind.VIEW, view_of(node)) not in expected and not is_used(node):
            expected.add(node)
    assert {Node(each.kind, each.name) for each in found.unused(since).items} == expected


def test_pages_of_versions_are_complete() -> None:
    seen, after = [], None
    while True:
        page = USED.versions(after=after, limit=1)
        assert page.total == 4
        seen += [f"{item.model}/{item.version}" for item in page.items]
        after = page.after
        if after is None:
            break
    assert seen == ["a/1", "a/2", "b/1", "b/2"]


def test_equal_names_are_found_first_and_case_does_not_matter() -> None:
    found = [node.name for node in USED.search("DRIVER").items]
    assert found[0] == "driver"
    assert found[1].startswith("driver")
    pages = [USED.search("driver", after=place, limit=1).items[0].name for place in range(3)]
    assert pages == found[:3]


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("models:/a@champion", ["a/2"]),
        ("runs:/r1", ["b/1", "b/2"]),
        ("runs:/r1/model", ["b/1", "b/2"]),
        ("models:/m-" + "0" * 32, ["b/1"]),
    ],
)
def test_a_version_has_several_names(name: str, versions: list[str]) -> None:
    found = [answer.version for answer in USED.features(name)]
    assert [f"{each.model}/{each.version}" for each in found] == versions


@pytest.mark.parametrize("name", ["runs:/r2", "models:/m-" + "1" * 32, "models:/a/3", "model/c/1"])
def test_a_version_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(NotFound):
        USED.features(name)


def test_features_are_those_of_a_version() -> None:
    with pytest.raises(TerminalError, match="not a model version"):
        USED.features("driver_hourly_stats")


def test_an_unknown_name_has_a_neighbour() -> None:
    with pytest.raises(NotFound, match="did you mean driver_hourly_stats"):
        USED.around("driver_hourly_stat")


def test_a_graph_that_is_too_large_is_refused() -> None:
    with pytest.raises(TerminalError, match="fewer steps"):
        USED.around(None, limit=3)


def test_a_version_without_known_features_says_why() -> None:
    item = version("m", "1")
    item = replace(item, link=replace(item.link, problems=("the run has no record",)))
    (found,) = lineage(item).versions().items
    assert (found.features, found.message) == (0, "the run has no record")


def test_versions_that_may_be_affected_are_counted_apart() -> None:
    """A list that Feast has cut is known in part only."""
    cut = version("cut", "1", CONV)
    cut = replace(cut, link=replace(cut.link, reason=Reason.AMBIGUOUS))
    found = lineage(cut, version("none", "1"), version("all", "1", CONV))
    answer = found.impact("driver_hourly_stats:acc_rate")
    assert answer.unknown == UnknownVersions(total=2, first=("cut/1", "none/1"))
    shown = found.impact(CONV)
    assert (affected(shown), shown.unknown) == (
        ["all/1", "cut/1"],
        UnknownVersions(total=1, first=("none/1",)),
    )
    assert found.unused(EPOCH).unknown == UnknownVersions(total=2, first=("cut/1", "none/1"))
    assert lineage(version("all", "1", CONV)).impact(CONV).unknown is None


def test_a_similar_name_is_looked_for_in_a_bounded_time() -> None:
    long = "ab" * 200
    with pytest.raises(NotFound) as refused:
        FOUND.impact(long)
    assert "did you mean" not in str(refused.value)


def test_a_run_with_too_many_versions_is_refused() -> None:
    every = lineage(*(version("m", str(n), run_id="r") for n in range(MAX_VERSIONS + 1)))
    with pytest.raises(TerminalError, match="name one"):
        every.features("runs:/r")


def test_the_answer_for_feasts_ui_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = lineage(version("m", "1", CONV, aliases=tuple(f"alias_{n}" for n in range(50))))
    (model,) = feast_ui.feature_models(many).feature_models[CONV]
    assert len(model.aliases) == feast_ui.MAX_ALIASES
    monkeypatch.setattr(feast_ui, "MAX_USES", 0)
    with pytest.raises(TerminalError, match="names at most 0"):
        feast_ui.feature_models(many)
