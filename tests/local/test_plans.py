"""A plan says what it could not look at, and is not made where the registry is another one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.local.scene import FEATURES, MLflow, project_manifest, write_repo, write_yaml
from tests.local.state_reader import command, feast, read_state

TRIPS = "driver_hourly_stats:trips"
VIEW = FEATURES[FEATURES.index("driver_hourly_stats = ") : FEATURES.index("driver_activity_v1")]
SQL = "registry: {registry_type: sql, path: 'sqlite:///data/registry.sqlite'}"


def planned(folder: Path, code: int = 0) -> dict[str, Any]:
    done = command("plan", str(folder), "-o", "json")
    assert done.returncode == code, done.stdout + done.stderr
    (plan,) = json.loads(done.stdout)
    return dict(plan)


@pytest.mark.slow
@pytest.mark.parametrize("registry", ["registry: data/registry.db", SQL], ids=["file", "sql"])
def test_a_plan_is_not_made_of_an_empty_registry(
    registry: str, tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("checkout")
    repo = write_repo(tmp_path / "repo", project)
    settings = repo / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("registry: data/registry.db", registry))
    manifest = project_manifest(project, mlflow.url)
    write_yaml(tmp_path / "manifests.yaml", manifest)
    feast(repo, "apply")
    mlflow.train(f"{project}_model", project, [TRIPS], alias="champion")
    assert planned(tmp_path)["verdict"] == "Clean"

    # A checkout of CI has no registry file, and no table of the project.
    stored = repo / "data" / ("registry.sqlite" if registry == SQL else "registry.db")
    stored.rename(tmp_path / "kept")
    failed = planned(tmp_path, code=1)
    assert (failed["verdict"], "digest" in failed) == ("Failed", False)
    for part in (f"{project}_model/1", "no feature view of this project", "or restore it"):
        assert part in failed["message"]
    assert "could not be planned" in command("plan", str(tmp_path)).stdout
    assert not stored.exists()

    # The apply does not go on either, until the registry is back.
    assert command("local", str(tmp_path), "--once").returncode == 1
    state = read_state(tmp_path)
    assert state.state("Applied") == state.state("Ready") == ("False", "RegistryEmpty")
    assert not stored.exists()
    shutil.copy(tmp_path / "kept", stored)
    annotation = {"featurelineage.io/reconcile-requested-at": "restored"}
    write_yaml(
        tmp_path / "manifests.yaml",
        {**manifest, "metadata": {"name": "driver", "annotations": annotation}},
    )
    assert command("local", str(tmp_path), "--once").returncode == 0


@pytest.mark.slow
def test_an_entity_of_two_views_is_one_cause(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("entity")
    second = VIEW.replace("driver_hourly_stats", "driver_daily_stats")
    repo = write_repo(tmp_path / "repo", project, f"{FEATURES}{second}")
    write_yaml(tmp_path / "manifests.yaml", project_manifest(project, mlflow.url))
    feast(repo, "apply")
    for view in ("driver_hourly_stats", "driver_daily_stats"):
        mlflow.train(f"{project}_{view}", project, [f"{view}:trips"], alias="champion")
    (repo / "features.py").write_text(f"{FEATURES}{second}".replace(".INT64)", ".STRING)"))

    done = command("plan", str(tmp_path))

    assert done.returncode == 3, done.stdout
    assert done.stdout.count("  Broken: ") == 1
    keys = "from driver_id INT64 to driver_id STRING (driver_daily_stats, driver_hourly_stats)"
    assert f"  Broken: the join keys of 2 views change {keys}\n" in done.stdout


@pytest.mark.slow
def test_a_plan_says_what_it_could_not_look_at(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("doubts")
    repo = write_repo(tmp_path / "repo", project)
    write_yaml(tmp_path / "manifests.yaml", project_manifest(project))
    feast(repo, "apply")
    (repo / "features.py").write_text(FEATURES.replace("days=365", "days=1"))

    alone = planned(tmp_path)
    assert [warning["reason"] for warning in alone["warnings"]] == ["NoMLflow"]
    assert "  warning: NoMLflow: no model is protected" in command("plan", str(tmp_path)).stdout

    # A champion of another registry, and one with less features than it says.
    write_yaml(tmp_path / "manifests.yaml", project_manifest(project, mlflow.url))
    mlflow.train(f"{project}_a", project, ["elsewhere:x"], alias="champion")
    partial = {"feast.feature_count": "9"}
    mlflow.train(f"{project}_b", project, [TRIPS], alias="champion", **partial)
    warned = {warning["reason"]: warning["message"] for warning in planned(tmp_path)["warnings"]}
    assert set(warned) == {"FeaturesUnknown", "BaselineUnknown", "ViewsMissing", "NotServedBefore"}
    assert f"{project}_b/1 (" in warned["FeaturesUnknown"]
    assert warned["BaselineUnknown"].endswith(f": {project}_a/1")
    assert "none of the 1 views" in warned["ViewsMissing"]

    # Nobody answers: in mode Warn a plan is made without models, and says so.
    silent = project_manifest(project, "http://127.0.0.1:9", apply={"protection": {"mode": "Warn"}})
    write_yaml(tmp_path / "manifests.yaml", silent)
    assert [w["reason"] for w in planned(tmp_path)["warnings"]] == ["FactsUnavailable"]
