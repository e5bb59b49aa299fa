"""A due tick materializes once; of missed ticks only the newest runs; a late tick is skipped."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import FEATURES, MLflow, project_manifest, write_repo, write_yaml
from tests.local.state_reader import read_state, state_file

ANOTHER = """
another = FeatureView(
    name="another", entities=[driver], source=source, schema=[Field(name="trips", dtype=Int64)]
)
"""
"""A view that no schedule names."""


@pytest.mark.slow
async def test_the_newest_missed_tick_is_materialized_once(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("scheduled")
    write_repo(tmp_path / "repo", project, FEATURES + ANOTHER)
    minute = (datetime.now(UTC).minute + 30) % 60  # no tick while this runs
    schedules = [
        {
            "name": "hourly",
            "cron": f"{minute} * * * *",
            "views": ["driver_hourly_stats"],
            "window": {"duration": "1d"},
            "startingDeadline": "2h",
        },
        {"name": "off", "cron": f"{minute} * * * *", "suspend": True, "incremental": {}},
        {"name": "too-late", "cron": yesterday(), "incremental": {}, "startingDeadline": "1h"},
    ]
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url, schedules=schedules))
    assert await run_once(tmp_path)
    fresh = read_state(tmp_path)
    assert [op["kind"] for op in fresh.status["operations"]] == ["Apply"]
    assert fresh.state("Materialized") == ("Unknown", "NeverRun")
    assert "last" not in by_name(fresh.status)["hourly"]

    # The state of a resource that is three days old, while no host was running.
    resource = fresh.resource
    earlier = datetime.now(UTC) - timedelta(days=3)
    resource["metadata"]["creationTimestamp"] = f"{earlier:%Y-%m-%dT%H:%M:%SZ}"
    state_file(tmp_path, "driver").write_text(yaml.safe_dump(resource))
    before = datetime.now(UTC)
    assert await run_once(tmp_path)

    done = read_state(tmp_path)
    assert [op["kind"] for op in done.status["operations"]] == ["Materialize", "Apply"]
    assert done.status["operations"][0]["schedule"] == "hourly"
    states = by_name(done.status)
    last = datetime.fromisoformat(states["hourly"]["last"])
    assert before - timedelta(hours=1) < last <= datetime.now(UTC)
    assert (last.minute, last.second) == (minute, 0)
    assert datetime.fromisoformat(states["hourly"]["next"]) == last + timedelta(hours=1)
    assert states["off"].keys() == {"name"}
    assert datetime.fromisoformat(states["too-late"]["last"]) < before - timedelta(hours=20)
    view = done.view("driver_hourly_stats")
    assert datetime.fromisoformat(view["materializedUntil"]) == last
    assert (view["by"], view["rows"]) == ("Operator", 5)
    assert "materializedUntil" not in done.view("another")
    run = mlflow.ops_runs(project)[-1]
    dates = {key: datetime.fromisoformat(value) for key, value in run["params"].items()}
    assert dates == {
        "feast.materialize.start_date": last - timedelta(days=1),
        "feast.materialize.end_date": last,
    }

    # A finished tick is not repeated.
    recorder = EventRecorder()
    assert await run_once(tmp_path, recorder)
    assert recorder.events == []
    assert len(read_state(tmp_path).status["operations"]) == 2


def yesterday() -> str:
    """A schedule that runs every day, last about 21 hours ago."""
    return f"0 {(datetime.now(UTC).hour + 3) % 24} * * *"


def by_name(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {state["name"]: state for state in status["schedules"]}
