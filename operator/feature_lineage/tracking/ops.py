"""Exactly one MLflow run per operation, whatever happens in between.

MLflow has no idempotent create. So a run carries its operation id as a tag from its first moment,
whoever records looks for it before and after creating, and of several one stays. What is logged
may be logged again; the tag `RECORDED_TAG` comes last, so a run without it is completed rather
than trusted. A record that somebody deleted stays deleted: it is not written anew.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from feature_lineage.errors import NotFound, RequestRejected, WaitingError
from feature_lineage.operations.records import OPERATION_ID_TAG, OpsRun
from feature_lineage.reasons import Reason
from feature_lineage.tracking import parsing
from feature_lineage.tracking.client import MLflowClient, proxied_root, quoted
from feature_lineage.tracking.mlflow_errors import ServerFailed
from feature_lineage.tracking.truncation import truncated

RECORDED_TAG: Final = "featurelineage.io/recorded"
UNSTORED_TAG: Final = "featurelineage.io/unstored-artifacts"
BATCH: Final = 100
METRICS_BATCH: Final = 1000
BATCH_CHARACTERS: Final = 200_000
"""MLflow takes 100 tags, 100 params, 1000 metrics and 1 MB (of up to 4 bytes a character) a call"""


class OpsRuns:
    """Writes the ops runs of one server."""

    def __init__(self, client: MLflowClient) -> None:
        self._client = client

    async def record(self, run: OpsRun) -> str:
        """Make the run of one operation true; returns its id.

        Raises:
            WaitingError: the experiment is soft-deleted (reason ``ExperimentDeleted``).
            FeatureLineageError: as the server answers; recording again completes what was begun.
        """
        run = truncated(run)
        experiment = await self._experiment(run.experiment)
        known = await self._runs(experiment, run.operation_id)
        if not known:
            first = next(_batches(run.tags), {})
            created = await self._client.create_run(
                experiment,
                run.name,
                parsing.milliseconds(run.started_at),
                {OPERATION_ID_TAG: run.operation_id} | first,
            )
            # Looked for again even after a clean answer: another attempt may have got through.
            known = await self._runs(experiment, run.operation_id) or [created]
        with self._client.parsing_answer("runs/search"):
            ranked = sorted(known, key=_rank)
            kept, *others = [raw for raw in ranked if not _deleted(raw)] or ranked[:1]
            run_id = str(kept["info"]["run_id"])
        for other in others:
            await self._client.delete_run(str(other["info"]["run_id"]))
        if not _deleted(kept):
            await self._complete(kept, run)
        return run_id

    async def _experiment(self, name: str) -> str:
        try:
            experiment, deleted = await self._client.experiment(name)
        except NotFound:
            try:
                return await self._client.create_experiment(name)
            except RequestRejected as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            # Somebody was faster.
            experiment, deleted = await self._client.experiment(name)
        if deleted:
            raise WaitingError(
                f"MLflow experiment {name!r} (id {experiment}) at"
                f" {self._client.server.tracking_uri} is deleted, so operations cannot be recorded;"
                f" restore it: mlflow experiments restore --experiment-id {experiment}",
                reason=Reason.EXPERIMENT_DELETED,
            )
        return experiment

    async def _runs(self, experiment: str, operation_id: str) -> list[dict[str, Any]]:
        wanted = f"tags.`{OPERATION_ID_TAG}` = {quoted(operation_id)}"
        found, _ = await self._client.search_runs([experiment], wanted)
        return found

    async def _complete(self, raw: Mapping[str, Any], run: OpsRun) -> None:
        client = self._client
        with client.parsing_answer("runs/search"):
            run_id, data = str(raw["info"]["run_id"]), raw.get("data", {})
            tags, params = (
                parsing.pairs(data.get("tags", ())),
                parsing.pairs(data.get("params", ())),
            )
            uri = str(raw["info"].get("artifact_uri", ""))
        if tags.get(RECORDED_TAG) == "true":
            return
        for batch in _batches({k: v for k, v in run.tags.items() if tags.get(k) != v}):
            await client.log_batch(run_id, tags=batch)
        # A param never changes: one that is there came from an earlier attempt at this very run.
        for batch in _batches({k: v for k, v in run.params.items() if k not in params}):
            await client.log_batch(run_id, params=batch)
        # The same time and step make a repeated metric the same entry.
        end = parsing.milliseconds(run.ended_at)
        metrics = [
            {"key": key, "value": _number(value), "timestamp": end, "step": 0}
            for key, value in run.metrics.items()
        ]
        for start in range(0, len(metrics), METRICS_BATCH):
            await client.log_batch(run_id, metrics=metrics[start : start + METRICS_BATCH])
        unstored = [
            path
            for path, text in run.artifacts.items()
            if not await self._stored(run_id, uri, path, text)
        ]
        await client.finish_run(run_id, run.status, end)
        if unstored:
            await client.log_batch(run_id, tags={UNSTORED_TAG: ",".join(unstored)})
        await client.log_batch(run_id, tags={RECORDED_TAG: "true"})

    async def _stored(self, run_id: str, uri: str, path: str, text: str) -> bool:
        """False where this server can never store it: a storage it does not proxy."""
        try:
            await self._client.upload(run_id, uri, path, text.encode())
        except (ServerFailed, RequestRejected):
            if proxied_root(uri) is not None:
                raise
            return False
        return True


def _number(value: float) -> float | str:
    """JSON has no infinity; MLflow reads protobuf's spelling of it."""
    return (
        value
        if math.isfinite(value)
        else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    )


def _batches(values: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Cut to what one call takes, by number and by size."""
    batch: dict[str, str] = {}
    size = 0
    for key, value in values.items():
        if batch and (len(batch) == BATCH - 1 or size + len(value) > BATCH_CHARACTERS):
            yield batch
            batch, size = {}, 0
        batch[key] = value
        size += len(value)
    if batch:
        yield batch


def _deleted(raw: Mapping[str, Any]) -> bool:
    return bool(raw["info"].get("lifecycle_stage") == "deleted")


def _rank(raw: Mapping[str, Any]) -> tuple[bool, int, str]:
    """A run already trusted first, then the oldest; ids decide, alike for everybody."""
    info = raw["info"]
    recorded = RECORDED_TAG in parsing.pairs(raw.get("data", {}).get("tags", ()))
    return not recorded, int(info.get("start_time", 0)), str(info["run_id"])
