"""Runs tests in a copy of the checkout, in which one file may be changed."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants.table import ROOT, Mutant

MEMORY_BYTES: Final = 3 * 1024**3
"""Of a process of the tests: a mutant may have lost a limit."""
TEST_SECONDS: Final = 120
STOP_SECONDS: Final = 60
_FAILED: Final = re.compile(r"^FAILED tests/([^:\s]+::\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a run of tests showed.

    Attributes:
        failed: the tests that failed, as `FILE::TEST` under `tests/`.
        problem: why some tests did not run to their end; "" if all did.
    """

    failed: frozenset[str]
    problem: str = ""


class Copy:
    """A copy of the checkout with what is not committed yet.

    Args:
        folder: of the copy.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, tests: Iterable[str]) -> Trial:
        """Run tests on the copy as it is.

        Args:
            tests: as `FILE::TEST` under `tests/`.
        """
        return _run(self.folder, [f"tests/{test}" for test in tests])

    def run_mutant(self, mutant: Mutant) -> Trial:
        """Run the tests of a mutant on the copy with its change, which is taken back after.

        Raises:
            ValueError: the text to replace is not in the file exactly once.
        """
        path = self.folder / mutant.file
        before, changed = path.read_text(encoding="utf-8"), mutant.applied(self.folder)
        try:
            _write(path, changed)
            return self.run(mutant.tests)
        finally:
            _write(path, before)


@contextmanager
def copied(root: Path = ROOT) -> Iterator[Copy]:
    """A copy of the checkout, which is deleted at the end of the block."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # pods of a simulated node run as another user
        for name in filter(None, names.split("\0")):
            if not (root / name).exists():
                continue  # deleted, and not committed yet
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, path, follow_symlinks=False)
        yield Copy(folder)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # Python compares whole seconds and the size: it could take the last content for this one.
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def _run(folder: Path, tests: list[str]) -> Trial:
    options = ("-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "--hypothesis-seed=0")
    limited = ("prlimit", f"--data={MEMORY_BYTES}")
    process = subprocess.Popen(
        [*limited, sys.executable, "-m", "pytest", *options, f"--timeout={TEST_SECONDS}", *tests],
        cwd=folder,
        # Before the path of the checkout, which the environment of the tests has installed.
        env={**os.environ, "PYTHONPATH": str(folder / "operator")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        _stop(process)
        raise
    failed = frozenset(_FAILED.findall(output))
    # 0: all passed; 1: some failed, or could not be set up.
    broken = process.returncode not in (0, 1) or re.search(r"^ERROR ", output, re.MULTILINE)
    return Trial(failed, output[-1500:].strip() if broken else "")


def _stop(process: subprocess.Popen[str]) -> None:
    """End the tests like Ctrl-C, so that they end their servers, and then by force."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
