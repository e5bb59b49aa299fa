"""Every row of `docs/lineage.md` is what happens, on real Feast and real MLflow."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.forks.client import output_of
from tests.local.conftest import run_once
from tests.local.lineage import training_scenes
from tests.local.lineage.table import LineageRow, lineage_rows
from tests.local.scene import FEATURE_STORE, MLflow, model_manifest, project_manifest, write_yaml
from tests.local.state_reader import read_state

TRAINING = "Ways of training and recording"


def test_every_row_has_a_scene_and_every_scene_a_row() -> None:
    rows = [row.scene for row in lineage_rows(TRAINING)]

    assert len(rows) == len(set(rows))
    assert set(rows) == training_scenes.SCENES.keys()


@pytest.mark.slow
async def test_each_way_of_training_gives_what_its_row_says(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("lineage")
    repo = tmp_path / "repo"
    write_training_repo(repo, project)
    manifest = project_manifest(project, mlflow.url)
    write_yaml(tmp_path / "manifests.yaml", manifest)
    assert await run_once(tmp_path)

    failed = feast("train", repo, mlflow.url, project)
    assert failed == {}
    models = [model_manifest(f"{project}-{scene}", name=scene) for scene in training_scenes.SCENES]
    write_yaml(tmp_path / "manifests.yaml", manifest, *models)
    await run_once(tmp_path)

    states = {scene: read_state(tmp_path, scene, "ftm") for scene in training_scenes.SCENES}
    features = {scene: s.status["lineage"].get("features", []) for scene, s in states.items()}
    served = feast("serve", repo, mlflow.url, project, json.dumps(features))
    actual = [
        LineageRow(
            scene,
            *state.state("LineageVerified"),
            state.status["lineage"].get("origin", ""),
            shortened(features[scene]),
            *served[scene],
        )
        for scene, state in states.items()
    ]
    said = {row.scene: row for row in lineage_rows(TRAINING)}
    wrong = [
        f"{row}\n  the page: {said[row.scene]}\n  {states[row.scene].message('LineageVerified')}"
        for row in actual
        if row != said[row.scene]
    ]
    assert not wrong, "\n".join(wrong)


def write_training_repo(repo: Path, project: str) -> None:
    (repo / "data").mkdir(parents=True)
    (repo / "feature_store.yaml").write_text(FEATURE_STORE.format(project=project))
    (repo / "features.py").write_text(training_scenes.FEATURES)
    names = (*training_scenes.COLUMNS, *training_scenes.WIDE)
    rows = pd.DataFrame({name: [1.0, 2.0] for name in names})
    rows["driver_id"], rows["event_timestamp"] = [1, 2], datetime.now(UTC) - timedelta(hours=1)
    rows.to_parquet(repo / "data" / "rows.parquet")


def feast(command: str, repo: Path, url: str, project: str, request: str = "") -> Any:
    """Run `training_scenes` in a process of its own; returns what it prints last."""
    said = output_of(
        *(training_scenes.__file__, command, str(repo), url, project, request),
        cwd=repo,
        env={**os.environ, "MLFLOW_TRACKING_URI": url},
        training=True,
        timeout=900,
    )
    return json.loads(said.splitlines()[-1])


def shortened(features: list[str]) -> str:
    names = [ref.partition(":")[2] for ref in features]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"
