"""An import that takes longer than maxGuardAge is applied, with a guard that is read anew."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import (
    FEATURES,
    GUARD_SECONDS,
    MLflow,
    guard_age,
    project_manifest,
    slow_import,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import command, feast, read_state, registry_of
from tests.local.test_protection import CONV_RATE, TRIPS, WITHOUT_TRIPS

ON_DEMAND = f"""
from feast.on_demand_feature_view import on_demand_feature_view


@on_demand_feature_view(
    sources=[driver_hourly_stats], schema=[Field(name="twice", dtype=Int64)], mode="python"
)
def doubled(inputs):
    import time, traceback

    if any("made_up_store" in frame.filename for frame in traceback.extract_stack()):
        time.sleep({GUARD_SECONDS + 1})  # while Feast is asked, and not while it is imported
    return {{"twice": [trips * FACTOR for trips in inputs["trips"]]}}
"""

WAITS = """
import time
from pathlib import Path

Path("{folder}/importing").touch()
while not Path("{folder}/continue").exists():
    time.sleep(0.1)
"""


def write_scene(folder: Path, mlflow: MLflow, project: str) -> Path:
    """A project whose facts about models are read only when a job needs a guard."""
    manifest = project_manifest(project, apply=guard_age())
    manifest["spec"]["mlflow"] = {"trackingUri": mlflow.url, "pollInterval": "10m"}
    write_yaml(folder / "manifests.yaml", manifest)
    return write_repo(folder / "repo", project)


@pytest.mark.slow
async def test_a_slow_import_is_applied_on_its_first_attempt(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("slow")
    model = f"{project}_model"
    repo = write_scene(tmp_path, mlflow, project)
    feast(repo, "apply")  # what a champion was trained on is never empty
    mlflow.train(model, project, [CONV_RATE], alias="champion")
    (repo / "features.py").write_text(slow_import(WITHOUT_TRIPS))
    recorder = EventRecorder()

    assert await run_once(tmp_path, recorder)

    state = read_state(tmp_path)
    assert state.state("Applied")[0] == "True"
    (operation,) = state.status["operations"]
    assert (operation["result"], operation["attempt"]) == ("Succeeded", 1)
    assert CONV_RATE in registry_of(repo)["features"]
    assert [event.reason for event in recorder.events] == ["ApplySucceeded"]


@pytest.mark.slow
async def test_a_slow_dry_retrieval_needs_one_attempt(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("asked")
    repo = write_scene(tmp_path, mlflow, project)
    (repo / "features.py").write_text(FEATURES + ON_DEMAND.replace("FACTOR", "2"))
    feast(repo, "apply")
    mlflow.train(f"{project}_model", project, ["doubled:twice"], alias="champion")
    (repo / "features.py").write_text(FEATURES + ON_DEMAND.replace("FACTOR", "3"))

    assert await run_once(tmp_path)

    state = read_state(tmp_path)
    assert state.state("Applied")[0] == "True"
    (operation,) = state.status["operations"]
    assert (operation["result"], operation["attempt"]) == ("Succeeded", 1)


@pytest.mark.slow
async def test_an_alias_moved_during_a_slow_import_blocks(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("moved")
    model = f"{project}_model"
    repo = write_scene(tmp_path, mlflow, project)
    feast(repo, "apply")  # what a champion was trained on is never empty
    mlflow.train(model, project, [CONV_RATE], alias="champion")
    (repo / "features.py").write_text(FEATURES)
    assert await run_once(tmp_path)
    waits = WAITS.format(folder=tmp_path)
    (repo / "features.py").write_text(waits + slow_import(WITHOUT_TRIPS))

    running = asyncio.create_task(run_once(tmp_path))
    while not (tmp_path / "importing").exists():
        assert not running.done()
        await asyncio.sleep(0.1)
    mlflow.train(model, project, [TRIPS, CONV_RATE], alias="champion")
    (tmp_path / "continue").touch()
    assert not await running

    blocked = read_state(tmp_path)
    assert blocked.state("Applied") == ("False", "Blocked")
    assert f"{model} v2" in blocked.message("Applied")
    assert blocked.status["operations"][0]["attempt"] == 1
    assert TRIPS in registry_of(repo)["features"]

    mlflow.set_alias(model, "champion", "1")
    assert await run_once(tmp_path), "the guard of the answer blocked it, so this one unblocks it"
    assert TRIPS not in registry_of(repo)["features"]


@pytest.mark.slow
def test_the_plan_command_survives_a_slow_import(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("planned")
    repo = write_scene(tmp_path, mlflow, project)
    (repo / "features.py").write_text(slow_import(FEATURES))

    planned = command("plan", str(tmp_path))

    assert planned.returncode == 0, planned.stdout + planned.stderr
