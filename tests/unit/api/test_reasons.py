"""Each reason is defined once, used, explained, and raised by matching error classes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import feature_lineage
from feature_lineage import errors
from feature_lineage.reasons import Reason

ROOT = Path(feature_lineage.__file__).parent
REASONS = ROOT / "reasons.py"
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != REASONS)
TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in MODULES}

OTHER_MEANINGS = {
    "api/crd.py": {"Broken", "Stale"},  # titles of columns
    "cli/show.py": {"Blocked"},  # a result
    "kube/jobs/failure_cause.py": {"DeadlineExceeded", "Unschedulable"},  # Kubernetes' reasons
    "cli/plan_text.py": {"Broken"},  # effect of a plan
    "operations/causes.py": {"Broken"},  # effect of a plan
    "operations/explain.py": {"Broken"},  # effect of a plan
    "operations/protection.py": {"Broken", "Changed"},  # effect of a plan
    "operations/protocol.py": {"Broken"},  # effect of a plan
}
"""Strings with another meaning than the reason with the same text, by module."""


def is_vocabulary(node: ast.AST) -> bool:
    """Whether the node is a `StrEnum` or a `Literal[...]`, which define their own values."""
    if isinstance(node, ast.ClassDef):
        return "StrEnum" in map(ast.unparse, node.bases)
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal"


def strings(node: ast.AST) -> Iterator[ast.Constant]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    for child in ast.iter_child_nodes(node):
        if not is_vocabulary(child):
            yield from strings(child)


def literals(module: str) -> set[str]:
    """Return the reasons that a module writes as text.

    `Warning` is also a type of Event; `Succeeded` is also a result of an operation and a phase of a
    pod.
    """
    known = {str(reason) for reason in Reason} - {Reason.WARNING, Reason.SUCCEEDED}
    return {node.value for node in strings(TREES[module]) if node.value in known}


def error_classes() -> dict[str, bool]:
    """Return every error class by name: whether it is terminal."""
    terminal = {
        name: issubclass(value, errors.TerminalError)
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.FeatureLineageError)
    }
    known = -1
    while known != len(terminal):
        known = len(terminal)
        for node in (node for tree in TREES.values() for node in ast.walk(tree)):
            if isinstance(node, ast.ClassDef):
                for base in map(ast.unparse, node.bases):
                    if base in terminal:
                        terminal.setdefault(node.name, terminal[base])
    return terminal


def raised() -> Iterator[tuple[str, Reason]]:
    """Return pairs of an error class and a reason in one expression or class body."""
    classes = error_classes()
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        given: list[ast.expr] = []
        if isinstance(node, ast.Call) and ast.unparse(node.func) in classes:
            name = ast.unparse(node.func)
            given = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
        elif isinstance(node, ast.ClassDef) and node.name in classes:
            name = node.name
            given = [each.value for each in node.body if isinstance(each, ast.Assign)]
        for member in (found for value in given for found in ast.walk(value)):
            if isinstance(member, ast.Attribute) and ast.unparse(member.value) == "Reason":
                yield name, Reason[member.attr]


@pytest.mark.parametrize("module", TREES)
def test_no_module_writes_a_reason_as_text(module: str) -> None:
    assert literals(module) == OTHER_MEANINGS.get(module, set())


def test_every_reason_is_used() -> None:
    used = {
        node.attr
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"Reason", "_R"}
    }
    of_verdicts = {"VERIFIED", "UNCHANGED"}

    assert used | of_verdicts == set(Reason.__members__)


def test_every_reason_is_explained() -> None:
    lines = REASONS.read_text().splitlines()
    explained = {m[1] for line in lines if (m := re.match(r" {4}([A-Z_]+) = \".*  # \w", line))}

    assert explained == set(Reason.__members__)


def test_a_terminal_reason_is_raised_by_terminal_errors_only() -> None:
    classes = error_classes()
    terminal = {(name, reason) for name, reason in raised() if reason.terminal}

    assert {name for name, _ in terminal if not classes[name]} == set()
    assert {reason for _, reason in terminal} >= {
        *(Reason.HOST_NOT_ALLOWED, Reason.INVALID_REPO, Reason.REPORT_TOO_LARGE)
    }
