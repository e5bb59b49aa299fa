"""The tables of changes and stores in `docs/lineage.md` are what happens, on real Feast and MLflow.

The champion is trained once. Jobs and questions to Feast are forked from one process with Feast.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from itertools import groupby
from pathlib import Path

import pytest
from tests.contract.runner.stores import on_disk, on_postgres
from tests.local.conftest import run_once
from tests.local.lineage import change_scenes, feast_calls
from tests.local.lineage.champion import (
    PROJECT,
    Champion,
    apply_repo,
    project_of,
    trained_champion,
    write_stores,
)
from tests.local.lineage.table import ChangeRow, StoreRow, change_rows, store_rows
from tests.local.scene import model_manifest, write_yaml
from tests.local.state_reader import read_state
from tests.servers.mlflow import Server
from tests.servers.postgres import Postgres, start_postgres
from tests.servers.registry import start_registry_server

from feature_lineage.cli.plan import run_plan

ANNOTATION = "featurelineage.io/allow-breaking"
CHANGES = change_rows("Changes of the repository")
STORES = store_rows("Registries and online stores")


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory, mlflow_server: Server) -> Iterator[Champion]:
    with trained_champion(tmp_path_factory.mktemp("changes"), mlflow_server.url) as found:
        yield found


def test_every_change_has_a_row_and_every_row_a_change() -> None:
    assert [row.scene for row in CHANGES] == list(change_scenes.CHANGES)
    assert {row.write for row in STORES} == {"nothing", *feast_calls.WRITES}


@pytest.mark.slow
def test_the_record_of_the_champion_is_that_of_its_run(champion: Champion) -> None:
    model = read_state(champion.fresh(), "ranker", "ftm")
    assert model.state("LineageVerified") == ("True", "Verified")
    lineage = model.status["lineage"]
    assert lineage["origin"] == "RunTag"
    assert lineage["schemaDigest"]["baselineFrom"] == "Training"


@pytest.mark.slow
def test_each_change_gives_what_its_row_says(champion: Champion, subtests: pytest.Subtests) -> None:
    for row in CHANGES:
        with subtests.test(row.scene):
            assert changed(champion, row.scene) == row


def changed(champion: Champion, scene: str) -> ChangeRow:
    """Plan a change, apply it with a permission, and ask Feast."""
    folder = champion.fresh()
    write_change(folder, scene)
    said = StringIO()
    with redirect_stdout(said):
        code = run_plan(folder, folder / ".feature-lineage", "json", detailed=True)
    (plan,) = json.loads(said.getvalue())
    impacts = plan.get("impacts", ())  # none where no plan could be made
    kinds = {problem["kind"] for impact in impacts for problem in impact["problems"]}
    champion.run(folder, {ANNOTATION: f"{plan.get('digest', '0' * 12)[:12]}: as the row says"})
    return ChangeRow(
        scene,
        f"{code} {plan['verdict']}",
        ", ".join(sorted(kinds)),
        *verdict(folder),
        champion.serving(folder),
    )


def write_change(folder: Path, scene: str) -> None:
    for name, text in change_scenes.changed(scene).items():
        (folder / "repo" / name).write_text(text)


def verdict(folder: Path) -> tuple[str, str]:
    """The verdict of the champion, and the reason of its `LineageVerified`."""
    model = read_state(folder, "ranker", "ftm")
    return model.status["lineage"]["verdict"], model.state("LineageVerified")[1]


@pytest.mark.slow
def test_each_store_gives_what_its_rows_say(
    champion: Champion, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """Another tool writes to each registry, one row after the other; the project observes."""
    with ExitStack() as stack:
        # Not below pytest's folder: the next pytest process denies other users access to it.
        data = stack.enter_context(tempfile.TemporaryDirectory(prefix="postgres-"))
        postgres = stack.enter_context(start_postgres(data))
        for store, rows in groupby(STORES, lambda row: row.store):
            folder = stored(store, tmp_path, postgres, stack)
            champion.run(folder, apply={"mode": "Observe"})
            for row in rows:
                with subtests.test(f"{row.store}, {row.write}"):
                    assert observed(champion, folder, row) == row


def stored(store: str, root: Path, postgres: Postgres, stack: ExitStack) -> Path:
    """A folder whose repo was applied to a kind of registry and online store."""
    folder = root / store
    files = on_disk("sqlite" if store == "sqlite" else "file", folder / "repo").yaml
    match store:
        case "file" | "sqlite" | "remote":
            stores = files
        case "postgres":
            stores = on_postgres(postgres, "both").yaml
        case "file-postgres":
            online = on_postgres(postgres, "online").yaml.partition("online_store:")[2]
            stores = f"{files.partition('online_store:')[0]}online_store:{online}"
        case _:
            raise AssertionError(store)
    apply_repo(folder, stores)
    if store == "remote":
        served = root / "served"
        shutil.copytree(folder / "repo", served)
        write_stores(served, on_disk("file", folder / "repo").yaml)
        address = stack.enter_context(start_registry_server(served))
        online = files.partition("online_store:")[2]
        registry = f"registry: {{registry_type: remote, path: '{address}'}}"
        write_stores(folder / "repo", f"{registry}\nonline_store:{online}")
        shutil.rmtree(folder / ".feature-lineage")  # of the apply, which needs the registry itself
    return folder


def observed(champion: Champion, folder: Path, row: StoreRow) -> StoreRow:
    """Let another tool write to the registry, observe it, and ask Feast."""
    if row.write != "nothing":
        champion.write(folder, row.write)
    champion.run(folder, apply={"mode": "Observe"})
    fresh = read_state(folder, "ranker", "ftm").state("FeaturesFresh")[1]
    return StoreRow(row.store, row.write, *verdict(folder), fresh, champion.serving(folder))


@pytest.mark.slow
async def test_a_model_that_is_first_seen_after_a_change(champion: Champion) -> None:
    """Its baseline is the registry at training time, and not the newest one."""
    folder, mlflow, late = champion.fresh(), champion.mlflow, f"{PROJECT}-late"
    trained_on = read_state(folder).status["applied"]["revision"]
    version = mlflow.get("model-versions/get", name=PROJECT, version="1")["model_version"]
    mlflow.post("registered-models/create", name=late)
    trained_as = {key: version[key] for key in ("source", "run_id")}
    model_id = version["source"].removeprefix("models:/")
    mlflow.post("model-versions/create", name=late, model_id=model_id, **trained_as)
    mlflow.set_alias(late, "champion", "1")
    write_change(folder, "ttl-grown")
    assert await run_once(folder)

    write_yaml(folder / "manifests.yaml", project_of(mlflow.url), model_manifest(late, name="late"))
    await run_once(folder)

    lineage = read_state(folder, "late", "ftm").status["lineage"]
    assert lineage["schemaDigest"]["baselineFrom"] == "Training"
    assert lineage["verdict"] == "Changed"
    assert {problem["kind"] for problem in lineage["problems"]} == {"SourceChanged", "TTLChanged"}
    assert mlflow.version_tags(late, "1")["featurelineage.io/revision"] == trained_on


@pytest.mark.slow
async def test_a_version_without_records_blocks_if_it_shall(champion: Champion) -> None:
    """It names no project, but a TrainedModel of the project refers to it."""
    folder, mlflow, bare = champion.fresh(), champion.mlflow, f"{PROJECT}-bare"
    mlflow.post("registered-models/create", name=bare)
    mlflow.post("model-versions/create", name=bare, source="s3://bucket/model")
    mlflow.set_alias(bare, "champion", "1")
    project = project_of(mlflow.url, apply={"protection": {"onUnknown": "Block"}})
    write_yaml(folder / "manifests.yaml", project, model_manifest(bare, name="bare"))
    write_change(folder, "entity-renamed")  # affects no known model

    await run_once(folder)

    blocked = read_state(folder)
    assert blocked.state("Applied") == ("False", "Blocked")
    message = blocked.message("Applied")
    assert "the features of 1 protected model version are not known" in message, message
    assert f"{bare}/1" in message, message
