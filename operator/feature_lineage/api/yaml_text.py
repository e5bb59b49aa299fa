"""Parses YAML as an API server does, and keeps the line of every field.

PyYAML alone keeps the last of two equal keys, turns dates into objects, and does not keep line
numbers. Here equal keys are errors, dates stay text, and every path has its line for messages.
Anchors are supported; a document that expands without end is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]

MAX_CHARACTERS = 3 * 1024 * 1024  # etcd accepts 1.5 MiB per object; a file may hold several
_MAX_NODES = 200_000
_MAX_DEPTH = 64
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"
_MERGE_TAG = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """The safe loader without timestamps: in Kubernetes' YAML a date is a string."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, regex) for tag, regex in resolvers if tag != _TIMESTAMP_TAG]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class Fault:
    """An error in the text itself. `line` counts from 1."""

    line: int
    message: str


@dataclass(frozen=True)
class Document:
    """One document: its content, the line of each path, and the errors in its text."""

    content: Any
    lines: dict[Path, int]
    faults: tuple[Fault, ...]

    def line_of(self, path: Path) -> int:
        """The line of this path; for a missing field, the line of the nearest existing parent."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


class TooLargeError(ValueError):
    """The error for a document that expands or nests far more than real manifests."""


def read_documents(text: str) -> Iterator[Document | Fault]:
    """Yield the documents of a YAML text in order, or a Fault for a document with an error.

    After a syntax error the rest of the text cannot be parsed, so that Fault is the last item.
    """
    if len(text) > MAX_CHARACTERS:
        yield Fault(1, f"the text has {len(text)} characters, more than {MAX_CHARACTERS}: split it")
        return
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield _Reading(loader).document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        yield Fault(mark.line + 1 if mark else 1, f"not YAML: {problem}")
    except yaml.YAMLError as error:
        yield Fault(1, f"not YAML: {error}")
    except (TooLargeError, RecursionError) as error:
        yield Fault(1, f"{error}: write it out in several documents")


class _Reading:
    """One pass over the nodes of one document."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._lines: dict[Path, int] = {}
        self._faults: list[Fault] = []
        self._nodes = 0

    def document(self, node: yaml.Node) -> Document:
        content = self._value(node, ())
        return Document(content, self._lines, tuple(self._faults))

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise TooLargeError("the document expands to too many values")
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError):
            # PyYAML raises each of them for a value that does not fit its tag, such as `!!bool x`.
            # The text of the error quotes the value, and the value may be a secret.
            value, problem = None, f"not a value of type {node.tag}"
        else:
            problem = "" if _is_text(value) else "an escape that is half of a surrogate pair"
        if problem:
            self._faults.append(Fault(node.start_mark.line + 1, problem))
        return None if problem else value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE_TAG:
                for source in self._merge_sources(value_node):
                    merged = {**self._value(source, path), **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode) or not _is_text(key_node.value):
                self._faults.append(Fault(line, "a key must be a plain text"))
                continue
            key: str = key_node.value
            if key in own:
                self._faults.append(Fault(line, f'key "{key}" appears twice: keep one'))
                continue
            self._lines[(*path, key)] = line
            own[key] = self._value(value_node, (*path, key))
        return {**merged, **own}

    def _merge_sources(self, node: yaml.Node) -> list[yaml.MappingNode]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        mappings = [source for source in sources if isinstance(source, yaml.MappingNode)]
        if len(mappings) != len(sources):
            self._faults.append(Fault(node.start_mark.line + 1, "<<: takes a mapping"))
        return mappings


def _is_text(value: Any) -> bool:
    """Whether a scalar can be sent as JSON: an escape may be half of a surrogate pair."""
    return not isinstance(value, str) or not _SURROGATE.search(value)
