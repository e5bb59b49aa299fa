"""A breaking change is blocked and names the affected models; a moved alias or permission helps."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import command, read_state, registry_of

TRIPS = "driver_hourly_stats:trips"
CONV_RATE = "driver_hourly_stats:conv_rate"
ANNOTATION = "featurelineage.io/allow-breaking"
WITHOUT_TRIPS = FEATURES.replace('Field(name="trips", dtype=Int64),', "").replace(
    'driver_hourly_stats[["conv_rate", "trips"]]', 'driver_hourly_stats[["conv_rate"]]'
)
WITHOUT_CONV_RATE = WITHOUT_TRIPS.replace('Field(name="conv_rate", dtype=Float32),', "").replace(
    'driver_hourly_stats[["conv_rate"]]', 'driver_hourly_stats[["acc_rate"]]'
)


@pytest.mark.slow
async def test_a_breaking_change_is_blocked_unblocked_and_overridden(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("guarded")
    model = f"{project}_model"
    repo = write_repo(tmp_path / "repo", project)
    manifests = [project_manifest(project, mlflow.url), model_manifest(model)]
    write_yaml(tmp_path / "manifests.yaml", *manifests)
    await run_once(tmp_path)
    mlflow.train(model, project, [TRIPS, CONV_RATE], alias="champion")
    assert await run_once(tmp_path)

    # The models that use a view can be listed in advance, and the list is complete.
    reach = json.loads(command("impact", str(tmp_path), TRIPS, "-o", "json").stdout)
    assert [(i["model"], i["version"], i["aliases"]) for i in reach[0]["items"]] == [
        (model, "1", ["champion"])
    ]
    unused = command("impact", str(tmp_path), "driver_hourly_stats:acc_rate")
    assert "reaches 0 model version(s)" in unused.stdout
    typo = command("impact", str(tmp_path), "driver_hourly_stat:trips")
    assert (typo.returncode, typo.stdout) == (2, "")
    assert f"has no driver_hourly_stat:trips, and no model uses it; did you mean {TRIPS}?" in (
        typo.stderr
    )

    # The champion uses a feature that the commit deletes: nothing is applied, with the reason.
    in_effect, registry = read_state(tmp_path).status["applied"], registry_bytes(repo)
    (repo / "features.py").write_text(WITHOUT_TRIPS)
    assert not await run_once(tmp_path)
    blocked = read_state(tmp_path)
    assert blocked.state("Applied") == ("False", "Blocked")
    assert blocked.state("Ready") == ("False", "Blocked")
    assert blocked.state("Stalled") == ("True", "Blocked")
    assert blocked.state("Reconciling") == ("", "")
    plan = blocked.status["plan"]
    revision = blocked.status["source"]["revision"]
    assert plan["revision"] == revision != in_effect["revision"]
    for part in (revision[:19], TRIPS, f"{model} v1", "@champion", ANNOTATION, plan["digest"][:12]):
        assert part in blocked.message("Applied")
    assert plan["verdict"] == "Blocked"
    assert plan["blockedSince"]
    assert [(i["model"], i["version"], i["verdict"]) for i in plan["impacts"]] == [
        (model, "1", "Broken")
    ]
    assert blocked.event_messages("Blocked") == [blocked.message("Applied")]
    assert blocked.status["applied"] == in_effect
    assert registry_bytes(repo) == registry
    assert read_state(tmp_path, "ranker", "ftm").status["lineage"]["verdict"] == "Verified"
    run = mlflow.ops_runs(project)[-1]
    assert (run["status"], run["tags"]["featurelineage.io/result"]) == ("FAILED", "Blocked")
    assert "feast.feature_views_changed" not in run["tags"]

    # A blocked plan stays blocked: another reconcile starts no job.
    recorder = EventRecorder()
    assert not await run_once(tmp_path, recorder)
    assert recorder.events == []
    assert len(read_state(tmp_path).status["operations"]) == 2

    # The alias moves to a version without the deleted feature: the next reconcile applies the
    # commit.
    mlflow.train(model, project, [CONV_RATE], alias="champion")
    assert await run_once(tmp_path)
    free = read_state(tmp_path)
    assert free.state("Applied")[0] == "True"
    assert free.state("Stalled") == ("", "")
    assert free.status["plan"]["verdict"] == "Clean"
    assert "blockedSince" not in free.status["plan"]
    assert TRIPS not in registry_of(repo)["features"]
    assert read_state(tmp_path, "ranker", "ftm").status["resolved"]["version"] == "2"

    # A permission for exactly this plan permits it once, and is recorded.
    (repo / "features.py").write_text(WITHOUT_CONV_RATE)
    assert not await run_once(tmp_path)
    digest = read_state(tmp_path).status["plan"]["digest"]
    manifests[0]["metadata"]["annotations"] = {ANNOTATION: f"{digest[:12]}: the ranker is retired"}
    write_yaml(tmp_path / "manifests.yaml", *manifests)
    assert not await run_once(tmp_path)  # now the model is broken, and its status says so
    allowed = read_state(tmp_path)
    assert allowed.state("Ready")[0] == "True"
    assert allowed.status["plan"]["verdict"] == "Allowed"
    assert registry_of(repo)["features"] == ["driver_hourly_stats:acc_rate"]
    override = allowed.status["operations"][0]["override"]
    assert override == {"kind": "allow-breaking", "why": "the ranker is retired"}
    tags = mlflow.ops_runs(project)[-1]["tags"]
    assert tags["featurelineage.io/override"] == "allow-breaking: the ranker is retired"
    broken = read_state(tmp_path, "ranker", "ftm")
    assert broken.status["lineage"]["verdict"] == "Broken"
    assert broken.state("LineageVerified") == ("False", "Broken")
    assert [p["feature"] for p in broken.status["lineage"]["problems"]] == [CONV_RATE]
    assert CONV_RATE in broken.event_messages("Broken")[0]
    assert mlflow.version_tags(model, "2")["featurelineage.io/verdict"] == "Broken"
    assert allowed.status["counts"]["brokenModels"] >= 1


def registry_bytes(repo: Path) -> bytes:
    return (repo / "data" / "registry.db").read_bytes()
