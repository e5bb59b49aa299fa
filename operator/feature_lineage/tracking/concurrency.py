"""Runs a few calls concurrently and raises the first error without an exception group."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

MAX_CONCURRENT: Final = 4

Item = TypeVar("Item")


async def for_each(items: Iterable[Item], do: Callable[[Item], Awaitable[None]]) -> None:
    """Await ``do(item)`` for every item, `AT_ONCE` at a time; the first error ends all of them."""
    rest = iter(items)

    async def work() -> None:
        for item in rest:
            await do(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(MAX_CONCURRENT):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
