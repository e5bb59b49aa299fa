"""PlanOnly plans, Observe reads what others write, suspend stops; none writes the registry."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import (
    MLflow,
    backfill,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import feast, read_state, registry_of


@pytest.mark.slow
async def test_what_is_planned_observed_or_suspended_is_not_written(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    names = {name: unique(name) for name in ("planned", "observed", "suspended")}
    repos = {name: write_repo(tmp_path / name, project) for name, project in names.items()}
    feast(repos["observed"], "apply")
    model = unique("watched")
    mlflow.train(model, names["observed"], ["driver_hourly_stats:trips"], alias="champion")

    def manifest(name: str, **spec: Any) -> dict[str, Any]:
        source = {"local": {"path": name}}
        return project_manifest(names[name], mlflow.url, name=name, source=source, **spec)

    write_yaml(
        tmp_path / "manifests.yaml",
        manifest("planned", apply={"mode": "PlanOnly"}, backfills=[backfill()]),
        manifest("observed", apply={"mode": "Observe"}, freshness={"maxAge": "2h"}),
        manifest("suspended", suspend=True, backfills=[backfill()]),
        model_manifest(model, projectRef={"name": "observed"}),
    )
    assert not await run_once(tmp_path)

    planned = read_state(tmp_path, "planned")
    assert planned.state("Applied") == ("False", "Planned")
    assert planned.state("Ready") == ("True", "Planned")
    assert planned.status["plan"]["verdict"] == "Clean"
    created = {(c["kind"], c["name"]) for c in planned.status["plan"]["changes"]}
    assert ("feature_view", "driver_hourly_stats") in created
    assert "applied" not in planned.status
    assert not (repos["planned"] / "data" / "registry.db").exists()
    assert not (repos["planned"] / "data" / "online.db").exists()

    suspended = read_state(tmp_path, "suspended")
    assert suspended.state("Applied") == ("False", "Suspended")
    assert "set it to false" in suspended.message("Applied")
    assert suspended.status["operations"] == []
    assert not (repos["suspended"] / "data" / "registry.db").exists()

    observed = read_state(tmp_path, "observed")
    assert observed.state("Applied") == ("True", "Observed")
    assert observed.state("Ready")[0] == "True"
    assert observed.state("Fresh") == ("False", "NeverMaterialized")
    assert observed.status["counts"]["linkedModels"] == 1
    assert observed.status["counts"]["featureViews"] == 1
    assert read_state(tmp_path, "ranker", "ftm").status["lineage"]["verdict"] == "Unchanged"

    # Another tool materializes, and applies a breaking change: both are detected, neither is
    # undone.
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(days=3)
    feast(
        repos["observed"], "materialize", f"{start:%Y-%m-%dT%H:%M:%S}", f"{end:%Y-%m-%dT%H:%M:%S}"
    )
    definitions = repos["observed"] / "features.py"
    definitions.write_text(
        definitions.read_text()
        .replace('Field(name="trips", dtype=Int64),', "")
        .replace('[["conv_rate", "trips"]]', '[["conv_rate"]]')
    )
    feast(repos["observed"], "apply")
    recorder = EventRecorder()
    assert not await run_once(tmp_path, recorder)

    watched = read_state(tmp_path, "observed")
    view = watched.view("driver_hourly_stats")
    assert view["by"] == "External"
    assert datetime.fromisoformat(view["materializedUntil"]) == end
    assert view["fresh"] is True
    assert watched.state("Fresh")[0] == watched.state("Materialized")[0] == "True"
    assert watched.state("Ready")[0] == "True"
    broken = read_state(tmp_path, "ranker", "ftm")
    assert broken.status["lineage"]["verdict"] == "Broken"
    assert [p["kind"] for p in broken.status["lineage"]["problems"]] == ["FeatureGone"]
    assert registry_of(repos["observed"])["features"] == [
        "driver_hourly_stats:acc_rate",
        "driver_hourly_stats:conv_rate",
    ]
    # The plan and the suspension are unchanged: there is nothing to report.
    assert {event.key.name for event in recorder.events} == {"observed", "ranker"}
