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
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.local.conftest import EventRecorder, assert_quiet, run_once
from tests.local.lineage.table import NONE
from tests.local.scene import MLflow
from tests.local.state_reader import ResourceState, read_state
from tests.local.upgrade.record import MODELS, PROJECT, RECORDED, write_rows
from tests.servers.mlflow import Server, free_port, start_mlflow

from feature_lineage.api.manifests import parse
from feature_lineage.api.resources import FeatureStoreProject, TrainedModel
from feature_lineage.runner.address import registry_id

PAGE = Path(__file__).parents[3] / "docs" / "operations.md"
NOT_VERIFIED = {"online-only": "Unknown", "two-before": "Ambiguous"}
"""Champions that are not verified any more, and the reasons of their Events."""
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


def said_changes() -> dict[str, tuple[str, str]]:
    """What `docs/operations.md` says of each champion that changes: before and now."""
    section = PAGE.read_text().split("\n### Verdicts after an upgrade\n", 1)[1].split("\n### ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]
    return {name: (before, now) for name, _, before, now, _ in cells}


def told(state: ResourceState) -> str:
    """Verdict, `LineageVerified` and features, as the page writes them."""
    lineage = state.status["lineage"]
    features = ", ".join(ref.partition(":")[2] for ref in lineage["features"])
    condition = " ".join(state.state("LineageVerified"))
    return f"{lineage['verdict']}, {condition}: {features or NONE}"


def keys_of(value: Any) -> set[str]:
    """The keys of a document at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


@pytest.mark.slow
async def test_what_an_older_version_left(tmp_path: Path, server: Server) -> None:
    folder, mlflow = tmp_path / "scene", MLflow(server.url)
    restore(folder, server.url)
    was = {name: read_state(folder, name, "ftm") for name in MODELS}
    project_was, runs, registry = read_state(folder), mlflow.ops_runs(PROJECT), registry_of(folder)
    tags = {name: mlflow.version_tags(f"{PROJECT}-{name}", "1") for name in MODELS}
    recorder = EventRecorder()

    await run_once(folder, recorder)

    now = {name: read_state(folder, name, "ftm") for name in MODELS}
    changed = {
        name: (told(was[name]), told(now[name]))
        for name in MODELS
        if told(was[name]) != told(now[name])
    }
    assert changed == said_changes()
    assert_kept(was, now, changed.keys())
    for name in MODELS:
        tagged = mlflow.version_tags(f"{PROJECT}-{name}", "1")
        if name in NOT_VERIFIED:
            assert tags[name].pop("featurelineage.io/verdict") == "Verified"
            assert tagged.get("featurelineage.io/verdict") != "Verified"
        assert tagged.items() >= tags[name].items(), name

    # Nothing is applied or recorded again, and only two verdicts are news.
    assert {event.key.name: event.reason for event in recorder.events} == NOT_VERIFIED
    assert len(recorder.events) == len(NOT_VERIFIED)
    said = {event.key.name: event.message for event in recorder.events}
    online_only, two_before = said["online-only"], said["two-before"]
    assert "retrieved features online, which is no record of training" in online_only
    assert "set spec.featureService" in online_only
    assert "recorded 2 retrievals of features, and Feast keeps only the last" in two_before
    assert "declare the service in spec.featureService" in two_before
    assert recorder.failures == []
    project_now = read_state(folder).status
    begun = project_now.pop("aliasHistory")
    assert project_now == project_was.status
    assert mlflow.ops_runs(PROJECT) == runs
    (aliases,) = mlflow.ops_runs(PROJECT, "-feast-ops-aliases")
    assert begun["record"] == aliases["tags"]["featurelineage.io/operation-id"]
    assert registry_of(folder) == registry
    await assert_quiet(folder)

    await assert_guarded(folder, now)


def registry_of(folder: Path) -> bytes:
    return (folder / "repo" / "data" / "registry.db").read_bytes()


def assert_kept(
    was: dict[str, ResourceState], now: dict[str, ResourceState], changed: Collection[str]
) -> None:
    for name in was.keys() - changed:
        old, new = was[name].status["lineage"], now[name].status["lineage"]
        for field in ("verdictSince", "schemaDigest", "baselineRegistryDigest"):
            assert new[field] == old[field], (name, field)
        assert "servingByDefault" not in now[name].status, name
        for condition in was[name].status["conditions"]:
            kept = now[name].condition(condition["type"])
            assert {**kept, "observedGeneration": 1} == condition, name


async def assert_guarded(folder: Path, models: dict[str, ResourceState]) -> None:
    """A change of a feature is held for exactly the champions of before that use the feature."""
    features = folder / "repo" / "features.py"
    text = features.read_text()
    broken = text.replace('"conv_rate", "acc_rate", "trips"', '"acc_rate", "trips"')
    broken = broken.replace('"conv_rate", "trips"', '"trips"')
    features.write_text(broken)
    registry = registry_of(folder)

    await run_once(folder)

    blocked = read_state(folder)
    assert blocked.state("Applied") == ("False", "Blocked")
    plan = blocked.status["plan"]
    users = [
        f"{PROJECT}-{name}"
        for name, state in models.items()
        if "stats:conv_rate" in state.status["lineage"]["features"]
    ]
    assert sorted(impact["model"] for impact in plan["impacts"]) == sorted(users)
    assert len(users) == 3
    assert registry_of(folder) == registry


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
