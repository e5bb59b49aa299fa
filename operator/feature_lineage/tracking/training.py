"""Reads training runs in bulk, and caches finished runs permanently.

The lineage tags of a finished run do not change any more. So a read of the registry requests only
the runs of new versions, and running ones. Runs that a crash left unfinished are read only at full
reads.
"""

import sys
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from feature_lineage.errors import AccessRefused, NotFound, RequestRejected
from feature_lineage.models.facts import TrainingRun
from feature_lineage.models.recorded import needs_artifact
from feature_lineage.tracking import parsing
from feature_lineage.tracking.client import MLflowClient, quoted
from feature_lineage.tracking.concurrency import for_each
from feature_lineage.tracking.mlflow_errors import ServerFailed
from feature_lineage.tracking.page_walk import pages
from feature_lineage.tracking.run_resolver import RUN_ID
from feature_lineage.untrusted import parse_json

FEATURES_ARTIFACT: Final = "feast_features.json"
MAX_FEATURES: Final = 1024 * 1024
IDS_PER_CALL: Final = 500
MAX_RUN_AGE: Final = timedelta(hours=1)
"""A run that is unfinished for longer is read again only at full reads."""


class TrainingRuns:
    """The training runs of versions, with a cache."""

    def __init__(self, client: MLflowClient) -> None:
        self._client = client
        self._final: dict[str, TrainingRun] = {}
        self._unfinished: dict[str, TrainingRun] = {}
        self._absent: set[str] = set()
        self._unreadable: set[str] = set()

    async def of(
        self, run_ids: Iterable[str], *, now: datetime, full: bool
    ) -> Mapping[str, TrainingRun]:
        """The runs with these ids on the server, including deleted ones.

        Args:
            run_ids: run ids; ids that MLflow cannot have created are ignored.
            now: unfinished runs that started within `MAX_RUN_AGE` before are read again.
            full: read all unfinished runs again, runs that were missing, and artifacts that could
                not be read; drop runs that no version names any more.
        """
        wanted = {run_id for run_id in run_ids if RUN_ID.fullmatch(run_id)}
        if full:
            keep = wanted - self._unreadable
            self._final = {i: run for i, run in self._final.items() if i in keep}
            self._unfinished.clear()
            self._absent.clear()
            self._unreadable.clear()
        abandoned = {i for i, run in self._unfinished.items() if run.started_at < now - MAX_RUN_AGE}
        missing = wanted - self._final.keys() - self._absent - abandoned
        rows = {row.run.run_id: row for row in await self._search(missing)}
        found = {run_id: row.run for run_id, row in rows.items()}

        async def read_artifact(run: TrainingRun) -> None:
            found[run.run_id] = await self._with_artifact(run)

        await for_each([run for run in found.values() if needs_artifact(run)], read_artifact)
        for run_id, run in found.items():
            self._unfinished.pop(run_id, None)
            (self._final if rows[run_id].final else self._unfinished)[run_id] = run
        self._absent |= missing - found.keys()
        known = self._final | self._unfinished
        return {i: known[i] for i in wanted & known.keys()}

    async def _search(self, run_ids: set[str]) -> list[parsing.RunRow]:
        if not run_ids:
            return []
        # runs/search finds nothing without experiments, and runs/get needs one call per run.
        experiments = await self._client.experiment_ids()
        rows: list[parsing.RunRow] = []
        for some in _batches(sorted(run_ids), IDS_PER_CALL):
            ids = ", ".join(quoted(run_id) for run_id in some)

            def ask(
                size: int, token: str, wanted: str = f"attributes.run_id IN ({ids})"
            ) -> Awaitable[tuple[list[dict[str, Any]], str]]:
                return self._client.search_runs(experiments, wanted, page_size=size, token=token)

            async for found in pages(ask, IDS_PER_CALL):
                with self._client.parsing_answer("runs/search"):
                    rows += parsing.runs({"runs": found})
        return rows

    async def _with_artifact(self, run: TrainingRun) -> TrainingRun:
        try:
            body = await self._client.download(
                run.run_id, FEATURES_ARTIFACT, max_bytes=MAX_FEATURES
            )
        except (NotFound, RequestRejected):
            return run
        except (AccessRefused, ServerFailed):
            # No permission, or a storage that the server cannot read: the list stays unknown, which
            # the verdict shows. Other versions are not affected.
            self._unreadable.add(run.run_id)
            return run
        return replace(run, features_artifact=_references(body))


def _references(body: bytes) -> tuple[str, ...] | None:
    """The references in a ``feast_features.json``; None if it is not a JSON list of strings."""
    try:
        value = parse_json(body)
    except ValueError:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(sys.intern(item) for item in value)


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
