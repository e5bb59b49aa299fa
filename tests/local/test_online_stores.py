"""An online store that moved, and join keys that changed: not fresh until Feast serves again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.forks.client import output_of
from tests.local.conftest import assert_quiet, run_once
from tests.local.scene import FEATURES, backfill, project_manifest, write_repo, write_yaml
from tests.local.state_reader import command, read_state, state_file

SERVE = """
import json, sys
from feast import FeatureStore
store = FeatureStore(sys.argv[1])
found = store.get_online_features(["driver_hourly_stats:trips"], [{sys.argv[2]: 1003}])
print(json.dumps(found.to_dict()["trips"]))
"""
NOT_THERE = ("False", "NotInOnlineStore")


def served(repo: Path, key: str = "driver_id") -> list[int | None]:
    said = output_of("-c", SERVE, str(repo), key, cwd=repo)
    found: list[int | None] = json.loads(said.splitlines()[-1])
    return found


def doubts(folder: Path) -> set[str]:
    (planned,) = json.loads(command("plan", str(folder), "-o", "json").stdout)
    return {warning["reason"] for warning in planned["warnings"]}


def make_a_tick_due(folder: Path) -> None:
    """The state of a resource that is three days old, and whose schedule never ran."""
    resource = read_state(folder).resource
    earlier = datetime.now(UTC) - timedelta(days=3)
    resource["metadata"]["creationTimestamp"] = f"{earlier:%Y-%m-%dT%H:%M:%SZ}"
    for schedule in resource["status"]["schedules"]:
        schedule.pop("last", None)
    state_file(folder, "driver").write_text(yaml.safe_dump(resource))


@pytest.mark.slow
async def test_a_moved_store_is_not_fresh_until_it_is_filled(tmp_path: Path) -> None:
    repo = write_repo(tmp_path / "repo", "stores")
    data = pd.read_parquet(repo / "data/stats.parquet")
    data.assign(courier_id=data.driver_id).to_parquet(repo / "data/stats.parquet")
    minute = (datetime.now(UTC).minute + 30) % 60  # no tick while this runs
    spec = {
        "freshness": {"maxAge": "7d"},
        "backfills": [backfill()],
        "schedules": [
            {
                "name": "hourly", "cron": f"{minute} * * * *", "incremental": {},
                "startingDeadline": "2h",
            }
        ],
    }  # fmt: skip
    write_yaml(tmp_path / "m.yaml", project_manifest("stores", **spec))
    assert await run_once(tmp_path)
    assert read_state(tmp_path).state("Fresh") == ("True", "Succeeded")
    assert served(repo) == [14]
    await assert_quiet(tmp_path)

    file = repo / "feature_store.yaml"
    file.write_text(file.read_text().replace("online.db", "moved.db"))
    assert "warning: StoreMoved: the online store moved" in command("plan", str(tmp_path)).stdout
    assert "StoreMoved" in doubts(tmp_path)
    assert await run_once(tmp_path)
    assert served(repo) == [None]
    assert read_state(tmp_path).state("Fresh") == NOT_THERE
    await assert_quiet(tmp_path)  # only a schedule or a backfill fills the store

    make_a_tick_due(tmp_path)
    assert await run_once(tmp_path)
    assert read_state(tmp_path).state("Fresh") == ("True", "Succeeded")
    assert served(repo) == [14]
    assert "StoreMoved" not in doubts(tmp_path)

    courier = FEATURES.replace(
        'name="driver", join_keys=["driver_id"]', 'name="courier", join_keys=["courier_id"]'
    )
    (repo / "features.py").write_text(courier)
    assert await run_once(tmp_path)
    assert served(repo, "courier_id") == [None]
    assert read_state(tmp_path).state("Fresh") == NOT_THERE
    make_a_tick_due(tmp_path)
    assert await run_once(tmp_path)
    assert read_state(tmp_path).state("Fresh") == ("True", "Succeeded")
    assert served(repo, "courier_id") == [14]
