"""Reads the registry's timeline and its snapshots from the ops runs.

The runs are untrusted, because other users may write to the experiment: a snapshot counts only if
it has the digest that its run names.
"""

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final

from feature_lineage.errors import InvalidReport, NotFound, RequestRejected
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import MAX_BYTES, RegistrySnapshot
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
MAX_CHANGED: Final = 100
"""Downloads of a snapshot that turned out to have another digest."""
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
        found: list[SnapshotRecord] = []  # newest first, as they are requested
        async for raw in self._runs(experiment, f"tags.`{REGISTRY_DIGEST_TAG}` != ''"):
            with self._client.parsing_answer("runs/search"):
                info, tags = raw["info"], parsing.pairs(raw["data"]["tags"])
                written_by, _, _ = tags.get(RESOURCE_TAG, "").partition("/")
                if namespace is not None and written_by != namespace:
                    continue
                record = SnapshotRecord(
                    at=parsing.moment(info.get("end_time") or info["start_time"]),
                    digest=tags[REGISTRY_DIGEST_TAG][:MAX_TEXT],
                    revision=tags.get(REVISION_TAG, "")[:MAX_TEXT],
                )
            if found and found[-1].digest == record.digest and record.at <= found[-1].at:
                found[-1] = record.seen_again(found[-1])
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

    async def snapshot(self, experiment: str, digest: str) -> RegistrySnapshot | None:
        """The snapshot of that digest; None if no finished ops run names it.

        Raises:
            InvalidReport: runs name it, but none of their snapshots has that digest.
        """
        problems: list[InvalidReport] = []
        async for raw in self._runs(experiment, f"tags.`{REGISTRY_DIGEST_TAG}` = {quoted(digest)}"):
            with self._client.parsing_answer("runs/search"):
                run_id = str(raw["info"]["run_id"])
            try:
                body = await self._client.download(run_id, SNAPSHOT_ARTIFACT, max_bytes=MAX_BYTES)
                return RegistrySnapshot.from_json(body, digest)
            except NotFound:
                continue
            except (InvalidReport, RequestRejected) as error:
                # Another user may have written it: one of another run may be right.
                problems.append(
                    InvalidReport(
                        f"{SNAPSHOT_ARTIFACT} of MLflow run {run_id} was changed after it was"
                        f" recorded: {error.message}"
                    )
                )
            if len(problems) == MAX_CHANGED:
                break
        if problems:
            raise problems[-1]
        return None

    async def _runs(self, experiment: str, wanted: str) -> AsyncIterator[dict[str, Any]]:
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
                order_by=["attributes.start_time DESC"],
                deleted_too=deleted,
                token=token,
            )

        async for page in pages(ask, RUNS_PAGE):
            for raw in page:
                yield raw
