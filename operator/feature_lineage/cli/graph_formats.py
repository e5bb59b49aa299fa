"""The lineage graph as text, Mermaid or DOT."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from feature_lineage.api.enums import Verdict
from feature_lineage.errors import TerminalError
from feature_lineage.lineage.answers import GraphAnswer, NodeAnswer
from feature_lineage.lineage.nodes import NodeKind
from feature_lineage.shorten import visible

MAX_EDGES: Final = 500
MAX_CHARACTERS: Final = 50_000
"""Mermaid's defaults for `maxEdges` and `maxTextSize`, which GitHub does not let anybody raise."""

_SHAPES: Final[Mapping[NodeKind, tuple[str, str, str]]] = {
    NodeKind.SOURCE: ('[("', '")]', "cylinder"),
    NodeKind.ENTITY: ('(["', '"])', "ellipse"),
    NodeKind.VIEW: ('["', '"]', "box"),
    NodeKind.FEATURE: ('("', '")', "box"),
    NodeKind.SERVICE: ('{{"', '"}}', "hexagon"),
    NodeKind.MODEL: ('[["', '"]]', "box3d"),
    NodeKind.ALIAS: ('>"', '"]', "cds"),
}
"""Opening and closing brackets in Mermaid, shape in DOT."""
_COLOURS: Final = {
    Verdict.VERIFIED: "#d3f2d6",
    Verdict.UNCHANGED: "#d3f2d6",
    Verdict.CHANGED: "#fdf0c4",
    Verdict.BROKEN: "#f9d0d0",
}


def as_text(graph: GraphAnswer) -> str:
    """One line for each edge, and for each node without one."""
    names = [f"{node.kind}/{node.name}{_mark(node)}" for node in graph.nodes]
    lines = [f"{names[before]} -> {names[after]}" for before, after in graph.edges]
    joined = {place for edge in graph.edges for place in edge}
    lines += [name for place, name in enumerate(names) if place not in joined]
    return "\n".join(map(visible, lines))


def as_mermaid(graph: GraphAnswer) -> str:
    """A Mermaid flowchart.

    Raises:
        TerminalError: Mermaid would refuse to draw it.
    """
    text = "\n".join(_mermaid(graph))
    edges = len(graph.edges)
    if edges > MAX_EDGES or len(text) > MAX_CHARACTERS:
        raise TerminalError(
            f"{graph.resource}: the graph has {edges} edges in {len(text)} characters, and Mermaid "
            f"draws at most {MAX_EDGES} and {MAX_CHARACTERS}; name an object, take fewer steps "
            "with --up and --down, leave out --features, or use -o dot or -o json"
        )
    return text


def as_dot(graph: GraphAnswer) -> str:
    """A directed graph for Graphviz, with one rank for each kind."""
    return "\n".join(_dot(graph))


FORMATS: Final[Mapping[str, Callable[[GraphAnswer], str]]] = {
    "text": as_text,
    "mermaid": as_mermaid,
    "dot": as_dot,
}


def _mermaid(graph: GraphAnswer) -> Iterator[str]:
    yield "flowchart LR"
    for place, node in enumerate(graph.nodes):
        before, after, _ = _SHAPES[node.kind]
        yield f"  n{place}{before}{_mermaid_text(_label(node))}{after}"
    yield from (f"  n{before} --> n{after}" for before, after in graph.edges)
    for verdict, colour in _COLOURS.items():
        places = [f"n{place}" for place, node in enumerate(graph.nodes) if node.verdict == verdict]
        if places:
            yield f"  classDef {verdict} fill:{colour},color:#000000"
            yield f"  class {','.join(places)} {verdict}"


def _dot(graph: GraphAnswer) -> Iterator[str]:
    yield "digraph lineage {"
    yield "  rankdir=LR; splines=line; node [fontname=sans];"
    for place, node in enumerate(graph.nodes):
        colour = _COLOURS.get(node.verdict or Verdict.UNKNOWN)
        filled = f' style=filled fillcolor="{colour}"' if colour else ""
        shape = _SHAPES[node.kind][2]
        yield f'  n{place} [label="{_dot_text(_label(node))}" shape={shape}{filled}];'
    for kind in NodeKind:
        places = [f"n{place}" for place, node in enumerate(graph.nodes) if node.kind is kind]
        if len(places) > 1:
            yield f"  {{ rank=same; {' '.join(places)} }}"
    yield from (f"  n{before} -> n{after};" for before, after in graph.edges)
    yield "}"


def _label(node: NodeAnswer) -> str:
    return visible(f"{node.name}{_mark(node)}")


def _mark(node: NodeAnswer) -> str:
    if not node.defined:
        return " (not in the registry)"
    return f" ({node.verdict})" if node.verdict else ""


def _mermaid_text(text: str) -> str:
    """Text in quotes: Mermaid reads entities, Markdown and HTML in it."""
    return "".join(c if c.isalnum() or c in " _-./:@()" else f"#{ord(c)};" for c in text)


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
