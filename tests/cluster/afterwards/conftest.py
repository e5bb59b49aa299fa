"""What is judged once all of `tests/cluster` has run: put last, and not selected for less.

A part of the suite asks for a part of what the operator may ask for: judged by that, the rest would
look spare. So these tests run with the whole suite, or say that they did not.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITE = HERE.parent

_deselected = pytest.StashKey[int]()
_left_out = pytest.StashKey[str]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    yield  # -k, -m, --last-failed and whoever else leaves something out
    last = [item for item in items if HERE in item.path.parents]
    others = [item for item in items if item not in last]
    why = _why_partial(config, others)
    if why and last:
        config.stash[_left_out] = why
        config.hook.pytest_deselected(items=last)
        last = []
    items[:] = others + last


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items[:1]:
        config = item.config
        config.stash[_deselected] = config.stash.get(_deselected, 0) + len(items)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if (why := config.stash.get(_left_out, "")) != "":
        terminalreporter.write_line(
            f"the permissions of the chart were not compared with what was asked for: {why}"
        )


def _why_partial(config: pytest.Config, items: list[pytest.Item]) -> str:
    """What is missing of the suite, "" when nothing is."""
    if config.stash.get(_deselected, 0):
        return f"{config.stash[_deselected]} tests were deselected"
    if any("::" in argument for argument in config.args):
        return "single tests were named"
    files = {file for file in SUITE.rglob("test_*.py") if HERE not in file.parents}
    absent = files - {item.path for item in items}
    return f"{len(absent)} files of {SUITE.name} were left out" if absent else ""
