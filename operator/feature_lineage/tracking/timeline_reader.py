"""Reads the registry's timeline and its snapshots from the ops runs.

The runs are untrusted, because other users may write to the experiment: a snapshot counts only if
it has the digest that its run names.
"""

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final

from feature_lineage.errors import InvalidReport, NotFound, RequestRejected, TooManyDependencies
from feature_lineage.features.bounds import read_stored
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import MAX_BYTES, RegistrySnapshot
from feature_lineage.large_parses import in_parser_thread
from feature_lineage.operations.records import (
    REGISTRY_DIGEST_TAG,
    RESOURCE_TAG,
    SNAPSHOT_ARTIFACT,
)
from feature_lineage.tracking import parsing
from feature_lineage.tracking.client import MLflowClient, quoted
from feature_lineage.tracking.mlflow_errors import ANSWER_TOO_LARGE
from feature_lineage.tracking.ops import RECORDED_TAG
from feature_lineage.tracking.page_walk import pages

RUNS_PAGE: Final = 1000
MAX_CHANGES: Final = 10_000
MAX_TEXT: Final = 200
"""Characters of a digest or revision."""
MAX_WRONG: Final = 100
"""Downloads of a snapshot that turned out to have another digest, in one search."""
MAX_LOOKED_AT: Final = 1000
"""Runs of one digest whose snapshot is requested in one search."""
REVISION_TAG: Final = "featurelineage.io/revision"
_WHOLE: Final = f"tags.`{RECORDED_TAG}` = 'true' AND attributes.status = 'FINISHED'"


class TimelineReader:
    """Reads the ops runs of one server."""

    def __init__(self, client: MLflowClient) -> None:
        self._client = client

    async def history(
        self, experiment: str, *, namespace: str | None = None
    ) -> tuple[SnapshotRecord, ...]:
        """The registry's timeline, oldest first: one record per change of digest.

        Empty if the experiment does not exist: nothing was recorded yet. Failed, deleted and
        incompletely recorded runs do not count.

        Args:
            namespace: only the runs of projects in this namespace count; None: all runs.
        """
        found: list[SnapshotRecord] = []  # oldest first, as they are requested
        async for raw in self._runs(experiment, f"tags.`{REGISTRY_DIGEST_TAG}` != ''", namespace):
            with self._client.parsing_answer("runs/search"):
                info, tags = raw["info"], parsing.pairs(raw["data"]["tags"])
                record = SnapshotRecord(
                    at=parsing.moment(info.get("end_time") or info["start_time"]),
                    digest=tags[REGISTRY_DIGEST_TAG][:MAX_TEXT],
                    revision=tags.get(REVISION_TAG, "")[:MAX_TEXT],
                )
            if found and found[-1].digest == record.digest and found[-1].at <= record.at:
                found[-1] = found[-1].seen_again(record)
            else:
                found.append(record)
            if len(found) > MAX_CHANGES:
                raise RequestRejected(
                    f"experiment {experiment} of MLflow at {self._client.server.tracking_uri} has"
                    f" more than {MAX_CHANGES} changes of the registry; they are not read",
                    error_code=ANSWER_TOO_LARGE,
                )
        changes: list[SnapshotRecord] = []
        for record in sorted(found):
            if changes and changes[-1].digest == record.digest:
                changes[-1] = changes[-1].seen_again(record)
            else:
                changes.append(record)
        return tuple(changes)

    async def snapshot(
        self, experiment: str, digest: str, *, namespace: str | None = None
    ) -> RegistrySnapshot | None:
        """The snapshot of that digest; None if no finished ops run has it.

        Args:
            namespace: the runs of projects in this namespace are searched before all runs, so that
                those of others hide none of them.

        Raises:
            InvalidReport: runs name it, but none of their snapshots has that digest.
            TooManyDependencies: the snapshot has that digest, and is not read.
        """
        problems: list[InvalidReport] = []
        for written_by in dict.fromkeys((namespace, None)):
            found = await self._search(experiment, digest, written_by, problems)
            if found is not None:
                return found
        if problems:
            raise problems[-1]
        return None

    async def _search(
        self, experiment: str, digest: str, namespace: str | None, problems: list[InvalidReport]
    ) -> RegistrySnapshot | None:
        """The snapshot in the oldest runs of that digest: later ones store it no second time."""
        looked_at, wrong = 0, 0
        wanted = f"tags.`{REGISTRY_DIGEST_TAG}` = {quoted(digest)}"
        async for raw in self._runs(experiment, wanted, namespace):
            if looked_at == MAX_LOOKED_AT or wrong == MAX_WRONG:
                break
            looked_at += 1
            with self._client.parsing_answer("runs/search"):
                run_id = str(raw["info"]["run_id"])
            try:
                body = await self._client.download(run_id, SNAPSHOT_ARTIFACT, max_bytes=MAX_BYTES)
                return await in_parser_thread(read_stored, body, digest)
            except NotFound:
                continue
            except TooManyDependencies:  # whole: so has each other run of this digest
                raise
            except (InvalidReport, RequestRejected) as error:
                # Another user may have written it: one of another run may be right.
                wrong += 1
                problems.append(
                    InvalidReport(
                        f"{SNAPSHOT_ARTIFACT} of MLflow run {run_id} was changed after it was"
                        f" recorded: {error.message}"
                    )
                )
        return None

    async def _runs(
        self, experiment: str, wanted: str, namespace: str | None
    ) -> AsyncIterator[dict[str, Any]]:
        """The finished runs of an experiment, the oldest first."""
        if namespace is not None:
            wanted += f" AND tags.`{RESOURCE_TAG}` LIKE {quoted(f'{namespace}/%')}"
        try:
            # The runs of a deleted experiment are deleted with it, and are still valid records.
            experiment_id, deleted = await self._client.experiment(experiment)
        except NotFound:
            return

        def ask(size: int, token: str) -> Awaitable[tuple[list[dict[str, Any]], str]]:
            return self._client.search_runs(
                [experiment_id],
                f"{_WHOLE} AND {wanted}",
                page_size=size,
                order_by=["attributes.start_time ASC"],
                deleted_too=deleted,
                token=token,
            )

        async for page in pages(ask, RUNS_PAGE):
            for raw in page:
                yield raw
