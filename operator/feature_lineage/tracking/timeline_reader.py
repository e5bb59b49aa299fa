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
from feature_lineage.tracking.ops import RECORDED_TAG
from feature_lineage.tracking.page_walk import pages

RUNS_PAGE: Final = 1000
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
        found: list[SnapshotRecord] = []
        async for raw in self._runs(experiment, f"tags.`{REGISTRY_DIGEST_TAG}` != ''"):
            with self._client.parsing_answer("runs/search"):
                info, tags = raw["info"], parsing.pairs(raw["data"]["tags"])
                written_by, _, _ = tags.get(RESOURCE_TAG, "").partition("/")
                if namespace is not None and written_by != namespace:
                    continue
                found.append(
                    SnapshotRecord(
                        at=parsing.moment(info.get("end_time") or info["start_time"]),
                        digest=tags[REGISTRY_DIGEST_TAG],
                        revision=tags.get(REVISION_TAG, ""),
                    )
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
        problem: InvalidReport | None = None
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
                problem = InvalidReport(
                    f"{SNAPSHOT_ARTIFACT} of MLflow run {run_id} was changed after it was recorded:"
                    f" {error.message}"
                )
        if problem is not None:
            raise problem
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
