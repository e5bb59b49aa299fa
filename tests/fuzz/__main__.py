"""``python -m tests.fuzz [parser …] [--seconds N]``: feeds each parser with hostile input.

Each parser has a process of its own. The input that it reads is in a file, so that it is known even
if the process does not survive it. An input that fails is made smaller and printed.
"""

import argparse
import faulthandler
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.fuzz.harness import Target, check, limit_memory
from tests.fuzz.targets import TARGETS

BATCH = 500
"""Inputs between two looks at the clock; each batch has a seed of its own."""
HUNG_SECONDS = 300
ADDRESS_SPACE = 4 * 1024**3
FAULTS = Path(".fuzz")
SHOWN = 8000


def fuzz(target: Target, seconds: float, first: int, current: Path) -> int:
    """Read inputs for that time; returns their number."""
    read, batch, end = 0, first, time.monotonic() + seconds
    limit_memory(ADDRESS_SPACE)
    logging.disable()

    def once(value: Any) -> None:
        nonlocal read
        read += 1
        current.write_text(repr(value), encoding="utf-8", errors="backslashreplace")
        faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True)
        try:
            check(target, value)
        finally:
            faulthandler.cancel_dump_traceback_later()

    while time.monotonic() < end:
        print(f"{target.name}: seed {batch}, {read} inputs", file=sys.stderr)
        limits = settings(
            max_examples=BATCH,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        seed(batch)(limits(given(target.inputs)(once)))()
        batch += 1
    return read


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="parser", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=600, help="for each parser, 600")
    parser.add_argument("--seed", type=int, default=1, help="of the first batch")
    parser.add_argument("--current", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.names) - set(TARGETS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if options.current is not None:
        (name,) = options.names
        try:
            read = fuzz(TARGETS[name], options.seconds, options.seed, options.current)
        except Exception as error:
            error.__notes__ = []  # the input, which may be long: it is in the file
            raise
        print(f"{name}: {read} inputs in {options.seconds:.0f} s, no fault", flush=True)
        return 0
    failed = [name for name in options.names or TARGETS if not _alone(name, options)]
    return 1 if failed else 0


def _alone(name: str, options: argparse.Namespace) -> bool:
    """Whether a parser has no fault; runs it in a process of its own."""
    current = FAULTS / f"{name}.txt"
    current.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz", name, "--current", str(current)]
    limits = [f"--seconds={options.seconds}", f"--seed={options.seed}"]
    done = subprocess.run([*command, *limits], stderr=subprocess.PIPE, text=True)
    if done.returncode == 0:
        current.unlink()
        return True
    print(f"{name}: FAULT (exit code {done.returncode})\n{done.stderr[-SHOWN:]}")
    print(f"The input, whole in {current}:\n{current.read_text()[:SHOWN]}", flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
