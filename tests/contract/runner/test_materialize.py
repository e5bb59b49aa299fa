"""Materialization view by view: windows, rows, times, and failures of single views."""

from datetime import timedelta

import pandas as pd
import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Cli, Zygote, request
from tests.contract.runner.repos import NOW, Repo, frame
from tests.contract.runner.test_life_of_a_project import KINDS, views

from feature_lineage.operations.job_report import ExitCode, Outcome
from feature_lineage.operations.protocol import MaterializeRequest, ViewWindow

BAD = """
from feast import FeatureView, Field, FileSource
from feast.types import Int64

from features import driver

no_file = FeatureView(
    name="no_file", entities=[driver], schema=[Field(name="trips", dtype=Int64)],
    source=FileSource(name="lost", path="data/lost.parquet", timestamp_field="event_timestamp"),
)
no_column = FeatureView(
    name="no_column", entities=[driver], schema=[Field(name="absent", dtype=Int64)],
    source=FileSource(name="s2", path="data/stats.parquet", timestamp_field="event_timestamp"),
)
no_time = FeatureView(
    name="no_time", entities=[driver], schema=[Field(name="trips", dtype=Int64)],
    source=FileSource(name="s3", path="data/stats.parquet", timestamp_field="when"),
)
"""


ODD = """
from feast import FeatureView, Field, FileSource
from feast.types import Int64

from features import driver

def view(name):
    source = FileSource(name=name, path=f"data/{name}.parquet", timestamp_field="event_timestamp")
    return FeatureView(
        name=name, entities=[driver], schema=[Field(name="trips", dtype=Int64)], source=source
    )


dates = view("dates")
nulls = view("nulls")
"""


def test_odd_data_is_named_by_column_and_source(repo: Repo, zygote: Zygote) -> None:
    odd = frame()
    odd["event_timestamp"] = odd["event_timestamp"].dt.date
    (repo.path / "data").mkdir(exist_ok=True)
    odd.to_parquet(repo.path / "data" / "dates.parquet")
    odd = frame()
    odd["driver_id"] = odd["driver_id"].astype("Int64")
    odd.loc[odd.index[0], "driver_id"] = pd.NA
    odd.to_parquet(repo.path / "data" / "nulls.parquet")
    zygote.run(request("apply", repo.views(a="trips:Int64").write(ODD, "odd.py").path))

    window = MaterializeRequest(all_views_start=NOW - timedelta(days=9), all_views_end=NOW)
    found = views(zygote.run(request("materialize", repo.path, window)))

    assert found["dates"].error == (
        "timestamp column 'event_timestamp' of source 'data/dates.parquet' has dates without a "
        "time; store it as timestamps"
    )
    assert found["nulls"].error == (
        "a join key ('driver_id') of source 'data/nulls.parquet' is null in some row, which Feast "
        "cannot store; remove these rows from the source"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_one_view_after_another_each_on_its_own(kind: str, build: Build, zygote: Zygote) -> None:
    repo = build(kind).views(a="trips:Int64", z="conv_rate:Float32").write(BAD, "bad.py")
    applied = zygote.run(request("apply", repo.path))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    window = MaterializeRequest(
        views=(ViewWindow(name="nobody", end=NOW),),
        all_views_start=NOW - timedelta(days=2),
        all_views_end=NOW,
    )

    report = zygote.run(request("materialize", repo.path, window))

    assert (report.outcome, report.reason) == (Outcome.PARTIAL, "ViewsFailing")
    assert report.exit_code == ExitCode.TRANSIENT
    found = views(report)
    assert {name: view.result for name, view in found.items()} == {
        **dict.fromkeys(("a", "z"), "Succeeded"),
        **dict.fromkeys(("no_file", "no_column", "no_time", "nobody"), "Failed"),
    }
    assert found["no_file"].error == "the source file data/lost.parquet does not exist"
    assert "absent" in found["no_column"].error
    assert "data/stats.parquet" in found["no_column"].error
    assert "when" in found["no_time"].error
    assert found["nobody"].error == (
        "there is no feature view 'nobody' in the registry; "
        "there are: a, no_column, no_file, no_time, z"
    )
    assert (found["a"].rows, found["a"].start) == (3, NOW - timedelta(days=2))
    assert found["a"].materialized_until == NOW
    assert found["a"].newest_event_time == NOW - timedelta(hours=1)
    assert found["no_file"].materialized_until is None
    assert report.snapshot == applied.snapshot


def test_windows(repo: Repo, zygote: Zygote) -> None:
    zygote.run(request("apply", repo.views(a="trips:Int64").path))

    def run(**window: object) -> tuple[object, ...]:
        asked = MaterializeRequest(views=(ViewWindow(name="a", **window),))  # type: ignore[arg-type]
        report = zygote.run(request("materialize", repo.path, asked))
        assert report.outcome is Outcome.SUCCEEDED, report.message
        view = report.views[0]
        return view.start, view.end, view.rows, view.materialized_until

    half = NOW - timedelta(hours=1, minutes=30)
    assert run(start=NOW - timedelta(hours=4), end=half) == (
        NOW - timedelta(hours=4), half, 2, half,
    )  # fmt: skip
    assert run(end=NOW) == (half, NOW, 1, NOW), "incremental: from where it stopped"
    assert run(end=NOW) == (NOW, NOW, 0, NOW), "nothing new"
    later = NOW + timedelta(minutes=1)
    assert run(end=later) == (NOW, later, 0, later), "an empty window succeeds with no rows"


def test_all_failed_and_no_registry(repo: Repo, zygote: Zygote) -> None:
    repo.views(a="trips:Int64")
    asked = MaterializeRequest(all_views_end=NOW)
    nothing = zygote.run(request("materialize", repo.path, asked))
    assert (nothing.outcome, nothing.reason) == (Outcome.FAILED, "RegistryUnreadable")
    assert not (repo.stores.folder / "registry.db").exists()

    zygote.run(request("apply", repo.path))
    (repo.path / "data/stats.parquet").unlink()
    failed = zygote.run(request("materialize", repo.path, asked))
    assert (failed.outcome, failed.reason) == (Outcome.FAILED, "ViewsFailing")
    assert (
        failed.message
        == "1 of 1 views failed; a: the source file data/stats.parquet does not exist"
    )

    frame().iloc[:0].to_parquet(repo.path / "data/stats.parquet")
    empty = zygote.run(request("materialize", repo.path, asked))
    assert (empty.outcome, empty.views[0].rows) == (Outcome.SUCCEEDED, 0)


def test_repo_code_is_not_imported(repo: Repo, zygote: Zygote) -> None:
    zygote.run(request("apply", repo.views(a="trips:Int64").path))
    repo.write("raise SystemExit('imported')", "features.py")

    report = zygote.run(request("materialize", repo.path, MaterializeRequest(all_views_end=NOW)))

    assert report.outcome is Outcome.SUCCEEDED, report.message


def test_intervals_of_another_process_are_not_lost(repo: Repo, zygote: Zygote) -> None:
    """Feast writes a file registry from its cache; here each write reads the file again."""
    zygote.run(request("apply", repo.views(a="trips:Int64", b="trips:Int64").path))
    frame().to_parquet(repo.path / "data/stats.parquet")
    second = Zygote()
    try:
        for round_ in range(1, 4):
            end = NOW + timedelta(minutes=round_)
            jobs = [
                (process, request("materialize", repo.path, MaterializeRequest(
                    views=(ViewWindow(name=name, start=NOW, end=end),))))
                for process, name in ((zygote, "a"), (second, "b"))
            ]  # fmt: skip
            for process, job in jobs:
                process.post(job)
            for process, _ in jobs:
                answer = process.receive()
                assert answer["report"]["outcome"] == "Succeeded", answer
            seen = views(zygote.run(request("observe", repo.path)))
            assert {view.materialized_until for view in seen.values()} == {end}
    finally:
        second.stop()


def wide(rows: int, columns: int = 10) -> pd.DataFrame:
    """One row for each of many drivers."""
    features = {f"f{n}": pd.Series(range(rows), dtype="float64") for n in range(columns)}
    ids = {"driver_id": range(rows), "event_timestamp": NOW - timedelta(hours=1), "created": NOW}
    return pd.DataFrame({**ids, **features})


def test_memory_is_bounded_by_batches(repo: Repo, zygote: Zygote, cli: Cli) -> None:
    rows = 50_000
    repo.views(a=" ".join(f"f{n}:Float64" for n in range(10)))
    wide(rows).to_parquet(repo.path / "data/stats.parquet")
    zygote.run(request("apply", repo.path))
    asked = MaterializeRequest(
        views=(ViewWindow(name="a", start=NOW - timedelta(days=1), end=NOW),)
    )

    batched = cli.run(request("materialize", repo.path, asked)).report
    with (repo.path / "feature_store.yaml").open("a") as file:
        file.write(f"materialization: {{online_write_batch_size: {rows}}}\n")
    whole = cli.run(request("materialize", repo.path, asked)).report

    assert (batched.views[0].rows, whole.views[0].rows) == (rows, rows), batched.message
    assert (batched.views[0].batch_rows, whole.views[0].batch_rows) == (10_000, rows)
    assert batched.write_batches.startswith("online_write_batch_size is 10000 rows, for a memory")
    assert batched.write_batches.endswith(" MiB and views of up to 10 features (a)")
    assert whole.write_batches == (
        f"online_write_batch_size is {rows} rows, as feature_store.yaml says"
    )
    assert batched.peak_memory_bytes is not None
    assert whole.peak_memory_bytes is not None
    saved = whole.peak_memory_bytes - batched.peak_memory_bytes
    assert saved > 150 * 1024**2, "40,000 rows of 10 values that are not in memory at once"


FUTURE = """
import sys
from datetime import datetime
from feast import FeatureStore
FeatureStore(sys.argv[1]).materialize_incremental(datetime.fromisoformat(sys.argv[2]))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_watermark_in_the_future_is_started_from_again(
    kind: str, build: Build, zygote: Zygote
) -> None:
    """As after `feast materialize-incremental 2030-01-01T00:00:00`."""
    repo = build(kind).views(a="trips:Int64")
    zygote.run(request("apply", repo.path))
    end = NOW + timedelta(days=1000)
    zygote.script(FUTURE, str(repo.path), end.isoformat(), folder=repo.path)
    seen = views(zygote.run(request("observe", repo.path)))["a"]
    assert (seen.materialized_until, seen.future_until) == (None, end)
    late = frame().assign(driver_id=[7, 8, 9])
    pd.concat([frame(), late]).to_parquet(repo.path / "data/stats.parquet")

    asked = MaterializeRequest(views=(ViewWindow(name="a", end=NOW),))
    done = views(zygote.run(request("materialize", repo.path, asked)))["a"]

    assert (done.result, done.rows) == ("Succeeded", 6), "the new rows are served, too"
    assert (done.materialized_until, done.future_until) == (NOW, end)
    again = views(zygote.run(request("materialize", repo.path, asked)))["a"]
    assert again.start == NOW, "the next one goes on from here"


STORED = """
from feast.on_demand_feature_view import on_demand_feature_view

from features import Field, Float64, a, driver

@on_demand_feature_view(
    sources=[a], entities=[driver], schema=[Field(name="twice", dtype=Float64)],
    write_to_online_store=True,
)
def doubled(df):
    df["twice"] = df["trips"] * 2.0
    return df[["twice"]]
"""


def test_feast_records_no_window_of_a_stored_on_demand_view(repo: Repo, zygote: Zygote) -> None:
    repo.views(a="trips:Int64").write(STORED, "stored.py")
    applied = zygote.run(request("apply", repo.path))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message

    done = zygote.run(request("materialize", repo.path, MaterializeRequest(all_views_end=NOW)))

    assert done.outcome is Outcome.SUCCEEDED, done.message
    found = views(done)
    assert (found["doubled"].result, found["doubled"].rows) == ("Succeeded", 3)
    assert (found["doubled"].end, found["doubled"].materialized_until) == (NOW, None)
    assert found["a"].materialized_until == NOW


NEVER_STORED = """
from datetime import timedelta

from feast import FeatureView, FileSource, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view

from features import Field, Float64, Int64, a, driver

other = FeatureView(
    name="other", entities=[driver], schema=[Field(name="n", dtype=Int64)],
    source=FileSource(name="other", path="data/other.parquet", timestamp_field="at"),
    ttl=timedelta(days=365), online=False,
)

@on_demand_feature_view(
    sources=[a], schema=[Field(name="twice", dtype=Float64)], write_to_online_store=True,
)
def keyless(df):
    df["twice"] = df["trips"] * 2.0
    return df[["twice"]]

@on_demand_feature_view(
    sources=[RequestSource(name="now", schema=[Field(name="x", dtype=Int64)])],
    schema=[Field(name="same", dtype=Int64)], write_to_online_store=True,
)
def of_requests(df):
    df["same"] = df["x"]
    return df[["same"]]

@on_demand_feature_view(
    sources=[a, other], entities=[driver], schema=[Field(name="sum", dtype=Float64)],
    write_to_online_store=True,
)
def two_clocks(df):
    df["sum"] = df["trips"] + df["n"] * 1.0
    return df[["sum"]]
"""


def test_a_stored_view_that_feast_does_not_write_fails(repo: Repo, zygote: Zygote) -> None:
    """Feast prints that it skips such a view, and returns as if the view had no rows."""
    repo.views(a="trips:Int64").write(NEVER_STORED, "stored.py")
    renamed = frame().rename(columns={"event_timestamp": "at"}).assign(n=1)
    renamed.to_parquet(repo.path / "data" / "other.parquet")
    applied = zygote.run(request("apply", repo.path))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message

    done = zygote.run(request("materialize", repo.path, MaterializeRequest(all_views_end=NOW)))

    found = views(done)
    assert (done.outcome, found["a"].result) == (Outcome.PARTIAL, "Succeeded")
    assert found["keyless"].error == (
        "Feast has no key for a row of this on-demand view, or a key without a value; write "
        "entities=[…] in the view, with the entities of its sources"
    )
    assert found["of_requests"].error == (
        "Feast does not materialize this view: No source feature views found"
    )
    assert found["two_clocks"].error.startswith(
        "Feast does not materialize this view: Found multiple timestamp columns in sources ("
    )
    assert (found["two_clocks"].result, found["two_clocks"].written_to) == ("Failed", "")
