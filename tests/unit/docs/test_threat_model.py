"""Every protection of the threat model names tests that exist, or is marked as open."""

import ast
import re
from functools import cache

from tests.unit.docs.pages import ARCHITECTURE, ROOT, names_in, rows, section

OPEN = "**Open:**"


def protections() -> list[list[str]]:
    """Return the rows of the table: attacker, asset, what stops the attacker, tests."""
    table, _, _ = section(ARCHITECTURE, "## Threat model").partition("\n### ")
    return rows(table)


@cache
def defined_in(path: str) -> set[str]:
    module = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in module.body if isinstance(node, functions)}


def test_named_tests_exist() -> None:
    for attacker, asset, _, shown in protections():
        for name in names_in(shown):
            path, _, test = name.partition("::")

            assert (ROOT / "tests" / path).is_file(), f"{attacker}, {asset}: no file tests/{path}"
            assert test in defined_in(path), f"{attacker}, {asset}: no test {test} in tests/{path}"


def test_a_protection_names_a_test_or_is_open() -> None:
    for attacker, asset, stops, shown in protections():
        where = f"{attacker}, {asset}"

        assert shown == "none" or re.fullmatch(r"`[^`]+`(, `[^`]+`)*", shown), where
        assert (shown == "none") == stops.startswith(OPEN), where


def test_no_pair_of_attacker_and_asset_is_listed_twice() -> None:
    pairs = [(attacker, asset) for attacker, asset, _, _ in protections()]

    assert len(pairs) == len(set(pairs)) > 20
