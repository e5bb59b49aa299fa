"""Records what an older version leaves behind, for `test_upgrade`.

    git worktree add --detach OLD 70fefd8
    .venv/bin/python -m tests.local.upgrade.record OLD

The command of the checkout OLD is run with real Feast and a real MLflow, in a temporary folder, and
replaces `recorded`: see there in `test_upgrade` what it contains. Commit 70fefd8 is the last one
before dry retrievals, serving signatures and contradictions between links.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from examples.mlflow_server import start_mlflow
from tests.local.lineage import training_scenes
from tests.local.scene import FEATURE_STORE, backfill, model_manifest, project_manifest, write_yaml

ROOT = Path(__file__).parents[3]
RECORDED = Path(__file__).with_name("recorded")
PROJECT = "before"
SCENES = ("service", "plain-list", "online-after", "online-only", "two-before")
"""Scenes of `training_scenes`; `train` adds `short-names` and `changed`."""
MODELS = (*SCENES, "short-names", "changed")
COLUMNS = (*training_scenes.COLUMNS, "left", "kept")
WIDE = 'wide = view("wide", [f"feature_number_{i:03}" for i in range(300)])\n'
WIDE_SERVICE = 'svc_wide = FeatureService(name="svc_wide", features=[wide])\n'
OTHER = """\
other = view("other", ["left", "kept"])
svc_other = FeatureService(name="svc_other", features=[other])
"""
FEATURES = training_scenes.FEATURES.replace(WIDE, OTHER).replace(WIDE_SERVICE, "")
CHANGED = FEATURES.replace('["left", "kept"]', '["kept"]')
NOT_KEPT = ("jobs", "repos", "lock", ".gitignore")
"""Parts of the state folder that a finished run does not need."""


def write_rows(repo: Path) -> None:
    """The rows of every view of `FEATURES`, one hour old."""
    rows = pd.DataFrame({column: [1.0, 2.0] for column in COLUMNS})
    rows["driver_id"] = [1, 2]
    rows["event_timestamp"] = datetime.now(UTC) - timedelta(hours=1)
    (repo / "data").mkdir(exist_ok=True)
    rows.to_parquet(repo / "data" / "rows.parquet")


def train(repo: Path, url: str) -> None:
    """Train and register the models; Feast changes the process, so it has one of its own."""
    trainer = training_scenes.Trainer(repo, url, PROJECT)
    for name in SCENES:
        training_scenes.SCENES[name](trainer, f"{PROJECT}-{name}")
    with trainer.run():
        frame = trainer.hist("svc_a")
        uri = trainer.log(example=frame[["conv_rate", "trips"]])
    trainer.register(uri, f"{PROJECT}-short-names")
    with trainer.run():
        trainer.hist("svc_other")
        uri = trainer.log()
    trainer.register(uri, f"{PROJECT}-changed")


def play(old: Path, folder: Path, url: str) -> None:
    """Run the older version at its first definitions, after training, and after a change."""
    repo = folder / "repo"
    repo.mkdir(parents=True)
    (repo / "feature_store.yaml").write_text(FEATURE_STORE.format(project=PROJECT))
    (repo / "features.py").write_text(FEATURES)
    write_rows(repo)
    project = project_manifest(PROJECT, url, backfills=[backfill()])
    models = [model_manifest(f"{PROJECT}-{name}", name=name) for name in MODELS]

    def run_once(expected: int = 0) -> None:
        write_yaml(folder / "manifests.yaml", project, *models)
        command = [sys.executable, "-m", "feature_lineage.cli", "local", str(folder), "--once"]
        environment = {**os.environ, "PYTHONPATH": str(old / "operator"), "LOGNAME": "trainer"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        print(done.stdout, done.stderr)
        assert done.returncode == expected, done.returncode

    models, later = [], models
    run_once()
    command = [sys.executable, "-m", "tests.local.upgrade.record", "--train", str(repo), url]
    variables = {"MLFLOW_TRACKING_URI": url, "PYTHONPATH": str(ROOT), "LOGNAME": "trainer"}
    subprocess.run(command, cwd=repo, env={**os.environ, **variables}, check=True)
    models = later
    run_once()
    (repo / "features.py").write_text(CHANGED)
    run_once(expected=1)
    permission = f"{status_of(folder)['plan']['digest'][:12]}: retired"
    project["metadata"]["annotations"] = {"featurelineage.io/allow-breaking": permission}
    run_once(expected=1)  # the model `changed` is Broken from now on
    del project["metadata"]["annotations"]
    run_once(expected=1)


def status_of(folder: Path) -> dict[str, Any]:
    """The status of the project."""
    resources = folder / ".feature-lineage" / "resources"
    path = resources / "FeatureStoreProject" / "default" / "driver.yaml"
    return dict(yaml.safe_load(path.read_text())["status"])


def keep(folder: Path, mlflow: Path, url: str) -> None:
    """Write what is left to `RECORDED`, without this machine's folder and address.

    The id of the registry follows from its path, so `restore` of the test writes another one.
    """
    names = {str(folder): "@FOLDER@", url: "@URL@", status_of(folder)["registry"]["id"]: "@ID@"}

    def content(path: Path) -> str:
        text = path.read_text()
        for name, mark in names.items():
            text = text.replace(name, mark)
        return text

    shutil.rmtree(RECORDED, ignore_errors=True)
    (RECORDED / "repo" / "data").mkdir(parents=True)
    (RECORDED / "manifests.yaml").write_text(content(folder / "manifests.yaml"))
    for name in ("features.py", "feature_store.yaml", "data/registry.db", "data/online.db"):
        shutil.copy(folder / "repo" / name, RECORDED / "repo" / name)
    state = folder / ".feature-lineage"
    for path in state.rglob("*"):
        place = path.relative_to(state)
        if path.is_file() and place.parts[0] not in NOT_KEPT:
            target = RECORDED / "state" / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content(path))
    with closing(sqlite3.connect(mlflow / "mlflow.db")) as database:
        dump = "\n".join(database.iterdump()) + "\n"
    (RECORDED / "mlflow.sql").write_text(dump.replace(f"{ROOT}/", ""))
    for path in (mlflow / "artifacts").rglob("*"):
        if path.name in ("MLmodel", "feast_features.json"):
            target = RECORDED / "artifacts" / path.relative_to(mlflow / "artifacts")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content(path))


def main(old: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        with start_mlflow(place / "mlflow") as server:
            play(old, place / "scene", server.url)
            keep(place / "scene", place / "mlflow", server.url)
    sizes = {path.relative_to(RECORDED): path.stat().st_size for path in RECORDED.rglob("*.*")}
    print(json.dumps({str(path): size for path, size in sizes.items()}, indent=1))


if __name__ == "__main__":
    if sys.argv[1] == "--train":
        train(Path(sys.argv[2]), sys.argv[3])
    else:
        main(Path(sys.argv[1]).absolute())
