"""An online store that moves: what the plan says, and what the next materialization writes."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from feast.repo_config import RepoConfig
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo
from tests.contract.runner.test_life_of_a_project import views
from tests.forks.client import output_of

from feature_lineage.features.freshness import is_served
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.protocol import ApplyRequest, MaterializeRequest, ViewWindow
from feature_lineage.runner.online_address import online_store_id

SERVE = """
import json, sys
from feast import FeatureStore
store = FeatureStore(sys.argv[1])
print(json.dumps(store.get_online_features(["a:trips"], [{sys.argv[2]: 1}]).to_dict()["trips"]))
"""
INTERVAL = """
import sys
from datetime import datetime
from feast import FeatureStore
FeatureStore(sys.argv[1]).materialize_incremental(datetime.fromisoformat(sys.argv[2]))
"""


def served(repo: Repo, key: str = "driver_id") -> list[int | None]:
    """What Feast serves of the first driver."""
    done = output_of("-c", SERVE, str(repo.path), key, cwd=repo.path)
    found: list[int | None] = json.loads(done.splitlines()[-1])
    return found


def materialized(repo: Repo, zygote: Zygote, **asked: object) -> ViewReport:
    """Materialize the view until now."""
    window = ViewWindow(name="a", end=NOW, start=asked.pop("start", None))
    part = MaterializeRequest(views=(window,), **asked)
    return views(zygote.run(request("materialize", repo.path, part)))["a"]


def planned(repo: Repo, zygote: Zygote, **asked: object) -> JobReport:
    return zygote.run(request("plan", repo.path, ApplyRequest(**asked)))


def move(repo: Repo) -> None:
    repo.edit("online.db", "other.db", "feature_store.yaml")


@pytest.fixture
def full(repo: Repo, zygote: Zygote) -> Repo:
    """A repo with the view `a`, whose rows are in the online store."""
    repo.views(a="trips:Int64")
    assert zygote.run(request("apply", repo.path)).outcome is Outcome.SUCCEEDED
    return repo


def test_a_store_that_moved_is_filled_again(full: Repo, zygote: Zygote) -> None:
    first = materialized(full, zygote, fill=True)
    assert (first.rows, served(full)) == (3, [10])
    move(full)
    zygote.run(request("apply", full.path))
    assert served(full) == [None]

    unknown = materialized(full, zygote, fill=True)
    assert (unknown.start, unknown.rows, served(full)) == (NOW, 0, [None])

    again = materialized(full, zygote, fill=True, written_to={"a": first.written_to})
    assert (again.result, again.rows, served(full)) == ("Succeeded", 3, [10])
    assert again.start is not None
    assert again.start < NOW - timedelta(days=300), "its TTL"
    assert again.written_to not in ("", first.written_to)

    after = materialized(full, zygote, fill=True, written_to={"a": again.written_to})
    assert (after.start, after.written_to) == (NOW, again.written_to), "incremental again"


def test_a_chunk_of_a_backfill_does_not_fill_a_store(full: Repo, zygote: Zygote) -> None:
    first = materialized(full, zygote, fill=True)
    move(full)
    zygote.run(request("apply", full.path))

    start, places = NOW - timedelta(hours=2), {"a": first.written_to}
    chunk = materialized(full, zygote, start=start, written_to=places)
    assert (chunk.start, chunk.written_to) == (start, "")

    tick = materialized(full, zygote, start=start, written_to=places, fill=True)
    assert (tick.rows, tick.written_to != "") == (3, True), "a schedule with a window fills it, too"


def test_rows_under_other_join_keys_are_written_again(full: Repo, zygote: Zygote) -> None:
    first = materialized(full, zygote, fill=True)
    full.edit(
        'driver = Entity(name="driver", join_keys=["driver_id"]',
        'driver = Entity(name="city", join_keys=["city_id"]',
    )
    applied = zygote.run(request("apply", full.path))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    assert served(full, "city_id") == [None]

    again = materialized(full, zygote, fill=True, written_to={"a": first.written_to})

    assert (again.rows, served(full, "city_id")) == (2, [10])
    assert again.written_to != first.written_to


def test_a_plan_says_that_the_store_moved(full: Repo, zygote: Zygote) -> None:
    before = zygote.run(request("apply", full.path))
    materialized(full, zygote, fill=True)
    known = before.online_store_id
    assert planned(full, zygote, online_store=known).warnings == ()

    move(full)
    moved = planned(full, zygote, online_store=known)

    assert moved.plan is not None
    assert moved.plan.changes == ()
    assert len(moved.warnings) == 1
    assert moved.warnings[0].startswith("StoreMoved: the online store moved: as far as ")
    assert "materialized again: a." in moved.warnings[0]
    assert planned(full, zygote).warnings == (), "nobody knows where it was"


def test_rows_before_a_window_that_was_in_the_future(full: Repo, zygote: Zygote) -> None:
    """Its end has passed. Rows that arrived between the last tick and this end are not lost."""
    tick, ahead = NOW - timedelta(minutes=30), NOW - timedelta(minutes=5)
    materialize = MaterializeRequest(views=(ViewWindow(name="a", end=tick),))
    zygote.run(request("materialize", full.path, materialize))
    output_of("-c", INTERVAL, str(full.path), ahead.isoformat(), cwd=full.path)

    assert materialized(full, zygote, untrusted={"a": ahead}).start == tick
    assert materialized(full, zygote).start == NOW


PUSHED = """
from features import FeatureView, Field, Int64, driver

pushed = FeatureView(name="pushed", entities=[driver], schema=[Field(name="n", dtype=Int64)])
"""


def test_a_view_without_a_source_is_not_materialized(full: Repo, zygote: Zygote) -> None:
    """Feast's materialization of such a view ends with an AttributeError."""
    full.write(PUSHED, "pushed.py")
    assert zygote.run(request("apply", full.path)).outcome is Outcome.SUCCEEDED

    every = MaterializeRequest(all_views_end=NOW)
    done = zygote.run(request("materialize", full.path, every))

    assert done.outcome is Outcome.SUCCEEDED, done.message
    assert {name: view.result for name, view in views(done).items()} == {
        "a": "Succeeded", "pushed": "",
    }  # fmt: skip
    assert done.snapshot is not None
    assert [is_served(done.snapshot, name) for name in ("a", "pushed")] == [True, False]
    named = MaterializeRequest(views=(ViewWindow(name="pushed", end=NOW),))
    failed = views(zygote.run(request("materialize", full.path, named)))["pushed"]
    assert failed.error == "a view without a source is filled by pushing rows"


@pytest.mark.parametrize(
    ("store", "moved", "changed"),
    [
        pytest.param(
            {"type": "sqlite", "path": "a.db"},
            {"path": "b.db"},
            {"path": "/repo/a.db"},
            id="sqlite",
        ),
        pytest.param(
            {"type": "postgres", "host": "a", "database": "f", "user": "u", "password": "old"},
            {"db_schema": "other"},
            {"password": "new", "max_conn": 3},
            id="postgres",
        ),
        pytest.param(
            {"type": "remote", "path": "http://a:6566"},
            {"path": "http://b:6566"},
            {"connection_retries": 9},
            id="remote",
        ),
    ],
)
def test_identities_of_feasts_own_configurations(
    store: dict[str, str], moved: dict[str, str], changed: dict[str, object]
) -> None:
    def identity(values: dict[str, object]) -> str:
        config = RepoConfig(
            project="p", provider="local", registry="r.db", online_store=values,
            entity_key_serialization_version=3,
        )  # fmt: skip
        return online_store_id(config, Path("/repo"))

    assert identity({**store, **changed}) == identity({**store})
    assert identity({**store, **moved}) != identity({**store})
