"""A view that cannot be materialized fails alone, reports the cause, and is retried alone."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.local.conftest import run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    backfill,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import read_state

MORE_VIEWS = """
def another(name):
    stats = FileSource(name=f"{name}_stats", path=f"data/{name}.parquet",
                       timestamp_field="event_timestamp")
    return FeatureView(name=name, entities=[driver], ttl=timedelta(days=365), source=stats,
                       schema=[Field(name="trips", dtype=Int64)])

gone = another("gone")
timeless = another("timeless")
"""


@pytest.mark.slow
async def test_views_fail_one_by_one_and_only_those_are_tried_again(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("partial")
    repo = write_repo(tmp_path / "repo", project, FEATURES + MORE_VIEWS)
    whole = pd.read_parquet(repo / "data" / "stats.parquet")
    for name in ("gone", "timeless"):
        whole.to_parquet(repo / "data" / f"{name}.parquet")
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url))
    assert await run_once(tmp_path)

    (repo / "data" / "gone.parquet").unlink()
    whole.drop(columns="event_timestamp").to_parquet(repo / "data" / "timeless.parquet")
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url, backfills=[backfill()]))
    assert await run_once(tmp_path)  # a failing view does not affect Ready

    partial = read_state(tmp_path)
    assert partial.state("Ready")[0] == "True"
    assert partial.state("Materialized") == ("False", "ViewsFailing")
    views = {view["name"]: view for view in partial.status["featureViews"]}
    assert {name: view["lastResult"] for name, view in views.items()} == {
        "driver_hourly_stats": "Succeeded",
        "gone": "Failed",
        "timeless": "Failed",
    }
    assert [view["name"] for view in partial.status["featureViews"]][-1] == "driver_hourly_stats"
    assert "data/gone.parquet does not exist" in views["gone"]["lastError"]
    assert "event_timestamp" in views["timeless"]["lastError"]
    assert "data/timeless.parquet" in views["timeless"]["lastError"]
    for name in ("gone", "timeless"):
        assert views[name]["lastError"] in partial.message("Materialized")
        assert views[name]["consecutiveFailures"] == 1
        assert "materializedUntil" not in views[name]
    until = views["driver_hourly_stats"]["materializedUntil"]
    operation = partial.status["operation"]
    assert (operation["phase"], operation["attempt"]) == ("BackingOff", 2)
    assert operation["notBefore"] > until
    assert partial.event_messages("ViewsFailing")

    # The data exists again. A requested retry does not wait, and skips the finished views.
    for name in ("gone", "timeless"):
        whole.to_parquet(repo / "data" / f"{name}.parquet")
    online = views["driver_hourly_stats"]["attemptedAt"]
    assert await run_once(tmp_path)

    healed = read_state(tmp_path)
    assert healed.state("Materialized")[0] == "True"
    assert "operation" not in healed.status
    done = healed.status["operations"][0]
    assert (done["id"], done["attempt"], done["result"]) == (operation["id"], 2, "Succeeded")
    assert {view["name"]: view["rows"] for view in done["views"]} == {
        "driver_hourly_stats": 5,
        "gone": 5,
        "timeless": 5,
    }
    assert healed.view("driver_hourly_stats")["attemptedAt"] == online
    assert healed.view("gone")["consecutiveFailures"] == 0
    assert "lastError" not in healed.view("gone")
    assert healed.status["backfills"][0]["state"] == "Succeeded"
    runs = mlflow.ops_runs(project)
    views = runs[-1]["tags"]["feast.materialize.feature_views"]
    assert views == "driver_hourly_stats,gone,timeless"
    assert runs[-1]["metrics"]["featurelineage.io/rows/driver_hourly_stats"] == 5
    assert [run["tags"]["feast.operation"] for run in runs] == ["apply", "materialize"]
    assert runs[-1]["tags"]["featurelineage.io/attempt"] == "2"
