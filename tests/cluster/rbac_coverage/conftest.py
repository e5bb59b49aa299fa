"""What is judged once all of `tests/cluster` has run, in a pytest of its own.

A part of the suite asks for a part of what the operator may ask for: judged by that, the rest would
look spare. So what the last run left is judged only if every test of the suite was played in it.
"""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from tests.cluster.existing import VARIABLE
from tests.cluster.record import SUITE, Run, kept

ROOT = Path(__file__).parents[3]

_judged = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def whole_run(pytestconfig: pytest.Config) -> Run:
    """The last run of the suite.

    Raises:
        AssertionError: there was none, or something was left out of it.
    """
    assert pytestconfig.cache is not None
    file = kept(pytestconfig.cache)
    assert file.exists(), f"no run is on record in {file}: run the whole of {SUITE} first"
    run = Run.load(file.read_text(encoding="utf-8"))
    absent = sorted(_suite() - run.tests)
    assert not absent, (
        f"{len(absent)} tests were not played in the last run, {absent[0]} among them:"
        f" run the whole of {SUITE} first"
    )
    ended = datetime.fromtimestamp(file.stat().st_mtime).astimezone()
    pytestconfig.stash[_judged] = (
        f"the permissions of the chart were compared with {len(run.asked)} requests of"
        f" {len(run.tests)} tests, in the run that ended at {ended:%H:%M:%S}"
    )
    return run


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if (judged := config.stash.get(_judged, "")) != "":
        terminalreporter.write_line(judged)


def _suite() -> set[str]:
    """The node ids of all its tests."""
    options = ("--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, SUITE],
        cwd=ROOT,
        env={
            name: value
            for name, value in os.environ.items()
            if "PYTEST" not in name and name != VARIABLE  # they may leave something out
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {line for line in done.stdout.splitlines() if line.startswith(SUITE)}
