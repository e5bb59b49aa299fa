"""Decisions get the time as a value. `.importlinter` forbids imports with effects."""

import ast
from pathlib import Path

import pytest

import feature_lineage

ROOT = Path(feature_lineage.__file__).parent
PURE = ("api", "features", "models", "operations", "decide")
CLOCKS = {"now", "utcnow", "today"}


def modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def clock_calls(tree: ast.AST) -> list[int]:
    """Lines that read the clock through a class: `datetime.now()`, `date.today()`."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and ast.unparse(node.func.value).split(".")[-1] in {"datetime", "date"}
    ]


@pytest.mark.parametrize("path", modules(*PURE), ids=lambda path: "/".join(path.parts[-2:]))
def test_pure_code_reads_no_clock(path: Path) -> None:
    assert not clock_calls(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", modules("decide"), ids=lambda path: path.stem)
def test_a_decision_is_synchronous(path: Path) -> None:
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)

    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, waits)]


def test_a_clock_call_with_a_module_prefix_is_found() -> None:
    assert clock_calls(ast.parse("import datetime\nx = datetime.datetime.now()\n")) == [2]


def test_the_packages_are_not_empty() -> None:
    assert len(modules("decide")) > 15
