"""Lists runs of which some are larger than the operator reads: these are named and left out.

MLflow answers a search with all tags of each run, and whoever may write to an experiment may give a
run any number of tags; on SQLite also a name of any length. Such a run must not hide the others.
Its id and start are in the head of the answer; the search goes on without this run.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from feature_lineage.tracking.mlflow_errors import AnswerTooLarge
from feature_lineage.tracking.page_walk import pages

MAX_OVERSIZED: Final = 10
"""Of one listing: each takes eight answers of the largest size."""
_RUN_ID: Final = re.compile(rb'"run_(?:uu)?id":\s*"([a-zA-Z0-9][\w-]{0,63})"', re.ASCII)
_START: Final = re.compile(rb'"start_time":\s*"?(-?\d{1,19})"?\s*[,}]')


@dataclass(frozen=True, slots=True)
class OversizedRun:
    """A run that was not read; `start_ms` is its start in ms since 1970."""

    run_id: str
    start_ms: int


Search = Callable[[str, int, str], Awaitable[tuple[list[dict[str, Any]], str]]]
"""Called with a filter, the size of the page and its token; returns the runs and the next token."""


async def runs_of(
    search: Search, filter_string: str, size: int
) -> AsyncIterator[dict[str, Any] | OversizedRun]:
    """The runs of a search, each once.

    Raises:
        RequestRejected: more than `MAX_OVERSIZED` runs are too large, the start of one is not in
            the part that was read, or there are too many runs.
    """
    told: set[str] = set()
    for _ in range(MAX_OVERSIZED + 1):

        def ask(size: int, token: str) -> Awaitable[tuple[list[dict[str, Any]], str]]:
            return search(filter_string, size, token)  # noqa: B023  awaited within this round

        try:
            async for page in pages(ask, size):
                for raw in page:
                    run_id = str(raw["info"]["run_id"])
                    if run_id not in told:
                        told.add(run_id)
                        yield raw
        except AnswerTooLarge as error:
            refused, oversized = error, _first_run(error)
            if oversized is None or oversized.run_id in told:
                raise
        else:
            return
        told.add(oversized.run_id)
        yield oversized
        filter_string += f" AND attributes.run_id != '{oversized.run_id}'"
    raise refused


def _first_run(error: AnswerTooLarge) -> OversizedRun | None:
    """The first run of an answer; None if its head has no id.

    Raises:
        AnswerTooLarge: the head has no start: the place of the run in the order of all runs is not
            known.
    """
    info = error.head.partition(b'"data"')[0]
    run_id, start = _RUN_ID.search(info), _START.search(info)
    if run_id is None:
        return None
    if start is None:
        raise AnswerTooLarge(
            f"{error.message}; the answer begins with run {run_id[1].decode()}: delete this run"
        ) from error
    return OversizedRun(run_id[1].decode(), int(start[1]))
