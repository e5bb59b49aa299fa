"""The lineage graph of one project: from data sources to the aliases of model versions.

    source, entity → view → feature → feature service → model version → alias

A feature of an on-demand view depends on the features that its view reads. Edges run with the data:
downstream of a node is what a change of it may affect. The part that the registry defines is built
once per snapshot; model versions come from the reverse index when they are asked for.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from feature_lineage.features import views
from feature_lineage.features.services import service_refs
from feature_lineage.features.snapshot import JsonObject, RegistrySnapshot
from feature_lineage.lineage.nodes import (
    Node,
    NodeKind,
    NodeOrder,
    alias_node,
    feature_node,
    node_order,
    version_node,
    view_of,
)
from feature_lineage.models.index import IndexedVersion, ReverseIndex
from feature_lineage.untrusted import TooLarge

_Value = TypeVar("_Value")
Edge = tuple[Node, Node]
"""From what is read to what reads it."""

_SOURCE_KEYS = ("batch_source", "stream_source", "source")


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A part of the graph.

    Attributes:
        nodes: sorted by kind and name.
        edges: those between the nodes, sorted in the same way.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


class LineageGraph:
    """The graph of one project at one time.

    Args:
        snapshot: the registry; None if it was never read.
        index: the model versions with their features.
    """

    def __init__(self, snapshot: RegistrySnapshot | None, index: ReverseIndex) -> None:
        self._snapshot = snapshot
        self._index = index
        self._down: dict[Node, dict[Node, None]] = {}
        self._up: dict[Node, dict[Node, None]] = {}
        self.defined: frozenset[Node] = frozenset()
        """What the registry defines. A model may use a feature that it does not define any more."""
        if snapshot is not None:
            self._add_registry(snapshot)
            self.defined = frozenset(self._up)
        for ref in index.used_refs:
            self._add(Node(NodeKind.VIEW, ref.view), feature_node(ref))
        for service in index.used_services:
            self._add_node(Node(NodeKind.SERVICE, service))

    def __contains__(self, node: Node) -> bool:
        if node.kind is NodeKind.MODEL:
            return self._version(node) is not None
        if node.kind is NodeKind.ALIAS:
            return any(True for _ in self.upstream(node))
        return node in self._up

    def nodes(self) -> Iterator[Node]:
        """Every node, in no order."""
        yield from self._up
        for version in self._index.versions:
            yield version_node(version)
            yield from (alias_node(version.model, alias) for alias in version.aliases)

    def downstream(self, node: Node) -> Iterator[Node]:
        """What reads the node directly."""
        if node.kind is NodeKind.MODEL:
            if (version := self._version(node)) is not None:
                yield from (alias_node(version.model, alias) for alias in version.aliases)
            return
        yield from self._down.get(node, ())
        yield from map(version_node, self._users(node))

    def upstream(self, node: Node) -> Iterator[Node]:
        """What the node reads directly."""
        if node.kind is NodeKind.MODEL:
            if (version := self._version(node)) is not None:
                features = dict.fromkeys(map(feature_node, version.refs))
                yield from (each for each in features if not self._through_service(each, version))
                if version.service:
                    yield Node(NodeKind.SERVICE, version.service)
        elif node.kind is NodeKind.ALIAS:
            model, _, alias = node.name.rpartition("@")
            for version in self._index.of_model(model):
                if alias in version.aliases:
                    yield version_node(version)
        else:
            yield from self._up.get(node, ())

    def around(
        self,
        focus: Node | None,
        up: int | None,
        down: int | None,
        *,
        features: bool = True,
        nodes: int | None = None,
        edges: int | None = None,
    ) -> Subgraph:
        """What the focus depends on and what depends on it.

        Args:
            focus: None: the whole graph.
            up, down: how many steps; None: all.
            features: whether features are nodes. Without them each is merged into its view, but
                the focus, and takes no step.
            nodes, edges: the most of them; None: any number.

        Raises:
            TooLarge: there are more.
        """
        if focus is None:
            found = set(self.nodes())
        else:
            found = self._reached(focus, self.upstream, up, features=features)
            found |= self._reached(focus, self.downstream, down, features=features)
        shown = found if features else {_merged(node, focus) for node in found}
        if nodes is not None and len(shown) > nodes:
            raise TooLarge(f"{len(shown)} nodes, and an answer at most {nodes}")
        joined: dict[Edge, None] = {}
        for node in found:
            for after in self.downstream(node):
                if after in found:
                    edge = (
                        (node, after) if features else (_merged(node, focus), _merged(after, focus))
                    )
                    if edge[0] != edge[1]:
                        joined[edge] = None
            if edges is not None and len(joined) > edges:
                raise TooLarge(f"more than {edges} edges, and an answer at most so many")
        return Subgraph(tuple(sorted_nodes(shown)), tuple(sorted(joined, key=_edge_order)))

    def users_of(self, node: Node) -> tuple[tuple[IndexedVersion, ...], set[Node]]:
        """The model versions that a change of an object of the registry may affect, sorted.

        The second value is what lies between: the object, features, views and services.
        """
        reached: set[Node] = set()
        versions: dict[str, IndexedVersion] = {}
        pending = [node]
        while pending:
            each = pending.pop()
            if each not in reached:
                reached.add(each)
                pending += self._down.get(each, ())
                versions.update((version.cursor, version) for version in self._users(each))
        return tuple(sorted(versions.values(), key=lambda item: item.sort_key)), reached

    def upstream_of(self, starts: Iterable[tuple[Node, _Value]]) -> dict[Node, _Value]:
        """All that the nodes read, with the value of the first of them that reads it."""
        found: dict[Node, _Value] = {}
        for start, value in starts:
            pending = [start]
            while pending:
                node = pending.pop()
                if node not in found:
                    found[node] = value
                    pending += self.upstream(node)
        return found

    @staticmethod
    def _reached(
        focus: Node,
        neighbours: Callable[[Node], Iterable[Node]],
        steps: int | None,
        *,
        features: bool,
    ) -> set[Node]:
        """The nodes within so many steps; one between nodes that are merged is none."""
        found, border = {focus: 0}, deque([focus])
        while border:
            node = border.popleft()
            for after in neighbours(node):
                same = not features and _merged(node, focus) == _merged(after, focus)
                taken = found[node] + (0 if same else 1)
                if (steps is None or taken <= steps) and taken < found.get(after, taken + 1):
                    found[after] = taken
                    border.appendleft(after) if same else border.append(after)
        return set(found)

    def _version(self, node: Node) -> IndexedVersion | None:
        model, _, version = node.name.rpartition("/")
        return self._index.version(model, version)

    def _users(self, node: Node) -> Iterable[IndexedVersion]:
        if node.kind is NodeKind.FEATURE:
            view = view_of(node)
            users = self._index.uses(view, node.name[len(view) + 1 :])
            return (each for each in users if not self._through_service(node, each))
        return self._index.served_through(node.name) if node.kind is NodeKind.SERVICE else ()

    def _through_service(self, feature: Node, version: IndexedVersion) -> bool:
        """Whether a version uses the feature through its service, so that no edge joins the two."""
        return feature in self._up.get(Node(NodeKind.SERVICE, version.service), ())

    def _add_registry(self, snapshot: RegistrySnapshot) -> None:
        for kind, node_kind in (("entity", NodeKind.ENTITY), ("data_source", NodeKind.SOURCE)):
            for name in snapshot.objects.get(kind, {}):
                self._add_node(Node(node_kind, name))
        for name, spec in snapshot.objects.get("data_source", {}).items():
            self._add_source(spec, Node(NodeKind.SOURCE, name))
        for _, name, spec in snapshot.views():
            self._add_view(snapshot, Node(NodeKind.VIEW, name), spec)
        for name in snapshot.objects.get("feature_service", {}):
            service = self._add_node(Node(NodeKind.SERVICE, name))
            for ref in service_refs(snapshot, name) or ():
                self._add(feature_node(ref), service)

    def _add_view(self, snapshot: RegistrySnapshot, view: Node, spec: JsonObject) -> None:
        self._add_node(view)
        for entity in views.entity_names(spec):
            self._add(Node(NodeKind.ENTITY, entity), view)
        for key in _SOURCE_KEYS:
            self._add_named_source(spec.get(key), view)
        for feature in views.field_types(spec.get("features")):
            self._add(view, Node(NodeKind.FEATURE, f"{view.name}:{feature}"))
        for fed_by in views.sources_of(snapshot, view.name):
            self._add(Node(NodeKind.VIEW, fed_by), view)
        for item in views.inputs(snapshot, spec):
            if item.request:
                self._add(Node(NodeKind.SOURCE, item.view), view)
                continue
            read = Node(NodeKind.FEATURE, f"{item.view}:{item.feature}")
            self._add(Node(NodeKind.VIEW, item.view), read)
            self._add(read, view)

    def _add_named_source(self, source: Any, reader: Node) -> None:
        name = views.text(views.mapping(source).get("name"))
        if name:
            self._add(Node(NodeKind.SOURCE, name), reader)
            self._add_source(views.mapping(source), Node(NodeKind.SOURCE, name))

    def _add_source(self, spec: JsonObject, source: Node) -> None:
        """A push or stream source is filled from its batch source."""
        batch = views.text(views.mapping(spec.get("batch_source")).get("name"))
        if batch and batch != source.name:
            self._add(Node(NodeKind.SOURCE, batch), source)

    def _add_node(self, node: Node) -> Node:
        self._up.setdefault(node, {})
        return node

    def _add(self, before: Node, after: Node) -> None:
        self._add_node(before)
        self._add_node(after)
        self._down.setdefault(before, {})[after] = None
        self._up[after][before] = None


def _merged(node: Node, focus: Node | None) -> Node:
    """The view of a feature, unless the feature is the focus; else the node."""
    is_merged = node.kind is NodeKind.FEATURE and node != focus
    return Node(NodeKind.VIEW, view_of(node)) if is_merged else node


def _edge_order(edge: Edge) -> tuple[NodeOrder, NodeOrder]:
    return node_order(edge[0]), node_order(edge[1])


def sorted_nodes(nodes: Iterable[Node]) -> list[Node]:
    return sorted(nodes, key=node_order)
