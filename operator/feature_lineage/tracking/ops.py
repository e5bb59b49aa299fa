"""Records exactly one MLflow run per operation, also after crashes and lost answers.

MLflow has no idempotent create. So a run is created with its operation id as a tag, runs with this
tag are searched before and after creating, and all but one of them are deleted. Logging is
idempotent. `RECORDED_TAG` is written last; a run without it is completed. A record that a user
deleted stays deleted and is not written again.
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
"""Limits of MLflow per call: 100 tags, 100 params, 1000 metrics, 1 MB (4 bytes a character)."""


class OpsRuns:
    """Writes the ops runs of one server."""

    def __init__(self, client: MLflowClient) -> None:
        self._client = client

    async def record(self, run: OpsRun) -> str:
        """Create or complete the run of one operation; returns its id.

        Raises:
            WaitingError: the experiment is soft-deleted (reason ``ExperimentDeleted``).
            FeatureLineageError: the server's answer; recording again completes the run.
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
            # Searched again also after success: another attempt may have created a run, too.
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
            # Another process created it in the meantime.
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
        # Params are immutable: an existing one comes from an earlier attempt at this run.
        for batch in _batches({k: v for k, v in run.params.items() if k not in params}):
            await client.log_batch(run_id, params=batch)
        # With the same time and step, a repeated metric is the same entry.
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
        """Upload an artifact; False if the server can neither proxy nor write its storage."""
        try:
            await self._client.upload(run_id, uri, path, text.encode())
        except (ServerFailed, RequestRejected):
            if proxied_root(uri, self._client.server.host) is not None:
                raise
            return False
        return True


def _number(value: float) -> float | str:
    """A number as JSON; infinity and NaN in protobuf's spelling, which MLflow reads."""
    return (
        value
        if math.isfinite(value)
        else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    )


def _batches(values: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Split items into batches with at most the number and size for one call."""
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
    """Sort key: recorded runs first, then the oldest, then by id, the same for every process."""
    info = raw["info"]
    recorded = RECORDED_TAG in parsing.pairs(raw.get("data", {}).get("tags", ()))
    return not recorded, int(info.get("start_time", 0)), str(info["run_id"])
