"""Verified means that Feast serves the model: the guard asks Feast, on real models."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.runner.routes import CHANGES, ROUTES
from tests.forks.client import output_of
from tests.local.conftest import run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import command, read_state

TRAIN = Path(__file__).with_name("train_with_service.py")
ENTITY = 'driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)'
INLINE = FEATURES.replace(ENTITY, "").replace(
    "entities=[driver]", f"entities=[{ENTITY.removeprefix('driver = ')}]"
)


def train(repo: Path, mlflow: MLflow, model: str, service: str) -> None:
    output_of(str(TRAIN), str(repo), mlflow.url, model, service, training=True)


@pytest.mark.slow
async def test_a_change_that_feast_would_not_serve_is_blocked(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("serving")
    repo = write_repo(tmp_path / "repo", project)
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url), model_manifest(project))
    await run_once(tmp_path)
    train(repo, mlflow, project, "driver_activity_v1")
    assert await run_once(tmp_path)
    assert read_state(tmp_path, "ranker", "ftm").status["lineage"]["verdict"] == "Verified"

    (repo / "features.py").write_text(INLINE)
    words = "EntityNotFoundException: Entity driver does not exist"
    planned = command("plan", str(tmp_path))
    assert planned.returncode == 3, planned.stdout
    assert words in planned.stdout
    assert not await run_once(tmp_path)
    blocked = read_state(tmp_path)
    assert blocked.state("Applied") == ("False", "Blocked")
    assert words in blocked.message("Applied")
    problems = blocked.status["plan"]["impacts"][0]["problems"]
    assert [problem["kind"] for problem in problems] == ["EntityGone", "ServingFails"]

    (repo / "features.py").write_text(FEATURES)
    assert await run_once(tmp_path)
    assert read_state(tmp_path).state("Applied")[0] == "True"


FEW = ("the maps are swapped", "not online")
"""The runner's own tests make all changes."""


@pytest.mark.slow
async def test_each_change_of_what_a_champion_is_served_is_named(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("routes")
    repo = write_repo(tmp_path / "repo", project, ROUTES)
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url), model_manifest(project))
    await run_once(tmp_path)
    train(repo, mlflow, project, "routes")
    assert await run_once(tmp_path)
    model = read_state(tmp_path, "ranker", "ftm")
    assert model.status["lineage"]["verdict"] == "Verified", model.status

    found = {}
    for name in FEW:
        text, _ = CHANGES[name]
        (repo / "features.py").write_text(text)
        planned = json.loads(command("plan", str(tmp_path), "-o", "json").stdout)[0]
        impacts = planned.get("impacts", [{"problems": [{"kind": planned["message"]}]}])
        found[name] = {problem["kind"] for impact in impacts for problem in impact["problems"]}

    assert found == {name: CHANGES[name][1] for name in FEW}
