"""Prints headings, output of programs, and one result per step. Colors on a terminal only."""

import sys
import time
from collections.abc import Iterable

_PLAIN = not sys.stdout.isatty()


def heading(number: int, title: str) -> None:
    _print(f"\n{_style('1;36', f'{number}  {title}')}")


def command(words: Iterable[str]) -> None:
    """Print a command as a user would type it."""
    _print(f"   {_style('1', '$ ' + ' '.join(words))}")


def said(line: str) -> None:
    """Print one line of a program's output."""
    _print(f"   {_style('2', '│')} {line}".rstrip())


def note(text: str) -> None:
    _print(f"   {text}")


def seen(text: str, seconds: float) -> None:
    """Print the result of a step."""
    _print(f"   {_style('32', '✓')} {text} {_style('2', f'[{seconds:.1f} s]')}")


def failed(text: str) -> None:
    first, *rest = text.splitlines() or [""]
    _print(f"\n{_style('1;31', 'The demo failed:')} {first}")
    for line in rest:
        said(line)


class Stopwatch:
    """Measures seconds from its creation."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


def _style(code: str, text: str) -> str:
    return text if _PLAIN else f"\x1b[{code}m{text}\x1b[0m"


def _print(text: str) -> None:
    print(text, flush=True)
