"""Special cases of models: moved aliases, versions without a run, shared or recreated models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.local.conftest import run_once
from tests.local.scene import MLflow, model_manifest, project_manifest, write_repo, write_yaml
from tests.local.state_reader import read_state

TRIPS = "driver_hourly_stats:trips"
CONV_RATE = "driver_hourly_stats:conv_rate"
VERDICT = "featurelineage.io/verdict"


@pytest.mark.slow
async def test_models_are_followed_whatever_is_done_to_them(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("traps")
    write_repo(tmp_path / "repo", project)
    scene = TrapSetup(tmp_path, mlflow, project)
    scene.write()
    await run_once(tmp_path)

    moved, copied, bare = unique("moved"), unique("copied"), unique("bare")
    orphan, foreign, shared = unique("orphan"), unique("модель № ü"), unique("shared")
    mlflow.train(moved, project, [TRIPS], alias="champion")
    mlflow.train(moved, project, [TRIPS, CONV_RATE])
    scene.copy(copied, f"models:/{moved}@champion")
    scene.copy(bare, "s3://bucket/model")
    lost_run = scene.run_of(orphan, mlflow.train(orphan, project, [TRIPS], alias="champion"))
    mlflow.post("runs/delete", run_id=lost_run)
    mlflow.train(foreign, project, [TRIPS], alias="champion")
    mlflow.train(shared, project, [TRIPS], alias="champion")
    scene.write(
        model_manifest(moved, name="moved"),
        model_manifest(copied, name="copied"),
        model_manifest(bare, name="bare", featureService="driver_activity_v1"),
        model_manifest(orphan, name="orphan"),
        model_manifest(foreign, name="foreign"),
        model_manifest(shared, name="shared-a"),
    )
    await run_once(tmp_path)

    assert verdicts(tmp_path, "moved", "copied", "foreign", "shared-a") == ["Verified"] * 4
    assert read_state(tmp_path, "moved", "ftm").status["lineage"]["features"] == [TRIPS]

    # A version created from an alias of another model inherits the run of that version.
    assert read_state(tmp_path, "copied", "ftm").status["lineage"]["features"] == [TRIPS]
    assert mlflow.version_tags(copied, "1")["feast.feature_refs"] == TRIPS

    # Without a run, the declared service defines the features, and the time of training is unknown.
    declared = read_state(tmp_path, "bare", "ftm").status["lineage"]
    assert declared["verdict"] == "Unchanged"
    assert declared["origin"] == "Declared"
    assert declared["featureService"] == "driver_activity_v1"
    assert sorted(declared["features"]) == [CONV_RATE, TRIPS]

    # A deleted run in MLflow is still recorded.
    assert read_state(tmp_path, "orphan", "ftm").status["lineage"]["features"] == [TRIPS]

    assert mlflow.version_tags(foreign, "1")[VERDICT] == "Verified"

    # The alias moves; a younger resource represents the same version; a resource is created again.
    mlflow.set_alias(moved, "champion", "2")
    first = read_state(tmp_path, "foreign", "ftm").status["resolved"]
    mlflow.delete("registered-models/delete", name=foreign)
    mlflow.train(foreign, project, [CONV_RATE], alias="champion")
    scene.write(*scene.models, model_manifest(shared, name="shared-b"))
    await run_once(tmp_path)

    history = read_state(tmp_path, "moved", "ftm").status["history"]
    assert [entry["version"] for entry in history] == ["2", "1"]
    assert "to" not in history[0]
    assert history[1]["to"]
    assert mlflow.version_tags(moved, "2")[VERDICT] == "Verified"
    assert VERDICT not in mlflow.version_tags(moved, "1")
    assert mlflow.version_tags(moved, "1")["feast.feature_refs"] == TRIPS

    anew = read_state(tmp_path, "foreign", "ftm").status
    assert anew["resolved"]["version"] == first["version"] == "1"
    assert anew["resolved"]["runId"] != first["runId"]
    assert anew["lineage"]["features"] == [CONV_RATE]
    assert [entry["version"] for entry in anew["history"]] == ["1", "1"]
    assert mlflow.version_tags(foreign, "1")["feast.feature_refs"] == CONV_RATE

    younger = read_state(tmp_path, "shared-b", "ftm")
    assert younger.state("Tagged") == ("False", "OwnedByOther")
    assert "the older TrainedModel shared-a" in younger.message("Tagged")
    assert younger.status["lineage"]["verdict"] == "Verified"
    assert read_state(tmp_path, "shared-a", "ftm").state("Tagged")[0] == "True"

    # The alias and then the model are deleted: each message says so, and lists what exists instead.
    mlflow.delete("registered-models/alias", name=moved, alias="champion")
    mlflow.set_alias(moved, "challenger", "1")
    mlflow.delete("registered-models/delete", name=shared)
    await run_once(tmp_path)

    gone = read_state(tmp_path, "moved", "ftm")
    assert gone.state("Resolved") == ("False", "AliasNotFound")
    assert "it has: challenger" in gone.message("Resolved")
    assert read_state(tmp_path, "shared-a", "ftm").state("Ready") == ("False", "ModelNotFound")


class TrapSetup:
    """One project and its models, written again with each change."""

    def __init__(self, folder: Path, mlflow: MLflow, project: str) -> None:
        self.folder = folder
        self.mlflow = mlflow
        self.project = project
        self.models: tuple[dict[str, Any], ...] = ()

    def write(self, *models: dict[str, Any]) -> None:
        self.models = models
        project = project_manifest(self.project, self.mlflow.url)
        write_yaml(self.folder / "manifests.yaml", project, *models)

    def copy(self, model: str, source: str) -> None:
        """Register a version from any source, without a run."""
        self.mlflow.post("registered-models/create", name=model)
        self.mlflow.post("model-versions/create", name=model, source=source)
        self.mlflow.set_alias(model, "champion", "1")

    def run_of(self, model: str, version: str) -> str:
        found = self.mlflow.get("model-versions/get", name=model, version=version)
        return str(found["model_version"]["run_id"])


def verdicts(folder: Path, *names: str) -> list[str]:
    return [read_state(folder, name, "ftm").status["lineage"]["verdict"] for name in names]
