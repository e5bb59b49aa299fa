"""``python -m benchmarks [names] [--pairs N] [--quick]``: prints the table, row by row."""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.measure import Row, Size
from benchmarks.table import machine, table

PURE = ("index", "decide", "scrape")
"""Benchmarks that need no server and no Feast."""
USUAL = (*PURE, "refresh", "query", "jobs", "probe", "cluster", "objects", "pods")
NAMES = (*USUAL, "large_jobs", "library_jobs", "large_cluster", "attack")
"""The last four run only if they are named: each takes long."""


def benchmark(name: str) -> Callable[[Size], Iterator[Row]]:
    """Return the function `name` of its module; modules of other benchmarks are not imported."""
    module = importlib.import_module(f"benchmarks.{name.rpartition('_')[2]}")
    found: Callable[[Size], Iterator[Row]] = getattr(module, name)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--pairs", type=int, default=10, help="measured pairs of each, 10")
    parser.add_argument("--quick", action="store_true", help="small and short: does it run?")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    size = Size(pairs=1 if options.quick else max(options.pairs, 1), quick=options.quick)
    print(machine(), flush=True)
    rows: list[Row] = []
    for name in options.names or (PURE if options.quick else USUAL):
        started = time.monotonic()
        rows += benchmark(name)(size)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    print("medians of n pairs taken in turn, after one to warm up")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
