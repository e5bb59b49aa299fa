"""A repo whose champion was trained on the service `svc_a`: each scene changes a copy of it."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pandas as pd
from tests.contract.runner.harness import Zygote
from tests.contract.runner.stores import on_disk
from tests.local.conftest import run_once
from tests.local.lineage import change_scenes
from tests.local.lineage.forked_jobs import forked_jobs
from tests.local.scene import MLflow, backfill, model_manifest, project_manifest, write_yaml

TRAIN: Final = Path(__file__).parents[1] / "train_with_service.py"
FEAST_CALLS: Final = Path(__file__).with_name("feast_calls.py").read_text()
PROJECT: Final = f"changes_{os.getpid()}"


@dataclass
class Champion:
    """A folder with manifests, state and repo, and one process with Feast for all jobs.

    Attributes:
        folder: of the scene; `fresh` makes it what it was before the first change.
        before: what Feast answers before any change.
    """

    folder: Path
    mlflow: MLflow
    before: dict[str, Any]
    _prepared: Path
    _zygote: Zygote

    def fresh(self) -> Path:
        shutil.rmtree(self.folder)
        shutil.copytree(self._prepared, self.folder)
        return self.folder

    def run(self, folder: Path, annotations: Mapping[str, str] | None = None, **spec: Any) -> bool:
        """Run the local host once on the project and the model."""
        project = project_of(self.mlflow.url, **spec)
        project["metadata"]["annotations"] = dict(annotations or {})
        write_yaml(folder / "manifests.yaml", project, model_manifest(PROJECT))
        return asyncio.run(run_once(folder))

    def write(self, folder: Path, what: str) -> None:
        """Let another tool write to the registry and the online store of a folder."""
        self._zygote.script(FEAST_CALLS, what, folder=folder / "repo")

    def serving(self, folder: Path) -> str:
        """How the answer of Feast differs from the answer before any change."""
        return compared(self.before, ask(self._zygote, folder))


@contextmanager
def trained_champion(root: Path, url: str) -> Iterator[Champion]:
    """Apply the repo, train on it, and look at the champion once; `root` is an empty folder."""
    folder = root / "scene"
    with ExitStack() as stack:
        zygote = Zygote()
        stack.callback(zygote.stop)
        stack.enter_context(forked_jobs(zygote))
        apply_repo(folder, on_disk("file", folder / "repo").yaml)
        train(folder / "repo", url)
        champion = Champion(folder, MLflow(url), {}, root / "prepared", zygote)
        assert champion.run(folder)
        champion.before = ask(zygote, folder)
        shutil.copytree(folder, root / "prepared")
        yield champion


def apply_repo(folder: Path, stores: str) -> None:
    """Apply the repo to the stores of a section of feature_store.yaml, and fill them.

    Without MLflow: an empty registry that models name is not filled.
    """
    write_repo(folder / "repo", stores)
    write_yaml(folder / "manifests.yaml", project_manifest(PROJECT, backfills=[backfill()]))
    assert asyncio.run(run_once(folder))


def project_of(url: str, **spec: Any) -> dict[str, Any]:
    """The project; its operations are not recorded, which would take most of the time."""
    project = project_manifest(PROJECT, url, **spec)
    project["spec"]["mlflow"]["logOperations"] = False
    return project


def write_repo(repo: Path, stores: str) -> None:
    (repo / "data").mkdir(parents=True)
    write_stores(repo, stores)
    for name, text in change_scenes.FILES.items():
        (repo / name).write_text(text)
    hour = datetime.now(UTC) - timedelta(hours=1)
    rows = {"driver_id": [1001, 1002], "conv_rate": [0.5, 0.25], "acc_rate": [0.1, 0.2]}
    rows |= {"trips": [7, 8], "event_timestamp": hour, "created": hour, "created_by": [1001, 1002]}
    for name in ("rows", "moved"):
        pd.DataFrame(rows).to_parquet(repo / "data" / f"{name}.parquet")


def write_stores(repo: Path, stores: str) -> None:
    head = f"project: {PROJECT}\nprovider: local\nentity_key_serialization_version: 3\n"
    (repo / "feature_store.yaml").write_text(head + stores)


def train(repo: Path, url: str) -> None:
    command = [sys.executable, str(TRAIN), str(repo), url, PROJECT, "svc_a"]
    environment = {**os.environ, "PYTHONPATH": str(repo)}  # for the helpers
    subprocess.run(command, check=True, timeout=300, env=environment)


def ask(zygote: Zygote, folder: Path) -> dict[str, Any]:
    """What Feast answers for the features of the champion."""
    return dict(json.loads(zygote.script(FEAST_CALLS, folder=folder / "repo").splitlines()[-1]))


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What differs between two answers of Feast, which keeps no order within a view."""
    if "error" in after:
        return str(after["error"])
    found = [f"no {name}" for name in sorted(before.keys() - after.keys())]
    found += [f"also {name}" for name in sorted(after.keys() - before.keys())]
    both = sorted(before.keys() & after.keys())
    found += [
        f"{name} {before[name]} → {after[name]}" for name in both if after[name] != before[name]
    ]
    orders = [list(dict.fromkeys(n.partition("__")[0] for n in side)) for side in (before, after)]
    if not found and orders[0] != orders[1]:
        found.append("another order")
    return ", ".join(found) or "the same"
