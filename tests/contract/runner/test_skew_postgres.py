"""Values of the online store beside those that training gets from PostgreSQL."""

from datetime import timedelta

import psycopg
import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo
from tests.contract.runner.test_probe import ask
from tests.contract.runner.test_skew import OVERWRITE, skew_of

from feature_lineage.api.enums import ProbeSkew
from feature_lineage.operations.job_report import Outcome
from feature_lineage.operations.probe_answer import ProbeAnswer
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.protocol import MaterializeRequest
from feature_lineage.operations.sampled_keys import SampledKeys
from feature_lineage.operations.serving import Question
from feature_lineage.reasons import Reason

REPO = """
from datetime import timedelta

import pandas as pd
from feast import Entity, FeatureService, FeatureView, Field, RequestSource, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
    PostgreSQLSource,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Bool, Float32, Float64, Int64, String, UnixTimestamp

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
city = Entity(name="city", join_keys=["city"], value_type=ValueType.STRING)
street = Entity(name="street", join_keys=["street"], value_type=ValueType.INT64)
number = Entity(name="number", join_keys=["number"], value_type=ValueType.INT64)


def view(name, *entities, **columns):
    mapped = {"field_mapping": {"Count": "trips"}} if name == "trips" else {}
    source = PostgreSQLSource(
        name=name, table=f"{name}_rows", timestamp_field="at", created_timestamp_column="made",
        **mapped,
    )
    schema = [Field(name=column, dtype=dtype) for column, dtype in columns.items()]
    return FeatureView(
        name=name, entities=list(entities), ttl=timedelta(days=7), source=source, schema=schema
    )


trips = view(
    "trips", driver, trips=Int64, rate=Float64, note=String, active=Bool, recent=Array(Int64),
    seen=UnixTimestamp,
)
cities = view("cities", city, size=Int64, share=Float32)
houses = view("houses", street, number, floors=Int64)
asked = RequestSource(name="asked", schema=[Field(name="x", dtype=Int64)])


@on_demand_feature_view(sources=[trips, asked], schema=[Field(name="plus", dtype=Int64)])
def sums(df: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"plus": df["trips"].fillna(0).astype("int64") + df["x"]})


everything = FeatureService(name="everything", features=[trips, cities, houses])
of_trips = FeatureService(name="of_trips", features=[trips])
of_houses = FeatureService(name="of_houses", features=[houses])
computed = FeatureService(name="computed", features=[trips[["trips"]], sums])
"""
ROWS = """
CREATE TABLE trips_rows AS SELECT n % 40 AS driver_id, n AS "Count",
    CASE WHEN n % 4 > 0 THEN n / 10.0::float8 END AS rate,
    'note ' || n AS note, n % 3 = 0 AS active, ARRAY[n, 1] AS recent,
    timestamptz '2026-01-01' + n * interval '1 minute' AS seen, {times}
FROM generate_series(1, 200) AS n;
CREATE TABLE cities_rows AS SELECT E'O''City\\\\ %s {{{{ü}}}} ' || n AS city, n AS size,
    (n / 7.0)::real AS share, {times}
FROM generate_series(1, 20) AS n;
CREATE TABLE houses_rows AS SELECT street, number, 100 * street + number AS floors, {times}
FROM generate_series(1, 12) AS street, generate_series(1, 12) AS number, (VALUES (0)) AS one (n)
"""
TIMES = """
timestamptz '{now}' - interval '1 hour' - n * interval '1 second' AS at,
timestamptz '{now}' - interval '1 hour' AS made
"""
QUESTIONS = {name: Question(name) for name in ("everything", "of_trips", "of_houses", "computed")}


@pytest.fixture
def repo(build: Build) -> Repo:
    """A repo whose credential of the offline store may only read."""
    made = build("postgres")
    made.stores.execute(ROWS.format(times=TIMES.format(now=NOW.isoformat())))
    made.stores.execute(
        "DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader') THEN "
        "CREATE ROLE reader LOGIN; END IF; END$$; GRANT SELECT ON trips_rows, cities_rows, "
        "houses_rows TO reader"
    )
    settings = made.path / "feature_store.yaml"
    text = settings.read_text()
    offline = text[text.index("online_store:") :].replace("online", "offline")
    settings.write_text(text + offline.replace("user: postgres", "user: reader"))
    return made


def materialized(repo: Repo, zygote: Zygote) -> dict[str, SampledKeys]:
    applied = zygote.run(request("apply", repo.write(REPO).path))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    window = MaterializeRequest(
        all_views_start=NOW - timedelta(days=60), all_views_end=NOW, sampled_keys=200
    )
    report = zygote.run(request("materialize", repo.path, window))
    assert report.outcome is Outcome.SUCCEEDED, report.message
    return {view.name: view.keys for view in report.views if view.keys is not None}


def compared(repo: Repo, zygote: Zygote, keys: dict[str, SampledKeys]) -> dict[str, ProbeAnswer]:
    order = ProbeRequest(
        questions=tuple(QUESTIONS.values()), keys=keys, most=250, skew=ProbeSkew.AUTO
    )
    return dict(zip(QUESTIONS, ask(repo, zygote, order), strict=True))


def tables(repo: Repo) -> set[str]:
    with psycopg.connect(repo.stores.url) as connection:
        found = connection.execute("SELECT relname FROM pg_class WHERE relkind = 'r'")
        return {name for (name,) in found}


def test_what_was_written_is_what_training_gets(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    before = tables(repo)

    found = compared(repo, zygote, keys)

    skews = {name: skew_of(answer) for name, answer in found.items()}
    assert {name: answer.finding for name, answer in found.items()} == dict.fromkeys(
        QUESTIONS, Reason.SUCCEEDED
    ), skews
    assert {(each.differing, each.late) for each in skews.values()} == {(0, 0)}
    assert skews["of_trips"].compared == 40 * 6
    # Feast takes house 11 in street 1 for house 1 in street 11, and so on.
    assert (skews["of_houses"].compared, skews["of_trips"].why) == (140, "")
    alike = "4 rows: their keys of houses have the text of other keys"
    assert skews["of_houses"].why.startswith(alike)
    assert skews["computed"].compared == 40 * 2
    assert tables(repo) == before


@pytest.mark.parametrize("column", ["trips", "rate", "note", "active", "recent", "seen"])
def test_one_overwritten_value_is_seen(repo: Repo, zygote: Zygote, column: str) -> None:
    keys = materialized(repo, zygote)
    repo.stores.execute(OVERWRITE.format(feature=column))

    found = compared(repo, zygote, keys)["of_trips"]

    skew = skew_of(found)
    assert found.finding is Reason.SKEWED, skew
    assert (skew.differing, skew.worst and skew.worst.column) == (1, f"trips__{column}")


def test_a_row_that_comes_late_is_not_skew(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    repo.stores.execute(
        'INSERT INTO trips_rows (driver_id, "Count", note, at, made) VALUES '
        f"(7, 9999, 'late', '{NOW.isoformat()}'::timestamptz - interval '30 minutes', now())"
    )

    found = compared(repo, zygote, keys)

    trips = skew_of(found["of_trips"])
    assert found["of_trips"].finding is Reason.SUCCEEDED, trips
    assert (trips.differing, trips.late) == (0, 6)
    assert (skew_of(found["computed"]).differing, skew_of(found["computed"]).late) == (0, 2)


def test_an_error_of_the_database_shows_no_key(repo: Repo, zygote: Zygote) -> None:
    """The query has the keys, and pandas has the query in its errors."""
    keys = materialized(repo, zygote)
    first, *others = keys["trips"].keys
    mixed = first.model_copy(update={"values": (True,)})
    keys["trips"] = keys["trips"].model_copy(update={"keys": (mixed, *others)})

    why = skew_of(compared(repo, zygote, keys)["of_trips"]).why

    assert why.startswith("PostgresError: DatatypeMismatch (42804): VALUES types ")
    assert "SELECT" not in why


def test_a_refusal_of_the_database_is_said(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    repo.stores.execute("REVOKE SELECT ON trips_rows FROM reader")

    why = skew_of(compared(repo, zygote, keys)["of_trips"]).why

    says = "InsufficientPrivilege (42501): permission denied for table trips_rows"
    assert why == f"PostgresError: {says}"
