"""What decides has no clock, no network and no event loop: values go in, values come out."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import feature_lineage

ROOT = Path(feature_lineage.__file__).parent
IMPURE = {
    "asyncio",
    "concurrent",
    "httpx",
    "kopf",
    "kubernetes",
    "logging",
    "os",
    "pathlib",
    "random",
    "requests",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}
ACTING = {"breath", "controller", "gather", "gather_model", "linking", "memory", "settled"}
DOMAIN = ("api", "features", "models", "operations", "reconcile")
CLOCKS = {"now", "utcnow", "today"}


def modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).glob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Names of all modules a module imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def clock_calls(tree: ast.AST) -> list[int]:
    """Lines that ask a class for the time: `datetime.now()`, `date.today()`."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and ast.unparse(node.func.value).split(".")[-1] in {"datetime", "date"}
    ]


DECIDING = [path for path in modules("reconcile") if path.stem not in ACTING]


@pytest.mark.parametrize("path", DECIDING, ids=lambda path: path.stem)
def test_what_decides_touches_nothing(path: Path) -> None:
    found = set(imports(ast.parse(path.read_text())))

    assert not {name for name in found if name.split(".")[0] in IMPURE}
    acting = {f"feature_lineage.reconcile.{name}" for name in ACTING}
    assert not found & acting, "what decides does not reach for what acts"


@pytest.mark.parametrize("path", DECIDING, ids=lambda path: path.stem)
def test_what_decides_waits_for_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text())

    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node for node in ast.walk(tree) if isinstance(node, waits)]


@pytest.mark.parametrize("path", modules(*DOMAIN), ids=lambda path: "/".join(path.parts[-2:]))
def test_the_domain_is_told_the_time(path: Path) -> None:
    assert not clock_calls(ast.parse(path.read_text()))


def test_a_clock_in_disguise_is_found() -> None:
    source = "import datetime\nfrom time import time\nx = datetime.datetime.now()\n"

    assert clock_calls(ast.parse(source)) == [3]
    assert set(imports(ast.parse(source))) == {"datetime", "time"}


def test_there_is_something_to_look_at() -> None:
    assert len(DECIDING) > 15
    assert {path.stem for path in modules("reconcile")} >= ACTING
