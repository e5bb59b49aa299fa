"""What a version before the verified lineage left keeps its verdicts, or a test says why not.

`record.py` wrote `recorded`: what commit 70fefd8 left of one project with seven champions, after
`feature-lineage local --once` ran at its first definitions, after the training, and after a change
that breaks `changed` and was permitted:

- `state`: the state folder, with statuses, events and snapshots;
- `repo` and `manifests.yaml`: the definitions, Feast's registry, the online store, the resources;
- `mlflow.sql` and `artifacts`: a dump of MLflow's database, and the files that are read.

The champions were trained with Feast's own integration for MLflow by the scenes of these names in
`tests/local/lineage/training_scenes.py`; `short-names` is `service` with an `input_example`, and
`changed` uses another view. MLflow gets the database as its users restore one: from a dump, with
`mlflow db upgrade`.
"""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.local.conftest import run_once
from tests.local.scene import MLflow
from tests.local.state_reader import ResourceState, read_state
from tests.local.upgrade.record import RECORDED, write_rows
from tests.servers.mlflow import Server, free_port, start_mlflow

from feature_lineage.api.manifests import parse
from feature_lineage.api.resources import FeatureStoreProject, TrainedModel
from feature_lineage.runner.address import registry_id

KEPT = ("service", "short-names", "plain-list", "changed")
CORRECTED = "online-after"
"""Verified before, of the features of its online retrieval; now of those of its training.
The two others, `online-only` and `two-before`, are not Verified any more: see "Verdicts after an
upgrade" in docs/operations.md, and the scenes of these names in docs/lineage.md."""
SINCE = {"columnNames", "writtenTo", "onlineStore", "aliasHistory", "futureUntil"}
"""Fields of a status that the recorded version did not write."""


def restore(folder: Path, url: str) -> None:
    """The recorded scene, for a server at this address."""
    for part in ("repo", "state"):
        target = folder / {"state": ".feature-lineage"}.get(part, part)
        shutil.copytree(RECORDED / part, target)
    shutil.copy(RECORDED / "manifests.yaml", folder)
    registry = registry_id("file", "data/registry.db", folder / "repo")
    for path in folder.rglob("*"):
        if path.suffix in (".yaml", ".json", ".jsonl"):
            text = path.read_text()
            text = text.replace("@FOLDER@", str(folder)).replace("@URL@", url)
            path.write_text(text.replace("@ID@", registry))
    write_rows(folder / "repo")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An MLflow server with the recorded database."""
    folder, port = tmp_path / "mlflow", free_port()
    shutil.copytree(RECORDED / "artifacts", folder / "artifacts")
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        database.executescript((RECORDED / "mlflow.sql").read_text())
    upgrade = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{folder}/mlflow.db"]
    subprocess.run(upgrade, check=True, capture_output=True)
    with start_mlflow(folder, port=port) as server:
        yield server


def true_conditions(state: ResourceState) -> set[str]:
    return {each["type"] for each in state.status["conditions"] if each["status"] == "True"}


def keys_of(value: Any) -> set[str]:
    """The keys of a document at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


@pytest.mark.slow
async def test_what_an_older_version_left_keeps_its_verdicts(
    tmp_path: Path, server: Server
) -> None:
    folder = tmp_path / "scene"
    restore(folder, server.url)
    mlflow, names = MLflow(server.url), [*KEPT, CORRECTED]
    was = {name: read_state(folder, name, "ftm") for name in names}
    tags = {name: mlflow.version_tags(f"before-{name}", "1") for name in names}

    await run_once(folder)

    now = {name: read_state(folder, name, "ftm") for name in names}
    for name in KEPT:
        old, new = was[name].status["lineage"], now[name].status["lineage"]
        for field in ("verdict", "verdictSince", "features", "schemaDigest"):
            assert new[field] == old[field], (name, field)
        assert "servingByDefault" not in now[name].status, name
        assert new["baselineRegistryDigest"] == old["baselineRegistryDigest"], name
        assert true_conditions(now[name]) >= true_conditions(was[name]), name
        assert mlflow.version_tags(f"before-{name}", "1").items() >= tags[name].items(), name
    old, new = was[CORRECTED].status["lineage"], now[CORRECTED].status["lineage"]
    assert (old["verdict"], old["features"]) == ("Verified", ["stats:acc_rate"])
    assert (new["verdict"], new["features"]) == ("Verified", ["stats:conv_rate", "stats:trips"])


@pytest.mark.parametrize("kind", [FeatureStoreProject, TrainedModel])
def test_a_status_of_an_older_version_is_read(
    tmp_path: Path, kind: type[FeatureStoreProject | TrainedModel]
) -> None:
    """`parse` reads the resources of a cluster, too."""
    restore(tmp_path, "http://mlflow:5000")
    paths = sorted((tmp_path / ".feature-lineage" / "resources" / kind.__name__).rglob("*.yaml"))
    assert paths
    for path in paths:
        content = yaml.safe_load(path.read_text())
        was = content["status"]
        assert not keys_of(was) & SINCE

        now = parse(kind, content).status.as_dict()

        assert {key: now[key] for key in was} == was, path.name
