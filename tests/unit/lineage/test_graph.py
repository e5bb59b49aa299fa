"""The lineage graph: the same users as the reverse index finds, from any node, to any depth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.unit.lineage.build import REAL, USERS, lineage, version, versions

from feature_lineage.errors import TerminalError
from feature_lineage.lineage.graph import Subgraph
from feature_lineage.lineage.nodes import Node, NodeKind, parse_node
from feature_lineage.untrusted import TooLarge

GRAPH = lineage(*USERS).graph


def _names(graph: Subgraph, kind: NodeKind) -> list[str]:
    return [node.name for node in graph.nodes if node.kind is kind]


def _down(name: str, steps: int | None = None) -> list[str]:
    return list(map(str, GRAPH.around(parse_node(name), 0, steps).nodes))


def _up(name: str, steps: int | None = None) -> list[str]:
    return list(map(str, GRAPH.around(parse_node(name), steps, 0).nodes))


def test_a_source_reaches_the_aliases_of_models() -> None:
    assert "alias/c@champion" in _down("source/daily_source")
    assert "model/a/1" not in _down("source/daily_source")


def test_an_alias_depends_on_sources_and_entities() -> None:
    found = _up("alias/c@champion")
    assert {"source/daily_source", "entity/driver", "entity/customer"} <= set(found)
    assert "view/driver_hourly_stats" in found, "mixed computes from it"
    assert "feature/driver_hourly_stats:acc_rate" not in found, "mixed does not read it"


def test_a_stream_source_is_filled_from_its_batch_source() -> None:
    assert _up("source/kafka_source", 1) == ["source/hourly_source", "source/kafka_source"]


def test_a_request_source_reaches_the_view_that_reads_it() -> None:
    assert _down("source/vals", 1) == ["source/vals", "view/transformed"]


def test_steps_bound_the_depth() -> None:
    assert _down("view/globals_view", 0) == ["view/globals_view"]
    assert _down("view/globals_view", 1) == ["view/globals_view", "feature/globals_view:g"]
    assert "model/b/9" in _down("view/globals_view", 2)
    assert "alias/b@champion" not in _down("view/globals_view", 2)


def test_without_features_a_step_is_an_edge_that_is_shown() -> None:
    found = GRAPH.around(parse_node("driver_hourly_stats"), 0, 1, features=False)
    shown = set(map(str, found.nodes))
    assert {"service/driver_activity_v1", "model/b/9", "view/transformed"} <= shown
    assert "model/a/1" not in shown, "through transformed: two steps"
    assert not _names(found, NodeKind.FEATURE)
    back = GRAPH.around(parse_node("service/driver_activity_v1"), 1, 0, features=False)
    assert "view/driver_hourly_stats" in set(map(str, back.nodes))
    assert "source/hourly_source" not in set(map(str, back.nodes))


def test_a_graph_of_many_edges_is_refused() -> None:
    with pytest.raises(TooLarge, match="edges"):
        GRAPH.around(None, None, None, edges=3)
    with pytest.raises(TooLarge, match="nodes"):
        GRAPH.around(None, None, None, nodes=3)


def test_versions_of_a_model_are_in_the_order_of_numbers() -> None:
    versions = _names(GRAPH.around(None, None, None), NodeKind.MODEL)
    assert versions == ["a/1", "a/2", "b/9", "b/10", "c/1", "d/1"]


def test_the_whole_graph_has_every_object_of_the_registry() -> None:
    whole = GRAPH.around(None, None, None)
    assert set(_names(whole, NodeKind.VIEW)) == {name for _, name, _ in REAL.views()}
    assert set(_names(whole, NodeKind.SERVICE)) == {
        "driver_activity_v1", "driver_activity_v2", "v1", "v2",
    }  # fmt: skip
    assert parse_node("service/driver_activity_v1") in GRAPH.defined
    assert parse_node("service/v1") not in GRAPH.defined


def test_a_feature_that_is_gone_is_still_what_a_model_uses() -> None:
    graph = lineage(version("m", "1", "old_view:old")).graph
    found = graph.around(parse_node("view/old_view"), None, None)
    assert list(map(str, found.nodes)) == ["view/old_view", "feature/old_view:old", "model/m/1"]
    assert not set(found.nodes) & graph.defined


def test_a_feature_that_a_service_got_later_reaches_its_models() -> None:
    """The service is retrieved as it is now, with all of its features."""
    used = version("m", "1", "driver_hourly_stats:acc_rate", service="driver_activity_v1")
    found = lineage(used).graph.around(parse_node("driver_hourly_stats:conv_rate"), 0, None)
    assert _names(found, NodeKind.MODEL) == ["m/1"]


def test_without_a_registry_there_are_models_and_their_features() -> None:
    graph = lineage(*USERS, snapshot=None).graph
    assert "model/c/1" in {str(node) for node in graph.downstream(parse_node("mixed:mix"))}


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("stats", Node(NodeKind.VIEW, "stats")),
        ("view/service/x", Node(NodeKind.VIEW, "service/x")),
        ("stats@v2:f", Node(NodeKind.FEATURE, "stats:f")),
        ("feature/stats:f", Node(NodeKind.FEATURE, "stats:f")),
        ("service/a/b", Node(NodeKind.SERVICE, "a/b")),
        ("models:/fraud/3", Node(NodeKind.MODEL, "fraud/3")),
        ("models:/fraud@champion", Node(NodeKind.ALIAS, "fraud@champion")),
        ("alias/fraud@champion", Node(NodeKind.ALIAS, "fraud@champion")),
        ("folder/x", Node(NodeKind.VIEW, "folder/x")),
    ],
)
def test_a_name_is_a_node(text: str, node: Node) -> None:
    assert parse_node(text) == node


@pytest.mark.parametrize(
    "text", ["", "model/fraud", "alias/fraud", "service/", "models:/fraud", "a:b:c", "model//3"]
)
def test_another_text_says_what_to_write(text: str) -> None:
    with pytest.raises(TerminalError, match=r"write"):
        parse_node(text)


@given(st.data())
def test_both_directions_see_the_same_edges(data: st.DataObject) -> None:
    snapshot = data.draw(some.snapshots())
    graph = lineage(*data.draw(versions(snapshot)), snapshot=snapshot).graph
    nodes = set(graph.nodes())
    down = {(node, after) for node in nodes for after in graph.downstream(node)}
    up = {(before, node) for node in nodes for before in graph.upstream(node)}
    assert down == up
    assert {node for edge in down for node in edge} <= nodes
    assert all(node in graph for node in nodes)


@given(st.data())
def test_the_users_are_the_models_downstream(data: st.DataObject) -> None:
    snapshot = data.draw(some.snapshots())
    graph = lineage(*data.draw(versions(snapshot)), snapshot=snapshot).graph
    for node in graph.nodes():
        if node.kind not in (NodeKind.MODEL, NodeKind.ALIAS):
            users, _ = graph.users_of(node)
            found = graph.around(node, 0, None)
            assert [user.cursor for user in users] == _names(found, NodeKind.MODEL)
