"""A forked Python does what a started one does: the other scenes of this folder rely on that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.forks.client import python

CASES = {
    "prints": ["-c", "import sys; print(sys.argv, sys.path[0], __name__, sys.stdin.read())", "a b"],
    "folder": ["-c", "import os; print(os.getcwd(), sorted(os.environ))"],
    "errors": ["-c", "import sys; print('ä'); print('\\udc00', file=sys.stderr); sys.exit(7)"],
    "words": ["-c", "import sys; sys.exit('too bad')"],
    "raises": ["-c", "raise ValueError('too bad')"],
    "is killed": ["-c", "import os; print('so far', flush=True); os.kill(os.getpid(), 9)"],
    "is stopped": ["-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"],
    "ends later": ["-c", "import atexit; atexit.register(print, 'end'); print('begin')"],
    "thread": ["-c", "import threading as t; t.Timer(0.1, lambda: print('thread')).start()"],
    "module path": ["-c", "import beside; print(beside.__file__)"],
    "safe path": ["-P", "-c", "import beside"],
    "file": ["file.py", "argument"],
    "module": ["-m", "feature_lineage.cli", "--version"],
    "module here": ["-m", "beside"],
}


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES)
def test_it_ends_and_prints_as_a_started_one(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text("import sys, beside; print(sys.argv, __name__, __file__)\n")
    (tmp_path / "beside.py").write_text("print(__name__)\n")

    own = {"LANG": "C.UTF-8", "PYTHONPATH": str(tmp_path)}
    for env in (dict(os.environ), own):
        forked = python(*arguments, cwd=tmp_path, env=env)
        started = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert forked.returncode == started.returncode
        assert forked.stdout == started.stdout
        assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]
