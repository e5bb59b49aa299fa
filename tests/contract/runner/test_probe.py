"""The probe asks the real online store with the keys that a materialization wrote."""

from datetime import timedelta

import pandas as pd
import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo

from feature_lineage.api.enums import ColumnNames
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.signatures import question_key
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.probe_answer import FeatureAnswer, ProbeAnswer, ProbeCause
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.protocol import MaterializeRequest
from feature_lineage.operations.sampled_keys import SampledKeys
from feature_lineage.operations.serving import Question
from feature_lineage.reasons import Reason

REPO = """
from datetime import timedelta

import pandas as pd
from feast import (
    Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Float64, Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
city = Entity(name="city", join_keys=["city"], value_type=ValueType.STRING)


def view(name, entities, days, **columns):
    source = FileSource(name=name, path=f"data/{name}.parquet", timestamp_field="event_timestamp")
    schema = [Field(name=column, dtype=dtype) for column, dtype in columns.items()]
    return FeatureView(
        name=name, entities=entities, ttl=timedelta(days=days), source=source, schema=schema
    )


trips = view("trips", [driver], 7, trips=Int64, rate=Float64, recent=Array(Int64))
places = view("places", [city, driver], 0, size=Int64, rate=Float64)
whole = view("whole", [], 0, total=Int64)
asked = RequestSource(name="asked", schema=[Field(name="x", dtype=Int64)])


@on_demand_feature_view(
    sources=[trips, asked],
    schema=[Field(name="plus", dtype=Int64), Field(name="less", dtype=Int64)],
)
def sums(df: pd.DataFrame) -> pd.DataFrame:
    known = df["trips"].fillna(0).astype("int64")
    return pd.DataFrame({"plus": known + df["x"], "less": known - df["x"]})


pair = FeatureService(name="pair", features=[
    trips[["trips"]].with_name("origin").with_join_key_map({"driver_id": "origin_id"}),
    trips[["rate"]].with_name("dest").with_join_key_map({"driver_id": "dest_id"}),
])
summed = FeatureService(name="summed", features=[trips[["trips"]], sums])
mixed = FeatureService(name="mixed", features=[trips, places, whole])
"""
DRIVERS = range(100, 140)
QUESTIONS = (
    Question("pair"),
    Question("mixed"),
    Question("summed"),
    Question("", ("trips:rate", "trips:trips")),
)
NAMES = ("pair", "mixed", "summed", "list")


def write_data(repo: Repo) -> None:
    """Forty drivers, of whom ten have no rate and ten rows are past the TTL."""
    times = [NOW - timedelta(hours=1 if driver < 130 else 24 * 30) for driver in DRIVERS]
    rows = pd.DataFrame({"driver_id": list(DRIVERS), "event_timestamp": times})
    rows["trips"] = rows.driver_id * 2
    rows["rate"] = [None if driver % 4 == 0 else driver / 10 for driver in DRIVERS]
    rows["recent"] = [[driver, 1] for driver in DRIVERS]
    rows.to_parquet(repo.path / "data/trips.parquet")
    rows["city"], rows["size"] = [f"city {driver % 3}" for driver in DRIVERS], 5
    rows.head(12).to_parquet(repo.path / "data/places.parquet")
    whole = pd.DataFrame({"event_timestamp": [NOW - timedelta(hours=1)], "total": [7]})
    whole.to_parquet(repo.path / "data/whole.parquet")


def materialized(repo: Repo, zygote: Zygote) -> dict[str, SampledKeys]:
    """Apply and materialize the repo; returns the reported keys."""
    write_data(repo)
    assert zygote.run(request("apply", repo.write(REPO).path)).outcome is Outcome.SUCCEEDED
    window = MaterializeRequest(
        all_views_start=NOW - timedelta(days=60), all_views_end=NOW, sampled_keys=100
    )
    report = zygote.run(request("materialize", repo.path, window))
    assert report.outcome is Outcome.SUCCEEDED, report.message
    return {view.name: view.keys for view in report.views if view.keys is not None}


def probe(
    repo: Repo, zygote: Zygote, keys: dict[str, SampledKeys], most: int = 100
) -> dict[str, ProbeAnswer]:
    answers = ask(repo, zygote, ProbeRequest(questions=QUESTIONS, keys=keys, most=most))
    return dict(zip(NAMES, answers, strict=True))


def ask(repo: Repo, zygote: Zygote, order: ProbeRequest) -> tuple[ProbeAnswer, ...]:
    report: JobReport = zygote.run(request("probe", repo.path, order))
    assert report.outcome is Outcome.SUCCEEDED, report.message
    return report.answers


def column(answer: ProbeAnswer, name: str) -> FeatureAnswer:
    return next(each for each in answer.features if each.column == name)


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_what_was_written_is_served(build: Build, zygote: Zygote, kind: str) -> None:
    repo = build(kind)
    keys = materialized(repo, zygote)
    assert {name: (each.columns, len(each.keys)) for name, each in keys.items()} == {
        "trips": (("driver_id",), 40),
        "places": (("city", "driver_id"), 12),
        "whole": (("__dummy_id",), 1),
    }

    found = probe(repo, zygote, keys)

    refs = tuple(map(FeatureRef.parse, QUESTIONS[3].refs))
    assert found["list"].question == question_key("", refs)
    assert {name: answer.finding for name, answer in found.items()} == dict.fromkeys(
        NAMES, Reason.SUCCEEDED
    ), found
    assert found["list"].keys == 30  # ten are past the TTL
    rate = column(found["list"], "trips__rate")
    assert (rate.keys, rate.missing, rate.nulls, rate.source_nulls) == (30, 0, 8, 8)
    renamed = column(found["pair"], "dest__rate")
    assert renamed.nulls == renamed.source_nulls != 0
    size = column(found["mixed"], "places__size")
    assert size.keys >= 12  # rows of other views may have such a key, too
    assert size.missing == 0
    assert (column(found["mixed"], "whole__total").keys, found["mixed"].known) == (
        found["mixed"].keys,
        found["mixed"].keys,
    )
    assert found["list"].newest_event == (NOW - timedelta(hours=1)).replace(microsecond=0)


def test_a_list_is_asked_for_what_it_names(repo: Repo, zygote: Zygote) -> None:
    """Its views have further features, one of them with the short name of a listed one."""
    keys = materialized(repo, zygote)
    question = Question("", ("trips:rate", "places:size", "sums:plus"), ColumnNames.SHORT)

    (answer,) = ask(repo, zygote, ProbeRequest(questions=(question,), keys=keys, most=100))

    assert answer.finding is Reason.SUCCEEDED, answer
    assert sorted(each.column for each in answer.features) == ["rate", "size"]


def test_rows_that_are_deleted_are_missed(build: Build, zygote: Zygote) -> None:
    repo = build("postgres")
    keys = materialized(repo, zygote)
    repo.stores.execute('DELETE FROM "ranking_trips" WHERE true')

    found = probe(repo, zygote, keys)

    assert {name: answer.finding for name, answer in found.items()} == dict.fromkeys(
        NAMES, Reason.NOT_SERVED
    )
    places = column(found["mixed"], "places__size")
    assert places.missing == 0


def test_a_store_that_is_not_reached_says_nothing(build: Build, zygote: Zygote) -> None:
    repo = build("postgres")
    keys = materialized(repo, zygote)
    moved = (repo.path / "feature_store.yaml").read_text()
    port = moved.partition("port: ")[2].partition(",")[0]
    online = moved.replace(f"port: {port}", "port: 1")
    (repo.path / "feature_store.yaml").write_text(online)

    found = probe(repo, zygote, keys)

    assert {answer.cause for answer in found.values()} == {ProbeCause.UNAVAILABLE}
    assert "OperationalError" in found["list"].error


def test_feast_refuses_a_disabled_view(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    repo.edit("name=name, entities", "enabled=name != 'places', name=name, entities")
    assert zygote.run(request("apply", repo.path)).outcome is Outcome.SUCCEEDED

    found = probe(repo, zygote, keys)

    assert (found["mixed"].cause, found["list"].cause) == (ProbeCause.SERVING, None)
    assert "is disabled" in found["mixed"].error


def test_a_feature_that_was_not_written_yet_is_not_missed(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    repo.edit("size=Int64", "size=Int64, trips=Int64")
    assert zygote.run(request("apply", repo.path)).outcome is Outcome.SUCCEEDED

    found = probe(repo, zygote, keys)

    assert found["mixed"].finding is Reason.SUCCEEDED, found["mixed"]
    assert "places__trips" not in {each.column for each in found["mixed"].features}


def test_a_function_that_fails_on_missing_rows_says_nothing(repo: Repo, zygote: Zygote) -> None:
    materialized(repo, zygote)
    repo.edit('df["trips"].fillna(0).astype', 'df["trips"].astype')
    applied = zygote.run(request("apply", repo.path))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message

    found = probe(repo, zygote, {})

    assert found["summed"].cause is ProbeCause.VALUES
    assert found["summed"].error == "TypeError in the on-demand function sums"
    assert found["list"].finding is Reason.NOT_PROBED


def test_few_keys_are_shared_by_the_views(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)

    found = probe(repo, zygote, keys, most=10)

    assert found["pair"].keys <= 10
    assert all(answer.finding is Reason.SUCCEEDED for answer in found.values())


def read_by_the_probe(repo: Repo, zygote: Zygote, most: int = 100) -> JobReport:
    """Ask without keys of materializations: somebody else materializes."""
    order = ProbeRequest(questions=QUESTIONS, sources=("trips", "places", "whole"), most=most)
    report: JobReport = zygote.run(request("probe", repo.path, order))
    assert report.outcome is Outcome.SUCCEEDED, report.message
    return report


def test_keys_of_the_source_where_others_materialize(build: Build, zygote: Zygote) -> None:
    """Each view has the keys, the missing values and the times that a materialization reports,
    without those past the TTL.
    """
    repo = build("postgres")
    written = materialized(repo, zygote)
    served = tuple(key for key in written["trips"].keys if key.at > NOW - timedelta(days=7))
    written["trips"] = written["trips"].model_copy(update={"keys": served})

    report = read_by_the_probe(repo, zygote)

    found = {each.view: each.keys for each in report.source_keys}
    assert found == written
    assert {each.finding for each in report.answers} == {Reason.SUCCEEDED}

    repo.stores.execute('DELETE FROM "ranking_trips" WHERE true')
    missed = dict(zip(NAMES, read_by_the_probe(repo, zygote).answers, strict=True))
    assert missed["list"].finding is Reason.NOT_SERVED


def test_rows_after_the_watermark_are_not_missed(repo: Repo, zygote: Zygote) -> None:
    materialized(repo, zygote)
    path = repo.path / "data/trips.parquet"
    rows = pd.read_parquet(path)
    late = rows.assign(driver_id=rows.driver_id + 1000, event_timestamp=NOW + timedelta(hours=1))
    pd.concat([rows, late]).to_parquet(path)

    report = read_by_the_probe(repo, zygote)

    (keys,) = (each.keys for each in report.source_keys if each.view == "trips")
    assert keys is not None
    assert {value for key in keys.keys for value in key.values} == set(range(100, 130))
    assert report.answers[0].finding is Reason.SUCCEEDED


def test_only_the_newest_rows_of_a_source_are_read(repo: Repo, zygote: Zygote) -> None:
    materialized(repo, zygote)
    report = read_by_the_probe(repo, zygote, most=5)
    (keys,) = (each.keys for each in report.source_keys if each.view == "trips")
    assert keys is not None
    assert len(keys.keys) == 5


def test_a_source_that_cannot_be_read_is_named(repo: Repo, zygote: Zygote) -> None:
    materialized(repo, zygote)
    (repo.path / "data/trips.parquet").unlink()

    found = {each.view: each for each in read_by_the_probe(repo, zygote).source_keys}

    assert "trips.parquet" in found["trips"].error
    assert found["trips"].keys is None
    assert found["places"].keys is not None


OF_POSTGRES = """
from datetime import timedelta

from feast import Entity, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
    PostgreSQLSource,
)
from feast.types import Float64, Int64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
trips = FeatureView(
    name="trips", entities=[driver], ttl=timedelta(days=7),
    source=PostgreSQLSource(
        name="rows", table="trip_rows", timestamp_field="at", field_mapping={"Count": "trips"}
    ),
    schema=[Field(name="trips", dtype=Int64), Field(name="rate", dtype=Float64)],
)
"""


def test_keys_of_a_table_in_postgresql(build: Build, zygote: Zygote) -> None:
    """The newest row of each key counts, under the names of the view."""
    repo = build("postgres")
    settings = repo.path / "feature_store.yaml"
    text = settings.read_text()
    offline = text[text.index("{type: postgres") :].split("}")[0].replace("sslmode: disable", "")
    settings.write_text(f"{text}offline_store: {offline}sslmode: disable}}\n")
    hour = "now() - make_interval(hours => 1 + n % 3)"
    repo.stores.execute(
        'CREATE TABLE trip_rows AS SELECT n % 40 AS driver_id, n AS "Count", '
        f"CASE WHEN n % 4 > 0 THEN n / 10.0::float8 END AS rate, {hour} AS at "
        "FROM generate_series(1, 200) AS n"
    )
    assert zygote.run(request("apply", repo.write(OF_POSTGRES).path)).outcome is Outcome.SUCCEEDED
    window = MaterializeRequest(
        all_views_start=NOW - timedelta(days=60), all_views_end=NOW, sampled_keys=100
    )
    materialized = zygote.run(request("materialize", repo.path, window))
    assert materialized.outcome is Outcome.SUCCEEDED, materialized.message

    question = Question("", ("trips:trips", "trips:rate"))
    order = ProbeRequest(questions=(question,), sources=("trips",), most=100)
    report = zygote.run(request("probe", repo.path, order))

    (read,), (view,) = report.source_keys, materialized.views
    assert read.error == ""
    assert read.keys == view.keys
    assert read.keys is not None
    assert len(read.keys.keys) == 40
    assert report.answers[0].finding is Reason.SUCCEEDED


def test_times_in_milliseconds_are_read(repo: Repo, zygote: Zygote) -> None:
    materialized(repo, zygote)
    path = repo.path / "data/trips.parquet"
    pd.read_parquet(path).astype({"event_timestamp": "datetime64[ms, UTC]"}).to_parquet(path)

    (read,) = (each for each in read_by_the_probe(repo, zygote).source_keys if each.view == "trips")

    assert read.error == ""
    assert read.keys is not None
    assert len(read.keys.keys) == 30


def test_rows_before_the_first_materialization_are_not_missed(repo: Repo, zygote: Zygote) -> None:
    """Another tool materialized the last two hours only."""
    write_data(repo)
    path = repo.path / "data/trips.parquet"
    rows = pd.read_parquet(path)
    rows.loc[rows.driver_id < 110, "event_timestamp"] = NOW - timedelta(days=2)
    rows.to_parquet(path)
    assert zygote.run(request("apply", repo.write(REPO).path)).outcome is Outcome.SUCCEEDED
    window = MaterializeRequest(all_views_start=NOW - timedelta(hours=2), all_views_end=NOW)
    assert zygote.run(request("materialize", repo.path, window)).outcome is Outcome.SUCCEEDED

    report = read_by_the_probe(repo, zygote)

    (keys,) = (each.keys for each in report.source_keys if each.view == "trips")
    assert keys is not None
    assert {value for key in keys.keys for value in key.values} == set(range(110, 130))
    answers = dict(zip(NAMES, report.answers, strict=True))
    assert answers["list"].finding is Reason.SUCCEEDED, answers["list"]
