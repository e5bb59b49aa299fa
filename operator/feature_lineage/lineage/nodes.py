"""The nodes of the lineage graph, and how a person names one.

A node has a kind and a name: ``view/driver_stats``, ``feature/driver_stats:conv_rate``,
``service/driver_activity``, ``model/fraud/3``, ``alias/fraud@champion``, ``source/trips``,
``entity/driver``. A feature has no version of its view: a definition that is pinned by
``view@v2:feature`` is the same node.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from feature_lineage.errors import TerminalError
from feature_lineage.features.refs import FeatureRef
from feature_lineage.models.index import IndexedVersion, version_order


class NodeKind(StrEnum):
    """The kinds in the order in which data flows."""

    SOURCE = "source"
    ENTITY = "entity"
    VIEW = "view"
    FEATURE = "feature"
    SERVICE = "service"
    MODEL = "model"
    """A version of a registered model."""
    ALIAS = "alias"


_ORDER: Final = {kind: number for number, kind in enumerate(NodeKind)}
_LOGGED_MODEL: Final = re.compile(r"models:/(m-[0-9a-f]{32})")
_MODEL_URI: Final = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>[^/@]+)|@(?P<alias>.+))")


class Node(NamedTuple):
    """One object of a lineage graph.

    Attributes:
        name: of a feature ``view:feature``, of a model version ``model/version``, of an alias
            ``model@alias``; else its name in Feast.
    """

    kind: NodeKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def feature_node(ref: FeatureRef) -> Node:
    return Node(NodeKind.FEATURE, f"{ref.view}:{ref.feature}")


def version_node(version: IndexedVersion) -> Node:
    return Node(NodeKind.MODEL, version.cursor)


def alias_node(model: str, alias: str) -> Node:
    return Node(NodeKind.ALIAS, f"{model}@{alias}")


def view_of(node: Node) -> str:
    """The view of a feature."""
    return node.name.partition(":")[0]


def short_name(node: Node) -> str:
    """How a person writes it: a view or a feature without its kind."""
    return node.name if node.kind in (NodeKind.VIEW, NodeKind.FEATURE) else str(node)


NodeOrder = tuple[int, tuple[str, int, str]]


def node_order(node: Node) -> NodeOrder:
    """Sorts nodes by kind, then by name; versions of a model by number."""
    if node.kind is NodeKind.MODEL:
        model, _, version = node.name.rpartition("/")
        return _ORDER[node.kind], version_order(model, version)
    return _ORDER[node.kind], (node.name, 0, "")


def parse_node(text: str) -> Node:
    """The node that a person names.

    Without a kind, ``view:feature`` is a feature and any other name a view. ``models:/NAME/3`` and
    ``models:/NAME@ALIAS`` are those of MLflow.

    Raises:
        TerminalError: the text has none of these forms.
    """
    if text.startswith("models:"):
        return _parse_model_uri(text)
    kind, slash, name = text.partition("/")
    if slash and kind in _ORDER:
        return _checked(NodeKind(kind), name, text)
    if ":" in text:
        return feature_node(FeatureRef.parse(text))
    return _checked(NodeKind.VIEW, text, text)


def logged_model_id(uri: str) -> str:
    """The id of a LoggedModel in ``models:/m-…``; "" if the text is not of this form."""
    found = _LOGGED_MODEL.fullmatch(uri)
    return found[1] if found is not None else ""


def run_id(uri: str) -> str:
    """The id of the run in ``runs:/ID`` or ``runs:/ID/PATH``; "" for another text."""
    return uri.removeprefix("runs:/").partition("/")[0] if uri.startswith("runs:/") else ""


def _parse_model_uri(text: str) -> Node:
    found = _MODEL_URI.fullmatch(text)
    if found is None:
        raise TerminalError(
            f"{text!r} names no version of a model; write models:/NAME/VERSION or "
            "models:/NAME@ALIAS"
        )
    if found["alias"] is not None:
        return alias_node(found["name"], found["alias"])
    return Node(NodeKind.MODEL, f"{found['name']}/{found['version']}")


def _checked(kind: NodeKind, name: str, text: str) -> Node:
    if kind is NodeKind.FEATURE:
        return feature_node(FeatureRef.parse(name))
    mark = {NodeKind.MODEL: "/", NodeKind.ALIAS: "@"}.get(kind, "")
    if not name or (mark and not all(name.rpartition(mark))):
        forms = "VIEW, VIEW:FEATURE, " + ", ".join(
            f"{each}/{form}"
            for each, form in (
                ("source", "NAME"),
                ("entity", "NAME"),
                ("service", "NAME"),
                ("model", "NAME/VERSION"),
                ("alias", "MODEL@ALIAS"),
            )
        )
        raise TerminalError(f"{text!r} names no object of the lineage; write {forms}")
    return Node(kind, name)
