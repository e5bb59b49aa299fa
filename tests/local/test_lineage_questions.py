"""Lineage asked by the command line: real registry, real MLflow, now and in the past."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.local.conftest import run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import command

RATE, TRIPS = "driver_hourly_stats:conv_rate", "driver_hourly_stats:trips"
ACC = "driver_hourly_stats:acc_rate"
SECOND = """
second_view = FeatureView(
    name="second_view", entities=[driver], ttl=timedelta(days=1), source=source,
    schema=[Field(name="other", dtype=Int64)],
)
"""


def ask(*arguments: str) -> Any:
    done = command(*arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    return answer


def graph(*arguments: str) -> tuple[list[str], list[tuple[str, str]]]:
    done = command("graph", *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    nodes = [f"{node['kind']}/{node['name']}" for node in answer["nodes"]]
    return nodes, [(nodes[before], nodes[after]) for before, after in answer["edges"]]


@pytest.mark.slow
async def test_lineage_is_asked_from_any_end_and_at_any_time(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("asked")
    champion, other = f"{project}_champion", f"{project}_other"
    repo = write_repo(tmp_path / "repo", project, FEATURES + SECOND)
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url), model_manifest(champion))
    folder = str(tmp_path)
    await run_once(tmp_path)  # applied before training, so that it is the baseline
    service = {"feast.feature_service": "driver_activity_v1"}
    first = mlflow.train(champion, project, [TRIPS, RATE], **service)
    gone = mlflow.train(champion, project, [RATE])
    mlflow.train(other, project, [ACC])
    mlflow.set_alias(champion, "champion", first)
    mlflow.set_alias(champion, "shadow", gone)
    assert await run_once(tmp_path)
    before = datetime.now(UTC).isoformat()

    # Every version, declared or not; only the declared one has a TrainedModel.
    listed = ask("versions", folder)
    assert [(item["model"], item["version"]) for item in listed["items"]] == [
        (champion, "1"), (champion, "2"), (other, "1"),
    ]  # fmt: skip
    assert [item.get("declaredBy", []) for item in listed["items"]] == [["default/ranker"], [], []]
    assert {item["verdict"] for item in listed["items"]} == {"Verified"}
    assert listed["asOf"]["modelsReadAt"] > before[:10]
    assert ask("versions", folder, other)["total"] == 1
    page = ask("versions", folder, "--limit", "2")
    rest = ask("versions", folder, "--after", page["after"])
    assert [item["model"] for item in rest["items"]] == [other]

    # A version is resolved from each of its names, in recorded order.
    run = mlflow.get("model-versions/get", name=champion, version=first)["model_version"]["run_id"]
    for uri in (f"models:/{champion}/1", f"models:/{champion}@champion", f"runs:/{run}/model"):
        found = ask("features", folder, uri)
        assert (found["version"]["version"], found["refs"]) == ("1", [TRIPS, RATE])
        assert (found["version"]["verdict"], found["complete"]) == ("Verified", True)
    unknown = command("features", folder, f"models:/{champion}@champoin")
    assert unknown.returncode == 2
    assert f"did you mean alias/{champion}@champion?" in unknown.stderr

    # From a source to an alias, and back.
    nodes, edges = graph(folder, "source/driver_stats", "--features")
    assert f"alias/{champion}@champion" in nodes
    assert (f"feature/{ACC}", f"model/{other}/1") in edges
    nodes, edges = graph(folder, f"models:/{champion}@champion")
    assert nodes == [
        *("source/driver_stats", "entity/driver", "view/driver_hourly_stats"),
        *("service/driver_activity_v1", f"model/{champion}/1", f"alias/{champion}@champion"),
    ]
    assert ("view/driver_hourly_stats", "service/driver_activity_v1") in edges
    assert ("view/driver_hourly_stats", f"model/{champion}/1") not in edges, "through the service"
    drawn = command("graph", folder, "driver_hourly_stats", "-o", "mermaid").stdout
    assert drawn.startswith("flowchart LR\n")
    assert f'[["{champion}/1 (Verified)"]]' in drawn
    assert "digraph lineage {" in command("graph", folder, "-o", "dot").stdout
    text = command("graph", folder, "second_view").stdout
    assert "source/driver_stats -> view/second_view" in text

    # What nobody uses: a view, and no feature of the used view, since each version is new.
    unused = ask("unused", folder)
    assert [(item["kind"], item["name"]) for item in unused["items"]] == [("view", "second_view")]
    assert unused["items"][0].get("lastUsedAt") is None
    old = ask("unused", folder, "--days", "0")
    assert [item["name"] for item in old["items"]] == ["second_view", ACC]
    assert old["items"][1]["lastUsedAt"] > before[:10]

    assert [item["name"] for item in ask("search", folder, "SECOND")["items"]] == [
        "second_view", "second_view:other",
    ]  # fmt: skip

    # Later: another champion, a version that is deleted, a view that is gone.
    mlflow.set_alias(champion, "champion", gone)
    (repo / "features.py").write_text(FEATURES)
    assert await run_once(tmp_path)
    mlflow.delete("model-versions/delete", name=champion, version=first)
    mlflow.train(other, project, [RATE])
    assert "view/second_view" not in graph(folder)[0]

    past = ask("versions", folder, "--as-of", before)
    assert [(i["model"], i["version"], i.get("aliases")) for i in past["items"]] == [
        (champion, "2", ["shadow"]), (other, "1", []),
    ]  # fmt: skip
    assert past["asOf"]["goneSince"] == [f"{champion}/1"]
    assert "view/second_view" in graph(folder, "second_view", "--as-of", before)[0]
    none = command("graph", folder, "--as-of", "2020-01-01")
    assert none.returncode == 2
    assert "MLflow has no record of the registry at 2020-01-01" in none.stderr
