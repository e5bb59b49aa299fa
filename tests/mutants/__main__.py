"""Remove one protection after the other in a copy of the checkout, and run the tests that show it.

A mutant is caught if each of its tests fails. If one passes, the mutant SURVIVED: the test does not
show what it says, or the protection is not needed. The checkout is not changed.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import groupby

from tests.mutants.table import Mutant, read_tables
from tests.mutants.trial import Copy, copied


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="word",
        help="only mutants with one of these words in their name, or of a table with that name",
    )
    parser.add_argument("--list", action="store_true", help="print the mutants, and run nothing")
    options = parser.parse_args(arguments)
    mutants = read_tables()
    chosen = [mutant for mutant in mutants if is_chosen(mutant, options.words)]
    if not chosen:
        tables = ", ".join(sorted({mutant.table for mutant in mutants}))
        parser.error(f"no mutant has such a name; --list prints them. Tables: {tables}")
    if options.list:
        for mutant in chosen:
            print(f"{mutant.table}: {mutant.name}: {', '.join(mutant.tests)}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with copied() as copy:
            return report(chosen, copy)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def is_chosen(mutant: Mutant, words: Sequence[str]) -> bool:
    """Whether a mutant has one of the words in its name, or as its table; all have no word."""
    name = mutant.name.lower()
    return not words or any(word == mutant.table or word.lower() in name for word in words)


def report(mutants: Sequence[Mutant], copy: Copy) -> int:
    """Print what became of each mutant; returns 1 if not each is caught."""
    failing = set(failing_before(mutants, copy))
    caught, table, started = 0, "", time.monotonic()
    for mutant in mutants:
        if mutant.table != table:
            table = mutant.table
            print(f"{table}:", flush=True)
        result = result_of(mutant, copy, failing)
        caught += result.startswith("caught")
        print(f"  {mutant.name}: {result}", flush=True)
    minutes = (time.monotonic() - started) / 60
    print(f"{caught} of {len(mutants)} mutants were caught, in {minutes:.0f} min")
    return 0 if caught == len(mutants) else 1


def failing_before(mutants: Sequence[Mutant], copy: Copy) -> Iterator[str]:
    """The tests that fail without any change, or could not run: they would catch everything."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    for folder, some in groupby(tests, key=lambda test: test.partition("/")[0]):
        named = list(some)
        print(f"without a change: {len(named)} tests of tests/{folder}", flush=True)
        trial = copy.run(named)
        if trial.problem:
            print(trial.problem)
        stopped = trial.problem and not trial.not_set_up
        yield from named if stopped else trial.failed | trial.not_set_up


def result_of(mutant: Mutant, copy: Copy, failing: set[str]) -> str:
    if bad := failing & set(mutant.tests):
        return f"NOT TRIED: without the change fails {', '.join(sorted(bad))}"
    try:
        trial = copy.run_mutant(mutant)
    except ValueError as error:
        return f"NOT FOUND: {error}"
    if trial.problem:
        return f"BROKEN: the tests did not run to their end:\n{trial.problem}"
    passed = [test for test in mutant.tests if test not in trial.failed]
    if passed:
        return f"SURVIVED: {', '.join(passed)} passed"
    return f"caught by {', '.join(mutant.tests)}"


if __name__ == "__main__":
    sys.exit(main())
