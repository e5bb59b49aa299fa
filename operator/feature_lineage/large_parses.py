"""Whether a reconcile may parse a large untrusted text now, and the thread that parses.

A reconcile keeps what it parses while it waits for servers that a tenant names. So a reconcile that
meets a large text ends with `NeedsTurn`, and is begun again when it has a turn: few have one at
once. What is not in a reconcile, such as a command of the CLI, may parse any text.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from feature_lineage.untrusted import parse_bytes

LARGE_BYTES: Final = 2 * 1024 * 1024
"""Memory of a parse, as `parse_bytes` estimates it, from which a reconcile needs a turn."""

_ARGS = ParamSpec("_ARGS")
_RESULT = TypeVar("_RESULT")
_SMALL_ONLY: ContextVar[bool] = ContextVar("small_only", default=False)
_THREAD: Final = ThreadPoolExecutor(1, thread_name_prefix="parser")
_LOCKS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


class NeedsTurn(Exception):
    """A text is large and the reconcile has no turn; the text was not parsed.

    This is no `FeatureLineageError`: who handles an unreadable text must not handle this error.
    """


@contextmanager
def parsing(*, large: bool) -> Iterator[None]:
    """Permit large texts inside, and in tasks that are started inside, or only small ones."""
    token = _SMALL_ONLY.set(not large)
    try:
        yield
    finally:
        _SMALL_ONLY.reset(token)


def may_parse_large() -> bool:
    """Whether a large text may be parsed here."""
    return not _SMALL_ONLY.get()


def check_turn(text: bytes) -> None:
    """Check that a text may be parsed here.

    Raises:
        NeedsTurn: the text is large, and only small ones may be parsed.
    """
    if _SMALL_ONLY.get() and parse_bytes(text) > LARGE_BYTES:
        raise NeedsTurn


def one_at_a_time() -> asyncio.Lock:
    """The lock of this event loop for what has to be done around one parse."""
    return _LOCKS.setdefault(asyncio.get_running_loop(), asyncio.Lock())


async def in_parser_thread(
    parse: Callable[_ARGS, _RESULT], *args: _ARGS.args, **kwargs: _ARGS.kwargs
) -> _RESULT:
    """Parse in the one thread for it, so that the event loop goes on; one parse at a time."""
    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(
        _THREAD, lambda: context.run(parse, *args, **kwargs)
    )
