"""The probe sees what the online store does, whatever definitions and freshness say."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from tests.local.conftest import run_once
from tests.local.scene import (
    MLflow,
    backfill,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import ResourceState, read_state

TRAIN = Path(__file__).with_name("train_with_service.py")
SERVED = ("True", "Succeeded")
OVERWRITE = """
UPDATE {table} SET value = (
    SELECT max(value) FROM {table} WHERE feature_name = 'trips'
) WHERE feature_name = 'trips' AND entity_key = (
    SELECT entity_key FROM {table} WHERE feature_name = 'trips' ORDER BY value LIMIT 1
)
"""
"""One driver has the trips of another."""


class Scene:
    """A champion whose project is probed, with rows in the online store."""

    def __init__(self, folder: Path, mlflow: MLflow, project: str) -> None:
        self.folder, self.mlflow, self.project = folder, mlflow, project
        self.repo = write_repo(folder / "repo", project)
        self.backfills = 1

    async def reconcile(self) -> ResourceState:
        """Run once, which counts as a request for a probe; returns the model."""
        spec = {"probe": {}, "backfills": [backfill(f"fill{n}") for n in range(self.backfills)]}
        project = project_manifest(self.project, self.mlflow.url, **spec)
        model = model_manifest(self.project)  # new, so Serving is required
        write_yaml(self.folder / "m.yaml", project, model)
        await run_once(self.folder)
        return read_state(self.folder, "ranker", "ftm")

    def train(self) -> None:
        arguments = [str(self.repo), self.mlflow.url, self.project, "driver_activity_v1"]
        subprocess.run([sys.executable, str(TRAIN), *arguments], check=True, timeout=300)

    def store(self, statement: str) -> None:
        """Change the online store by hand."""
        with closing(sqlite3.connect(self.repo / "data/online.db")) as database, database:
            database.execute(statement.format(table=f"{self.project}_driver_hourly_stats"))

    @property
    def probes(self) -> list[dict[str, str]]:
        operations = read_state(self.folder).status["operations"]
        return [each for each in operations if each["kind"] == "Probe"]


@pytest.mark.slow
@pytest.mark.real_processes
async def test_what_the_online_store_does_is_seen(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    scene = Scene(tmp_path, mlflow, unique("probed"))
    await scene.reconcile()
    assert scene.probes == []  # no model asks for anything
    scene.train()

    model = await scene.reconcile()
    assert model.state("Serving") == SERVED, yaml.safe_dump(model.status)
    assert model.state("Ready")[0] == "True"
    serving = model.status["serving"]
    assert (serving["keys"], serving["served"], serving["nullRatio"]) == (5, True, 0)
    assert serving["missingRatio"] == 0

    scene.store("DELETE FROM {table}")
    model = await scene.reconcile()
    assert model.state("Serving") == SERVED  # one bad answer may be chance
    model = await scene.reconcile()
    assert model.state("Serving") == ("False", "NotServed")
    assert model.state("Ready") == ("False", "NotServed")
    assert "lacks 5 of 5 keys" in model.message("Serving")
    assert model.state("LineageVerified")[0] == "True"

    scene.backfills = 2
    model = await scene.reconcile()
    assert model.state("Serving") == SERVED  # the probe after the materialization

    scene.store(OVERWRITE)
    model = await scene.reconcile()
    assert model.state("Serving") == SERVED
    model = await scene.reconcile()
    assert model.state("Serving") == ("False", "Skewed")
    assert model.state("Ready") == ("False", "Skewed")
    assert "__trips: 1 of 5 values in the online store differ" in model.message("Serving")
    assert model.status["serving"]["skewRatio"] == 0.2

    scene.store("UPDATE {table} SET value = x'' WHERE feature_name = 'trips'")
    for _ in range(2):
        model = await scene.reconcile()
    assert model.state("Serving") == ("False", "MostlyNull")
    assert "5 of 5 values in the online store are null, 0 should be" in model.message("Serving")

    scene.store("DROP TABLE {table}")
    for _ in range(2):
        model = await scene.reconcile()
    assert model.state("Serving") == ("False", "ServingFails")
    assert "no such table" in model.message("Serving")
    assert model.status["serving"]["served"] is False
