"""Ops runs on a real server: exactly one per operation, and complete, after any failure."""

import asyncio
import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contract.tracking.conftest import Rest, unique

from feature_lineage.errors import (
    FeatureLineageError,
    InvalidReport,
    ServerUnavailable,
    TooManyDependencies,
    WaitingError,
)
from feature_lineage.features import bounds
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.records import (
    OPERATION_ID_TAG,
    PLAN_ARTIFACT,
    REGISTRY_DIGEST_TAG,
    RESOURCE_TAG,
    SNAPSHOT_ARTIFACT,
    OpsRun,
)
from feature_lineage.tracking import MLflowRegistry, timeline_reader
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.http import Call
from feature_lineage.tracking.ops import RECORDED_TAG, OpsRuns
from feature_lineage.tracking.parsing import milliseconds, pairs
from feature_lineage.tracking.timeline_reader import REVISION_TAG
from feature_lineage.tracking.truncation import FULL_VALUES_ARTIFACT, OMITTED_TAG

START = datetime(2026, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)


def snapshot(name: str = "driver") -> RegistrySnapshot:
    return RegistrySnapshot("p", {"entity": {name: {"name": name}}}, {"view": "abc"})


SOONER: dict[str, Any] = {
    "started_at": START - timedelta(hours=2),
    "ended_at": START - timedelta(hours=1),
}
FORGED = {SNAPSHOT_ARTIFACT: snapshot("forged").to_json()}


def ops(experiment: str, **more: Any) -> OpsRun:
    held = snapshot()
    run = OpsRun(
        operation_id=unique("op"),
        experiment=experiment,
        name="apply",
        started_at=START,
        ended_at=START + timedelta(seconds=9),
        status="FINISHED",
        tags={REGISTRY_DIGEST_TAG: held.digest, REVISION_TAG: "abc", "feast.project": "p"},
        params={"views": "a,b"},
        metrics={"seconds": 8.5},
        artifacts={SNAPSHOT_ARTIFACT: held.to_json(), PLAN_ARTIFACT: '{"ü": 1}'},
    )
    return replace(run, **more)


def whole(raw: dict[str, Any], run: OpsRun) -> bool:
    """The run in MLflow contains everything in the record."""
    info, data = raw["info"], raw["data"]
    tags = {OPERATION_ID_TAG: run.operation_id, RECORDED_TAG: "true"} | dict(run.tags)
    return (
        (info["status"], info["run_name"]) == (run.status, run.name)
        and info["start_time"] == milliseconds(run.started_at)
        and info["end_time"] == milliseconds(run.ended_at)
        and tags.items() <= pairs(data["tags"]).items()
        and pairs(data.get("params", ())) == run.params
        and {m["key"]: m["value"] for m in data.get("metrics", ())} == run.metrics
    )


def experiment_of(rest: Rest, name: str) -> str:
    found = rest.call("GET", "experiments/get-by-name", experiment_name=name)
    return str(found["experiment"]["experiment_id"])


async def test_a_record_makes_experiment_and_run(
    registry: MLflowRegistry, client: MLflowClient, rest: Rest
) -> None:
    run = ops(unique("projekt-ü-feast-ops"))

    run_id = await registry.record(run)

    (raw,) = rest.runs(experiment_of(rest, run.experiment))
    assert raw["info"]["run_id"] == run_id
    assert whole(raw, run)
    for path, text in run.artifacts.items():
        assert (await client.download(run_id, path)).decode() == text


async def test_a_failed_operation_is_a_failed_run(registry: MLflowRegistry, rest: Rest) -> None:
    run = ops(unique("ops"), status="FAILED", tags={}, params={}, metrics={}, artifacts={})

    await registry.record(run)

    (raw,) = rest.runs(experiment_of(rest, run.experiment))
    assert whole(raw, run)


async def test_recording_again_changes_nothing(registry: MLflowRegistry, rest: Rest) -> None:
    run = ops(unique("ops"))
    first = await registry.record(run)
    before = rest.runs(experiment_of(rest, run.experiment))

    assert await registry.record(run) == first
    assert rest.runs(experiment_of(rest, run.experiment)) == before


async def test_concurrent_records_of_an_operation_leave_one_run(
    registry: MLflowRegistry, rest: Rest
) -> None:
    run = ops(unique("ops"))

    await asyncio.gather(*(registry.record(run) for _ in range(5)), return_exceptions=True)
    last = await registry.record(run)

    (raw,) = rest.runs(experiment_of(rest, run.experiment), "ACTIVE_ONLY")
    assert raw["info"]["run_id"] == last
    assert whole(raw, run)


Fault = Callable[[str], bool]


async def broken_off(client: MLflowClient, run: OpsRun, at: int, *, arrived: bool) -> bool:
    """Record, and lose the connection at call number `at`; False if there was no such call."""
    real = client.http.body
    calls = 0

    async def body(call: Call) -> bytes:
        nonlocal calls
        calls += 1
        if calls != at:
            return await real(call)
        if arrived:
            with contextlib.suppress(FeatureLineageError):
                await real(call)
        raise ServerUnavailable("the connection broke")

    client.http.body = body  # type: ignore[method-assign]
    try:
        await OpsRuns(client).record(run)
    except FeatureLineageError:
        return True
    finally:
        client.http.body = real  # type: ignore[method-assign]
    return False


@pytest.mark.parametrize("arrived", [False, True])
async def test_a_crash_at_any_call_ends_in_one_whole_run(
    client: MLflowClient, rest: Rest, arrived: bool
) -> None:
    """The operator dies before or after each single call; the next record completes the run."""
    at = 1
    while True:
        run = ops(unique("ops"))
        broke = await broken_off(client, run, at, arrived=arrived)
        await OpsRuns(client).record(run)

        (raw,) = rest.runs(experiment_of(rest, run.experiment))
        assert whole(raw, run), f"broken at call {at}"
        if not broke:
            break
        at += 1
    assert at > 9


async def test_a_create_that_landed_late_leaves_one_run(client: MLflowClient, rest: Rest) -> None:
    """The create that timed out arrives only after the next attempt recorded the operation."""
    run = ops(unique("ops"))
    kept = await OpsRuns(client).record(run)
    experiment = experiment_of(rest, run.experiment)
    await client.create_run(experiment, "late", 0, {OPERATION_ID_TAG: run.operation_id})

    assert await OpsRuns(client).record(run) == kept

    (raw,) = rest.runs(experiment, "ACTIVE_ONLY")
    assert raw["info"]["run_id"] == kept


async def test_of_several_unfinished_runs_the_oldest_stays(
    client: MLflowClient, rest: Rest
) -> None:
    run = ops(unique("ops"))
    experiment = rest.experiment(run.experiment)
    tags = {OPERATION_ID_TAG: run.operation_id}
    ids = [
        (await client.create_run(experiment, "apply", start, tags))["info"]["run_id"]
        for start in (30, 10, 20)
    ]

    assert await OpsRuns(client).record(run) == ids[1]
    assert [raw["info"]["run_id"] for raw in rest.runs(experiment, "ACTIVE_ONLY")] == [ids[1]]


async def test_a_record_that_a_user_deleted_is_not_written_again(
    registry: MLflowRegistry, rest: Rest
) -> None:
    run = ops(unique("ops"))
    run_id = await registry.record(run)
    rest.post("runs/delete", run_id=run_id)

    assert await registry.record(run) == run_id
    assert len(rest.runs(experiment_of(rest, run.experiment))) == 1


async def test_a_deleted_experiment_is_said_with_what_to_do(
    registry: MLflowRegistry, rest: Rest
) -> None:
    run = ops(unique("ops"))
    experiment = rest.experiment(run.experiment)
    rest.post("experiments/delete", experiment_id=experiment)

    with pytest.raises(WaitingError, match=f"restore --experiment-id {experiment}") as error:
        await registry.record(run)
    assert error.value.reason == "ExperimentDeleted"

    rest.post("experiments/restore", experiment_id=experiment)
    await registry.record(run)


async def test_an_experiment_that_others_create_at_the_same_time(
    registry: MLflowRegistry, rest: Rest
) -> None:
    name = unique("ops")

    ids = await asyncio.gather(*(registry.record(ops(name)) for _ in range(6)))

    assert len(set(ids)) == 6
    assert len(rest.runs(experiment_of(rest, name))) == 6


async def test_more_than_one_batch_of_everything(registry: MLflowRegistry, rest: Rest) -> None:
    run = ops(
        unique("ops"),
        tags={f"tag{i}": "é" * 5000 for i in range(250)},
        params={f"param{i}": "é" * 5000 for i in range(250)},
        metrics={f"metric{i}": float(i) for i in range(2100)},
        artifacts={},
    )

    await registry.record(run)

    (raw,) = rest.runs(experiment_of(rest, run.experiment))
    assert whole(raw, run)


async def test_long_texts_odd_characters_and_non_json_numbers(
    registry: MLflowRegistry, client: MLflowClient, rest: Rest
) -> None:
    refs = ",".join(f"view:feature_{i}" for i in range(1000))
    run = ops(
        unique("ops"),
        name="apply\0\ud800" + "n" * 400,
        tags={"feast.feature_views": refs, "note": "é" * 9000, "bad\ud800key'`": "\ud800\0"},
        params={"view:Übersicht/1": "p" * 7000},
        metrics={"nan": math.nan, "inf": math.inf, "ninf": -math.inf, "one%": 1.0},
        artifacts={"ü ñ.json": "\ud800"},
    )

    run_id = await registry.record(run)

    (raw,) = rest.runs(experiment_of(rest, run.experiment))
    tags, params = pairs(raw["data"]["tags"]), pairs(raw["data"]["params"])
    assert tags[OMITTED_TAG] == "feast.feature_views"
    assert "feast.feature_views" not in tags
    assert len(tags["note"]) == 8000
    assert len(params["view:Übersicht/1"]) == 6000
    assert {m["key"] for m in raw["data"]["metrics"]} == {"nan", "inf", "ninf", "one_"}
    full = json.loads(await client.download(run_id, FULL_VALUES_ARTIFACT))
    assert full["tags"]["feast.feature_views"] == refs
    assert await client.download(run_id, "ü ñ.json") == b"?"


async def test_history_has_the_times_of_registry_changes(
    registry: MLflowRegistry, rest: Rest
) -> None:
    name = unique("ops")
    assert await registry.history(name) == ()
    digests = ["a", "a", "b", "a", "c"]
    for hour, digest in enumerate(digests):
        end = START + timedelta(hours=hour)
        tags = {REGISTRY_DIGEST_TAG: digest, REVISION_TAG: f"rev{hour}"}
        status = "FAILED" if digest == "c" else "FINISHED"
        run = ops(name, started_at=end - timedelta(minutes=1), ended_at=end, tags=tags)
        await registry.record(replace(run, status=status))
    await registry.record(ops(name, tags={}))
    half = {"key": REGISTRY_DIGEST_TAG, "value": "half"}
    rest.post("runs/create", experiment_id=experiment_of(rest, name), tags=[half])

    found = await registry.history(name)

    assert [(r.digest, r.revision) for r in found] == [("a", "rev0"), ("b", "rev2"), ("a", "rev3")]
    at = START.replace(microsecond=123_000)
    assert [r.at for r in found] == [at, at + timedelta(hours=2), at + timedelta(hours=3)]


async def test_history_of_a_namespace_has_no_runs_of_others(registry: MLflowRegistry) -> None:
    name = unique("ops")
    for hour, resource in enumerate(("ml/ranking", "evil/ranking", "ml-2/ml", "")):
        end = START + timedelta(hours=hour)
        written = {RESOURCE_TAG: resource} if resource else {}
        tags = {REGISTRY_DIGEST_TAG: f"digest-{hour}", **written}
        await registry.record(ops(name, started_at=end, ended_at=end, tags=tags))

    found = await registry.history(name, namespace="ml")

    assert [record.digest for record in found] == ["digest-0"]
    assert len(await registry.history(name)) == 4


async def test_history_outlives_its_experiment(registry: MLflowRegistry, rest: Rest) -> None:
    name = unique("ops")
    await registry.record(ops(name))
    rest.post("experiments/delete", experiment_id=experiment_of(rest, name))

    assert len(await registry.history(name)) == 1
    assert await registry.snapshot(name, snapshot().digest) == snapshot()


async def test_a_snapshot_comes_back_by_its_digest(registry: MLflowRegistry) -> None:
    name = unique("ops")
    assert await registry.snapshot(name, snapshot().digest) is None
    await registry.record(ops(name))

    assert await registry.snapshot(name, snapshot().digest) == snapshot()
    assert await registry.snapshot(name, snapshot("other").digest) is None


async def test_a_snapshot_is_in_the_first_run_that_names_it(
    registry: MLflowRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operation that finds the same registry as the one before stores no second snapshot."""
    monkeypatch.setattr(timeline_reader, "MAX_LOOKED_AT", 1)
    name = unique("ops")
    for hour in range(3):
        end = START + timedelta(hours=hour)
        artifacts = {} if hour else {SNAPSHOT_ARTIFACT: snapshot().to_json()}
        await registry.record(ops(name, started_at=end, ended_at=end, artifacts=artifacts))

    assert await registry.snapshot(name, snapshot().digest) == snapshot()


@pytest.mark.parametrize("artifacts", [{}, FORGED], ids=["none", "forged"])
async def test_runs_of_others_hide_no_snapshot_of_a_namespace(
    registry: MLflowRegistry, monkeypatch: pytest.MonkeyPatch, artifacts: dict[str, str]
) -> None:
    monkeypatch.setattr(timeline_reader, "MAX_LOOKED_AT", 2)
    monkeypatch.setattr(timeline_reader, "MAX_WRONG", 2)
    name, tags = unique("ops"), {REGISTRY_DIGEST_TAG: snapshot().digest}
    for _ in range(2):
        others = tags | {RESOURCE_TAG: "ml-2/ranking"}
        await registry.record(ops(name, tags=others, artifacts=artifacts, **SOONER))
    await registry.record(ops(name, tags=tags | {RESOURCE_TAG: "ml/ranking"}))

    assert await registry.snapshot(name, snapshot().digest, namespace="ml") == snapshot()


async def test_a_snapshot_of_another_namespace_is_found_too(registry: MLflowRegistry) -> None:
    """The digest proves its content; a project may have moved."""
    name = unique("ops")
    tags = {REGISTRY_DIGEST_TAG: snapshot().digest, RESOURCE_TAG: "before/ranking"}
    await registry.record(ops(name, tags=tags))

    assert await registry.snapshot(name, snapshot().digest, namespace="ml") == snapshot()


async def test_a_changed_snapshot_is_ignored_and_reported(
    registry: MLflowRegistry,
) -> None:
    name, right = unique("ops"), snapshot()
    await registry.record(ops(name, artifacts=FORGED, **SOONER))
    await registry.record(ops(name, artifacts={}))
    with pytest.raises(InvalidReport, match="was changed after"):
        await registry.snapshot(name, right.digest)

    await registry.record(ops(name))
    assert await registry.snapshot(name, right.digest) == right


async def test_a_snapshot_that_is_too_large_hides_no_other(
    registry: MLflowRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, right = unique("ops"), snapshot()
    monkeypatch.setattr(timeline_reader, "MAX_BYTES", 1000)
    large = {SNAPSHOT_ARTIFACT: right.to_json() + " " * 1000}
    await registry.record(ops(name, artifacts=large, **SOONER))
    with pytest.raises(InvalidReport, match="more than 1000 bytes"):
        await registry.snapshot(name, right.digest)

    await registry.record(ops(name))
    assert await registry.snapshot(name, right.digest) == right


async def test_a_snapshot_of_too_many_dependencies_is_not_called_changed(
    registry: MLflowRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, right = unique("ops"), RegistrySnapshot("p", {"feature_view": {"v": {}}})
    tags, artifacts = {REGISTRY_DIGEST_TAG: right.digest}, {SNAPSHOT_ARTIFACT: right.to_json()}
    await registry.record(ops(name, tags=tags, artifacts=artifacts))
    monkeypatch.setattr(bounds, "MAX_DEPENDENCIES", 0)

    with pytest.raises(TooManyDependencies, match=r"^the registry of project .* too many"):
        await registry.snapshot(name, right.digest)


async def test_a_snapshot_of_several_megabytes(registry: MLflowRegistry) -> None:
    large = RegistrySnapshot(
        "p", {"feature_view": {f"v{i}": {"spec": "x" * 1000} for i in range(12_000)}}
    )
    run = ops(
        unique("ops"),
        tags={REGISTRY_DIGEST_TAG: large.digest},
        artifacts={SNAPSHOT_ARTIFACT: large.to_json()},
    )

    await registry.record(run)

    assert await registry.snapshot(run.experiment, large.digest) == large
