"""The main scenario: apply, materialize, link, tag, record; no changes; then the next revision."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    backfill,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import files_of, read_state, registry_of

REFS = ["driver_hourly_stats:conv_rate", "driver_hourly_stats:trips"]
WIDER = FEATURES.replace(
    'Field(name="trips", dtype=Int64),',
    'Field(name="trips", dtype=Int64), Field(name="rating", dtype=Float32),',
)


@pytest.mark.real_processes
@pytest.mark.slow
async def test_repo_is_applied_materialized_and_linked(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("line")
    model = f"{project}_model"
    repo = write_repo(tmp_path / "repo", project)
    spec = {"backfills": [backfill()], "freshness": {"maxAge": "2h"}}
    write_yaml(
        tmp_path / "manifests.yaml",
        project_manifest(project, mlflow.url, **spec),
        model_manifest(model, readyRequires=["Lineage", "Freshness"]),
    )

    # The model does not exist yet, which does not affect the project.
    assert not await run_once(tmp_path)
    applied_and_materialized(tmp_path, repo)
    assert read_state(tmp_path, "ranker", "ftm").state("Ready") == ("False", "ModelNotFound")

    # Trained on the current registry: its baseline is the registry at training time.
    mlflow.train(
        model, project, REFS, alias="champion", **{"feast.feature_service": "driver_activity_v1"}
    )
    mlflow.post(
        "model-versions/set-tag", name=model, version="1", key="feast.feature_views", value="mine"
    )
    assert await run_once(tmp_path)
    linked_and_verified(tmp_path, model)
    tagged(mlflow, model, read_state(tmp_path).status["applied"])
    recorded(mlflow, project, read_state(tmp_path).status)

    # Nothing changed since: nothing is written, reported or started.
    files, runs = files_of(tmp_path), mlflow.ops_runs(project)
    recorder = EventRecorder()
    assert await run_once(tmp_path, recorder)
    assert files_of(tmp_path) == files
    assert mlflow.ops_runs(project) == runs
    assert recorder.events == recorder.failures == []
    assert not any(result.wrote or result.requeue for _, result in recorder.reconciles)

    # The next revision is another operation.
    before = read_state(tmp_path).status
    (repo / "features.py").write_text(WIDER)
    assert await run_once(tmp_path)
    after = read_state(tmp_path)
    assert after.status["applied"]["revision"] != before["applied"]["revision"]
    assert after.status["applied"]["updated"] == 1
    assert "driver_hourly_stats:rating" in registry_of(repo)["features"]
    assert [op["kind"] for op in after.status["operations"]] == ["Apply", "Backfill", "Apply"]
    assert len(mlflow.ops_runs(project)) == 3
    assert after.view("driver_hourly_stats")["rows"] == 5
    assert any("run a backfill" in message for message in after.event_messages("Warning"))
    assert read_state(tmp_path, "ranker", "ftm").status["lineage"]["verdict"] == "Verified"


def applied_and_materialized(folder: Path, repo: Path) -> None:
    project = read_state(folder)
    assert project.state("Ready") == ("True", "Succeeded")
    assert project.state("Materialized")[0] == "True"
    assert project.state("Fresh")[0] == "True"
    assert project.state("Recorded")[0] == "True"
    assert project.state("Reconciling") == project.state("Stalled") == ("", "")
    status = project.status
    assert status["counts"] == {
        "featureViews": 1,
        "features": 3,
        "featureServices": 1,
        "linkedModels": 0,
        "brokenModels": 0,
        "staleViews": 0,
    }
    view = project.view("driver_hourly_stats")
    assert (view["by"], view["lastResult"], view["rows"]) == ("Operator", "Succeeded", 5)
    assert view["fresh"] is True
    assert status["backfills"][0]["state"] == "Succeeded"
    assert status["observedGeneration"] == 1
    assert registry_of(repo)["services"] == ["driver_activity_v1"]
    assert (
        len(project.event_messages("ApplySucceeded"))
        == len(project.event_messages("BackfillSucceeded"))
        == 1
    )


def linked_and_verified(folder: Path, model: str) -> None:
    look_ = read_state(folder, "ranker", "ftm")
    lineage = look_.status["lineage"]
    assert lineage["verdict"] == "Verified"
    assert lineage["schemaDigest"]["baselineFrom"] == "Training"
    assert lineage["schemaDigest"]["baseline"] == lineage["schemaDigest"]["current"]
    assert lineage["features"] == REFS
    assert lineage["featureService"] == "driver_activity_v1"
    assert lineage["origin"] == "RunTag"
    assert look_.status["resolved"]["version"] == "1"
    assert look_.status["freshness"]["oldestView"] == "driver_hourly_stats"
    assert look_.status["freshness"]["maxAge"] == "2h"
    assert [entry["version"] for entry in look_.status["history"]] == ["1"]
    for name in ("Ready", "Resolved", "LineageVerified", "Tagged", "FeaturesFresh"):
        assert look_.state(name)[0] == "True", look_.condition(name)
    assert read_state(folder).status["counts"]["linkedModels"] == 1


def tagged(mlflow: MLflow, model: str, applied: dict[str, Any]) -> None:
    tags = mlflow.version_tags(model, "1")
    assert tags["feast.feature_views"] == "mine"  # existing objects remain
    assert tags["feast.feature_refs"] == ",".join(REFS)
    assert tags["feast.feature_count"] == "2"
    assert tags["feast.feature_service"] == "driver_activity_v1"
    assert tags["feast.project"] == model.removesuffix("_model")
    assert tags["featurelineage.io/verdict"] == "Verified"
    assert tags["featurelineage.io/baseline-from"] == "Training"
    assert tags["featurelineage.io/registry-digest"] == applied["registryDigest"]
    assert tags["featurelineage.io/revision"] == applied["revision"]


def recorded(mlflow: MLflow, project: str, status: dict[str, Any]) -> None:
    runs = mlflow.ops_runs(project)
    assert [run["tags"]["feast.operation"] for run in runs] == ["apply", "materialize"]
    assert {op["mlflowRunId"] for op in status["operations"]} == {run["run_id"] for run in runs}
    apply, materialize = runs
    assert apply["tags"]["feast.project"] == project
    assert apply["tags"]["feast.feature_views_created"] == "driver_hourly_stats"
    assert apply["metrics"]["feast.apply.feature_views_count"] == 1
    assert materialize["tags"]["feast.materialize.feature_views"] == "driver_hourly_stats"
    assert materialize["metrics"]["feast.materialize.duration_sec"] > 0
    assert materialize["metrics"]["featurelineage.io/rows/driver_hourly_stats"] == 5
    assert mlflow.artifacts(apply["run_id"]) == ["plan.json", "registry_snapshot.json"]
