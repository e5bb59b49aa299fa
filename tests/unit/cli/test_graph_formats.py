"""Graphs for people and for other programs, from names that a tenant chose."""

import re

import pytest

from feature_lineage.api.enums import Verdict
from feature_lineage.cli.graph_formats import MAX_EDGES, as_dot, as_mermaid, as_text
from feature_lineage.errors import TerminalError
from feature_lineage.lineage.answers import AsOf, GraphAnswer, NodeAnswer
from feature_lineage.lineage.nodes import NodeKind

HOSTILE = 'end"]; click n0 "javascript:x" <script>`\n\x1b[31m#quot; %%{init}%% ü\\'


def graph(*names: str, edges: tuple[tuple[int, int], ...] = ()) -> GraphAnswer:
    nodes = tuple(NodeAnswer(kind=NodeKind.VIEW, name=name) for name in names)
    return GraphAnswer(resource="ml/driver", as_of=AsOf(), nodes=nodes, edges=edges)


def test_a_name_cannot_leave_its_quotes_in_mermaid() -> None:
    lines = as_mermaid(graph(HOSTILE, "b", edges=((0, 1),))).splitlines()
    assert len(lines) == 4
    label = re.fullmatch(r'  n0\["(.*)"\]', lines[1])
    assert label is not None
    assert not set('"<>`\\%\n\x1b') & set(label[1])
    assert "ü" in label[1]
    assert lines[3] == "  n0 --> n1"


def test_a_name_cannot_leave_its_quotes_in_dot() -> None:
    text = as_dot(graph(HOSTILE))
    label = re.search(r'label="((?:[^"\\]|\\.)*)" shape=box\]', text)
    assert label is not None
    assert "\n" not in label[1]
    assert "\x1b" not in text


def test_a_terminal_gets_no_control_characters() -> None:
    assert "\x1b" not in as_text(graph(HOSTILE))


@pytest.mark.parametrize(
    "found",
    [
        graph("a", "b", edges=((0, 1),) * (MAX_EDGES + 1)),
        graph(*("n" * 60 for _ in range(1000))),
    ],
    ids=["edges", "characters"],
)
def test_what_mermaid_would_not_draw_is_refused(found: GraphAnswer) -> None:
    with pytest.raises(TerminalError, match="--up and --down"):
        as_mermaid(found)


def test_a_verdict_has_a_colour_and_a_word() -> None:
    broken = NodeAnswer(kind=NodeKind.MODEL, name="m/1", verdict=Verdict.BROKEN, reason="Broken")
    gone = NodeAnswer(kind=NodeKind.FEATURE, name="v:f", defined=False)
    found = GraphAnswer(resource="ml/driver", as_of=AsOf(), nodes=(gone, broken), edges=((0, 1),))
    assert as_text(found) == "feature/v:f (not in the registry) -> model/m/1 (Broken)"
    assert "class n1 Broken" in as_mermaid(found)
    assert "fillcolor" in as_dot(found)
