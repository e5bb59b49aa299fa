"""Checks that need the whole of `tests/cluster` to have run; they run in a separate pytest.

A part of the suite makes only a part of the operator's requests, so other permissions would look
unused. Therefore the last run is checked only if it ran every test of the suite.
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
    """The record of the last run of the suite.

    Raises:
        AssertionError: there was no run, or it left out a test.
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
    """Return the node ids of all tests of the suite."""
    options = ("--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, SUITE],
        cwd=ROOT,
        env={
            name: value
            for name, value in os.environ.items()
            if "PYTEST" not in name and name != VARIABLE  # they may leave out tests
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {line for line in done.stdout.splitlines() if line.startswith(SUITE)}
