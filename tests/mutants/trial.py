"""Runs tests in a copy of the checkout, in which one file may be changed."""

import importlib.util
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest
from hypothesis import Phase, settings
from tests.mutants.table import ROOT, Mutant

MEMORY_BYTES: Final = 3 * 1024**3
"""Of a process of the tests: a mutant may have lost a limit."""
TEST_SECONDS: Final = 300
"""Of a test, without the start of its servers; beside other work a scene takes a multiple."""
STOP_SECONDS: Final = 60
PRELOADED: Final = ("pydantic", "pytest_asyncio", "httpx", "aiohttp", "kubernetes")
"""Libraries that the tests import: once for all runs."""
CHECKOUT: Final = ("feature_lineage", "tests")
"""Packages that each run imports from the copy."""
_FAILED: Final = re.compile(r"^FAILED tests/([^:\s]+::\w+)", re.MULTILINE)
_ERROR: Final = re.compile(r"^ERROR tests/([^:\s]+::\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a run of tests showed.

    Attributes:
        failed: the tests that failed, as `FILE::TEST` under `tests/`.
        not_set_up: the tests that did not begin, or whose end failed.
        problem: why some tests did not run to their end; "" if all did.
    """

    failed: frozenset[str]
    not_set_up: frozenset[str] = frozenset()
    problem: str = ""


class Copy:
    """A copy of the checkout with what is not committed yet.

    Args:
        folder: of the copy.
        python: an interpreter that imports the copy, also without PYTHONPATH.
    """

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self._python = python

    def run(self, tests: Iterable[str]) -> Trial:
        """Run tests on the copy as it is.

        Args:
            tests: as `FILE::TEST` under `tests/`.
        """
        return _run(self.folder, self._python, [f"tests/{test}" for test in tests])

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
        yield Copy(folder, _interpreter(folder))


def _interpreter(folder: Path) -> Path:
    """An interpreter with the libraries of this one, and with the copy in place of the checkout.

    The host starts local jobs without PYTHONPATH.
    """
    environment = folder / ".mutants-venv"
    venv.create(environment, symlinks=True)
    paths = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})
    libraries = Path(paths["purelib"])
    names = (folder / "operator", folder, sysconfig.get_path("purelib"))
    (libraries / "copy.pth").write_text("\n".join(map(str, names)), encoding="utf-8")
    python = environment / "bin" / "python"
    command = python.with_name("feature-lineage")  # which tests of the cluster host start
    command.write_text(f"#!{python}\nfrom feature_lineage.cli.main import main\n\nmain()\n")
    command.chmod(0o755)
    return python


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # Python compares whole seconds and the size: it could take the last content for this one.
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def _run(folder: Path, python: Path, tests: list[str]) -> Trial:
    for module in PRELOADED:
        importlib.import_module(module)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        child = os.fork()
        if not child:
            _run_and_exit(folder, python, tests, output.fileno())
        try:
            _, status = os.waitpid(child, 0)
        except BaseException:
            _stop(child)
            raise
        output.seek(0)
        text = output.read()
    failed, not_set_up = (frozenset(pattern.findall(text)) for pattern in (_FAILED, _ERROR))
    # 0: all passed; 1: some failed, or could not be set up.
    ended = os.waitstatus_to_exitcode(status) in (0, 1)
    return Trial(failed, not_set_up, "" if ended and not not_set_up else text[-1500:].strip())


def _run_and_exit(folder: Path, python: Path, tests: list[str], output: int) -> NoReturn:
    """Run tests in this process, a fork that has the libraries but nothing of the checkout."""
    code: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        for name in [name for name in sys.modules if name.partition(".")[0] in CHECKOUT]:
            del sys.modules[name]
        sys.path[:0] = [str(folder / "operator"), str(folder)]
        sys.executable = str(python)
        # The settings of the tests add to these. Nobody reads the example, so it is not shrunk.
        settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))
        settings.load_profile("mutants")
        options = ["-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        options += [f"--timeout={TEST_SECONDS}", "-o", "timeout_func_only=true"]
        code = pytest.main([*options, *tests])
    finally:
        sys.stdout.flush()
        os._exit(code)


def _stop(child: int) -> None:
    """End the tests like Ctrl-C, so that they end their servers, and then by force."""
    os.kill(child, signal.SIGINT)
    for _ in range(10 * STOP_SECONDS):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.1)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
