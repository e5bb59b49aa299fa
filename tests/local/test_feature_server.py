"""A feature server beside the online store: what it answers reaches condition Serving."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from tests.local.conftest import run_once
from tests.local.scene import MLflow, backfill, model_manifest, project_manifest, write_yaml
from tests.local.state_reader import ResourceState, read_state
from tests.local.test_probe import SERVED, Scene
from tests.servers.feature_server import start_feature_server

from feature_lineage.operations import probe_record


class ServedScene(Scene):
    """The same scene, whose project names a feature server."""

    url = ""

    async def reconcile(self) -> ResourceState:
        probe = {"featureServerUrl": self.url} if self.url else {}
        spec = {"probe": probe, "backfills": [backfill("fill")]}
        project = project_manifest(self.project, self.mlflow.url, **spec)
        write_yaml(self.folder / "m.yaml", project, model_manifest(self.project))
        await run_once(self.folder)
        return read_state(self.folder, "ranker", "ftm")


@pytest.mark.slow
@pytest.mark.real_processes
async def test_what_the_feature_server_answers_is_seen(
    tmp_path: Path,
    mlflow: MLflow,
    unique: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe_record, "CONFIRM_SERVER_AFTER", timedelta(0))
    scene = ServedScene(tmp_path, mlflow, unique("served"))
    await scene.reconcile()
    scene.train()
    with start_feature_server(scene.repo) as scene.url:
        model = await scene.reconcile()
        assert model.state("Serving") == SERVED, yaml.safe_dump(model.status)
        assert f"the feature server {scene.url} answers the same" in model.message("Serving")
        server = model.status["serving"]["featureServer"]
        assert (server["url"], server["healthy"], server["served"]) == (scene.url, True, True)
        assert server["differingRatio"] == 0
        assert "the API is that of Feast" in server["version"]

    model = await scene.reconcile()
    assert model.state("Serving") == SERVED  # one bad answer may be chance
    model = await scene.reconcile()
    assert model.state("Serving") == ("Unknown", "ProbeUnavailable")
    assert model.state("Ready") == ("False", "ProbeUnavailable")
    assert f"the feature server {scene.url} does not answer" in model.message("Serving")
    assert model.status["serving"]["served"] is True

    copy = shutil.copytree(scene.repo, tmp_path / "copy")
    with closing(sqlite3.connect(copy / "data/online.db")) as database, database:
        table = f"{scene.project}_driver_hourly_stats"
        database.execute(f"UPDATE {table} SET value = x'' WHERE feature_name = 'trips'")
    with start_feature_server(copy) as scene.url:
        for _ in range(2):
            model = await scene.reconcile()
    assert model.state("Serving") == ("False", "ServerDiffers")
    assert model.state("Ready") == ("False", "ServerDiffers")
    name = "driver_hourly_stats__trips"
    assert f"{name}: 5 of 5 values of the feature server" in model.message("Serving")
    assert "(5 of all columns are null)" in model.message("Serving")
    server = model.status["serving"]["featureServer"]
    assert (server["differingRatio"], server["worstFeature"]) == (1, name)

    scene.url = ""
    model = await scene.reconcile()
    assert model.state("Serving") == SERVED
    assert "featureServer" not in model.status["serving"]
