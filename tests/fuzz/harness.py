"""What holds for each input of each parser: only its own errors, bounded memory, bounded time."""

import re
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from feature_lineage.errors import FeatureLineageError
from feature_lineage.untrusted import MAX_PARSE_BYTES

MOST_MEMORY: Final = 2 * MAX_PARSE_BYTES
"""Resident memory that one input may add: a parse, and the text that it reads."""
MOST_CPU_SECONDS: Final = 10.0
"""Far above what any input takes: only a time that grows without bound exceeds it."""
MOST_MESSAGE: Final = 4 * 1024
"""Characters of a line of an error; an error that repeats a whole input is a fault."""
_STATUS: Final = Path("/proc/self/status")
_RESET: Final = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        name: as `make fuzz ARGS=…` selects it.
        inputs: what it is given.
        read: reads one input, and asserts what holds for a value that was accepted.
        errors: what it may raise.
        examples: number of inputs in the gate.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], object]
    errors: tuple[type[Exception], ...]
    examples: int = 100


def check(target: Target, given: Any) -> None:
    """Read one input within the limits.

    Raises:
        AssertionError: a promise is broken.
        Exception: of a class that the parser does not document.
    """
    _RESET.write_text("5")  # the peak starts again
    before, started = _kib("VmRSS"), time.process_time()
    try:
        target.read(given)
    except target.errors as error:
        if isinstance(error, FeatureLineageError):
            assert error.message, f"{type(error).__name__} without a message"
            longest = max(map(len, error.message.splitlines()))
            assert longest <= MOST_MESSAGE, f"a message of {longest} characters"
    seconds, grown = time.process_time() - started, (_kib("VmHWM") - before) * 1024
    assert seconds <= MOST_CPU_SECONDS, f"{seconds:.1f} s of CPU time"
    assert grown <= MOST_MEMORY, f"{grown // 1024**2} MiB of memory"


def _kib(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def limit_memory(most: int) -> None:
    """Let a parse without bound fail in this process, and not the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
