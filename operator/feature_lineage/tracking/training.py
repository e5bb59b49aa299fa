"""Reads training runs in bulk, and caches finished runs permanently.

The lineage tags of a finished run do not change any more. So a read of the registry requests only
the runs of new versions, and running ones. Runs that a crash left unfinished are read only at full
reads.
"""

from collections.abc import Awaitable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from feature_lineage.models.facts import TrainingRun
from feature_lineage.tracking import parsing
from feature_lineage.tracking.cache_budget import count_kept, memory_of_run
from feature_lineage.tracking.client import MLflowClient, quoted
from feature_lineage.tracking.logged_models import Experiments
from feature_lineage.tracking.page_walk import pages
from feature_lineage.tracking.parsing import RUN_ID

IDS_PER_CALL: Final = 500
MAX_RUN_AGE: Final = timedelta(hours=1)
"""A run that is unfinished for longer is read again only at full reads."""


class TrainingRuns:
    """The training runs of versions, with a cache.

    Attributes:
        proven: ids of runs whose tags prove their list, until they are read again.
    """

    def __init__(self, client: MLflowClient) -> None:
        self._client = client
        self._final: dict[str, TrainingRun] = {}
        self._unfinished: dict[str, TrainingRun] = {}
        self._absent: set[str] = set()
        self._asked: dict[str, set[str]] = {}
        self.proven: set[str] = set()

    def forget(self, keep: Iterable[str]) -> None:
        """Before a full read: forget unfinished and missing runs, and finished ones not to keep."""
        self._final = {i: self._final[i] for i in self._final.keys() & set(keep)}
        self._unfinished.clear()
        self._absent.clear()
        self._asked = {i: asked for i, asked in self._asked.items() if i in self._final}
        self.proven &= self._final.keys()

    def first_time(self, run_id: str, detail: str) -> bool:
        """Whether a detail of a run was not asked for since the run was read."""
        asked = self._asked.setdefault(run_id, set())
        new = detail not in asked
        asked.add(detail)
        return new

    def put(self, run: TrainingRun) -> None:
        """Keep details of a known run."""
        (self._final if run.run_id in self._final else self._unfinished)[run.run_id] = run

    def get(self, run_id: str) -> TrainingRun | None:
        return self._final.get(run_id) or self._unfinished.get(run_id)

    async def of(
        self, run_ids: Iterable[str], experiments: Experiments, *, now: datetime
    ) -> Mapping[str, TrainingRun]:
        """The runs with these ids on the server, including deleted ones.

        Args:
            run_ids: run ids; ids that MLflow cannot have created are ignored.
            now: unfinished runs that started within `MAX_RUN_AGE` before are read again.
        """
        wanted = {run_id for run_id in run_ids if RUN_ID.fullmatch(run_id)}
        abandoned = {i for i, run in self._unfinished.items() if run.started_at < now - MAX_RUN_AGE}
        missing = wanted - self._final.keys() - self._absent - abandoned
        rows = {row.run.run_id: row for row in await self._search(missing, experiments)}
        for run_id, row in rows.items():
            self._unfinished.pop(run_id, None)
            self._asked.pop(run_id, None)
            self.proven.discard(run_id)
            (self._final if row.final else self._unfinished)[run_id] = row.run
        self._absent |= missing - rows.keys()
        known = self._unfinished | self._final
        return {i: known[i] for i in wanted & known.keys()}

    async def _search(self, run_ids: set[str], experiments: Experiments) -> list[parsing.RunRow]:
        if not run_ids:
            return []
        # runs/search finds nothing without experiments, and runs/get needs one call per run.
        within = await experiments()
        rows: list[parsing.RunRow] = []
        for some in _batches(sorted(run_ids), IDS_PER_CALL):
            ids = ", ".join(quoted(run_id) for run_id in some)

            def ask(
                size: int, token: str, wanted: str = f"attributes.run_id IN ({ids})"
            ) -> Awaitable[tuple[list[dict[str, Any]], str]]:
                return self._client.search_runs(within, wanted, page_size=size, token=token)

            async for found in pages(ask, IDS_PER_CALL):
                with self._client.parsing_answer("runs/search"):
                    parsed = parsing.runs({"runs": found})
                count_kept(sum(memory_of_run(row.run) for row in parsed))
                rows += parsed
        return rows


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
