"""Reads the documentation: its pages, and the blocks, tables and sections of a page."""

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    ]
)
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
PROJECT_PAGE = ROOT / "docs/spec/v1alpha1/featurestoreproject.md"
MODEL_PAGE = ROOT / "docs/spec/v1alpha1/trainedmodel.md"
ARCHITECTURE = ROOT / "docs/architecture.md"
OPERATIONS = ROOT / "docs/operations.md"
LIMITS = ROOT / "docs/limits.md"
METRICS = ROOT / "docs/metrics.md"


class Block(NamedTuple):
    """A fenced block: the text behind the fence, the content, and its first line number."""

    info: str
    text: str
    line: int


@cache
def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> Iterator[Block]:
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", read(page), re.DOTALL | re.MULTILINE):
        line = read(page).count("\n", 0, found.start()) + 1
        yield Block(found[1].strip(), found[2], line)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.DOTALL | re.MULTILINE)


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of every table, without headers and rulers."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if re.match(r"\|[\s|:-]+\|$", line):
            found.pop()
        elif line.startswith("|"):
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def section(page: Path, heading: str) -> str:
    level = heading.partition(" ")[0]
    _, found, rest = read(page).partition(f"\n{heading}\n")
    assert found, f"{page.name} has no heading {heading!r}"
    return re.split(rf"\n#{{2,{len(level)}}} ", rest)[0]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def quoted(page: Path) -> str:
    """Return every block that is not a command."""
    return "\n".join(block.text for block in blocks(page) if block.info in ("", "console"))


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
