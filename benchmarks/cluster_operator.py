"""Runs an operator on the cluster of a benchmark."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.cluster.host.process import Operator

from benchmarks.cluster_scene import ClusterSetup

PATIENCE = 300.0
PATIENCE_EACH = 0.1
"""Limit of a run in seconds, and in seconds per model."""
LOG_CHARACTERS = 3000


@asynccontextmanager
async def running(there: ClusterSetup, *namespaces: str) -> AsyncIterator[Operator]:
    """Run an operator for these namespaces, and stop it at the end.

    Errors of the block are raised with the end of the operator's log, whose folder is removed.

    Raises:
        RuntimeError: the operator logged an error.
        ExceptionGroup: an error of the block, or the operator ended: nobody starts it again.
    """
    operator = there.operator(*namespaces)
    try:
        await operator.start()
        await operator.ready(patience(there.models))
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(_ended(operator))
            yield operator
            ended.cancel()
        _no_errors(operator)
    except Exception as error:
        error.add_note(operator.log.read_text()[-LOG_CHARACTERS:])
        raise
    finally:
        if operator.process is not None and operator.process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await operator.end()
            if operator.process.returncode is None:
                operator.process.kill()
                await operator.process.wait()


def _no_errors(operator: Operator) -> None:
    if errors := operator.errors():
        raise RuntimeError(f"the operator logged errors, the first of them: {errors[0]}")


async def _ended(operator: Operator) -> None:
    assert operator.process is not None
    code = await operator.process.wait()
    raise RuntimeError(f"the operator ended with exit code {code}")


def patience(models: int) -> float:
    return PATIENCE + PATIENCE_EACH * models


def say(there: ClusterSetup, what: str) -> None:
    """Print the progress: ten thousand models take most of an hour."""
    now = time.strftime("%H:%M:%S")
    print(f"{now} {there.models:,} models: {what}", file=sys.stderr, flush=True)
