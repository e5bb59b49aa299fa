"""Values of the online store beside those that training gets from the source."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pandas as pd
import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo
from tests.contract.runner.test_probe import NAMES, QUESTIONS, ask, materialized

from feature_lineage.api.enums import ProbeSkew
from feature_lineage.operations.job_report import Outcome
from feature_lineage.operations.probe_answer import ProbeAnswer
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.sampled_keys import SampledKeys
from feature_lineage.operations.skew import SkewAnswer
from feature_lineage.reasons import Reason

OVERWRITE = """
UPDATE "ranking_trips" SET value = (
    SELECT value FROM "ranking_trips" WHERE feature_name = '{feature}'
    ORDER BY value DESC LIMIT 1
) WHERE feature_name = '{feature}' AND entity_key = (
    SELECT entity_key FROM "ranking_trips" WHERE feature_name = '{feature}'
    ORDER BY value LIMIT 1 OFFSET 15
)
"""
"""One driver has the value of another."""


def compared(
    repo: Repo,
    zygote: Zygote,
    keys: dict[str, SampledKeys],
    skew: ProbeSkew = ProbeSkew.AUTO,
    most: int = 100,
) -> dict[str, ProbeAnswer]:
    order = ProbeRequest(questions=QUESTIONS, keys=keys, most=most, skew=skew)
    return dict(zip(NAMES, ask(repo, zygote, order), strict=True))


def skew_of(answer: ProbeAnswer) -> SkewAnswer:
    assert answer.skew is not None
    return answer.skew


def worst(answer: ProbeAnswer) -> tuple[str, int]:
    found = skew_of(answer).worst
    assert found is not None
    return found.column, found.differing


def execute(repo: Repo, statement: str) -> None:
    """Change the online store by hand."""
    with closing(sqlite3.connect(repo.path / "data/online.db")) as database, database:
        database.execute(statement)


def add_rows(repo: Repo, name: str, **columns: object) -> None:
    path = repo.path / f"data/{name}.parquet"
    known = pd.read_parquet(path)
    pd.concat([known, pd.DataFrame(columns)]).to_parquet(path)


def test_what_was_written_is_what_training_gets(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)

    found = compared(repo, zygote, keys)

    assert {name: answer.finding for name, answer in found.items()} == dict.fromkeys(
        NAMES, Reason.SUCCEEDED
    ), found
    skews = {name: skew_of(answer) for name, answer in found.items()}
    assert {(each.differing, each.late, each.why) for each in skews.values()} == {(0, 0, "")}
    # Thirty drivers are not past the TTL.
    assert skews["list"].compared == 60
    assert skews["summed"].compared == 90
    assert skews["pair"].compared >= 60
    assert skews["mixed"].compared >= 90 + 12 * 2


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_one_overwritten_value_is_seen(build: Build, zygote: Zygote, kind: str) -> None:
    repo = build(kind)
    keys = materialized(repo, zygote)
    statement = OVERWRITE.format(feature="trips")
    if kind == "postgres":
        repo.stores.execute(statement)
    else:
        execute(repo, statement)

    found = compared(repo, zygote, keys)

    assert {name: answer.finding for name, answer in found.items()} == dict.fromkeys(
        NAMES, Reason.SKEWED
    ), found
    assert worst(found["list"]) == ("trips__trips", 1)
    assert worst(found["pair"])[0] == "origin__trips"
    # What an on-demand view computes of it differs, too.
    assert skew_of(found["summed"]).differing == 3


def test_one_of_five_keys_is_enough(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    kept = keys["trips"]
    few = kept.model_copy(update={"keys": kept.keys[:5]})
    execute(repo, "UPDATE ranking_trips SET value = x'20ffff03' WHERE feature_name = 'trips'")

    (answer,) = ask(
        repo,
        zygote,
        ProbeRequest(questions=QUESTIONS[3:], keys={"trips": few}, most=5, skew=ProbeSkew.AUTO),
    )

    assert answer.finding is Reason.SKEWED
    assert skew_of(answer).differing > 0


def test_rows_that_come_late_are_not_skew(repo: Repo, zygote: Zygote) -> None:
    """Training as of the watermark gets them, and the online store does not have them."""
    keys = materialized(repo, zygote)
    add_rows(
        repo,
        "trips",
        driver_id=[100, 101, 102],
        event_timestamp=[NOW - timedelta(minutes=minutes) for minutes in (30, 90, 30)],
        trips=[7, 8, 102 * 2],
        rate=[0.7, 0.8, 10.2],
        recent=[[7], [8], [102, 1]],
    )

    found = compared(repo, zygote, keys)

    assert found["list"].finding is Reason.SUCCEEDED, found["list"]
    late = skew_of(found["list"])
    assert (late.differing, late.late) == (0, 2)  # both features of driver 100
    assert skew_of(found["summed"]).late >= 3

    execute(repo, OVERWRITE.format(feature="trips"))
    assert compared(repo, zygote, keys)["list"].finding is Reason.SKEWED


def test_rows_that_are_gone_from_the_source_are_late(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    path = repo.path / "data/trips.parquet"
    rows = pd.read_parquet(path)
    rows[rows.driver_id > 104].to_parquet(path)

    found = compared(repo, zygote, keys)

    assert found["list"].finding is Reason.SUCCEEDED, found["list"]
    assert skew_of(found["list"]).late >= 5


def test_newer_rows_of_the_store_are_not_compared(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    # As a push does, whose rows the source of training has later.
    execute(repo, OVERWRITE.format(feature="trips"))
    execute(repo, f"UPDATE ranking_trips SET event_ts = {int(NOW.timestamp())}")

    found = compared(repo, zygote, keys)

    assert found["list"].finding is Reason.SUCCEEDED, found["list"]
    assert skew_of(found["list"]).compared == 0
    assert "no key has a row that the last materialization wrote" in skew_of(found["list"]).why


def test_a_result_of_chance_is_not_compared(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    repo.edit('known - df["x"]', 'known * __import__("random").getrandbits(40)')
    assert zygote.run(request("apply", repo.path)).outcome is Outcome.SUCCEEDED

    found = compared(repo, zygote, keys)

    assert found["summed"].finding is Reason.SUCCEEDED, found["summed"]
    assert skew_of(found["summed"]).compared >= 60


def test_a_source_that_is_not_read_is_said(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    (repo.path / "data/trips.parquet").unlink()

    found = compared(repo, zygote, keys)

    assert {(each.finding, skew_of(each).compared) for each in found.values()} == {
        (Reason.SUCCEEDED, 0)
    }
    assert "trips.parquet" in skew_of(found["pair"]).why
    assert skew_of(found["list"]).why == "the 2 comparisons before failed"


@pytest.mark.parametrize("mode", [ProbeSkew.AUTO, ProbeSkew.ALWAYS])
def test_large_files_are_read_only_with_always(repo: Repo, zygote: Zygote, mode: ProbeSkew) -> None:
    keys = materialized(repo, zygote)
    folder = repo.path / "data/trips.parquet"
    rows = pd.read_parquet(folder)
    folder.unlink()
    folder.mkdir()
    rows.to_parquet(folder / "rows.parquet")
    with (folder / "_large").open("wb") as file:  # readers of parquet leave it out
        file.truncate(101 * 1024 * 1024)

    skew = skew_of(compared(repo, zygote, keys, mode)["list"])

    if mode is ProbeSkew.AUTO:
        assert (skew.compared, "more than 100 MiB" in skew.why) == (0, True)
    else:
        assert (skew.compared, skew.why) == (60, "")


def test_no_source_is_read_if_none_is_to_be(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    execute(repo, OVERWRITE.format(feature="trips"))
    (repo.path / "data/trips.parquet").unlink()

    found = compared(repo, zygote, keys, ProbeSkew.OFF)

    assert {(answer.finding, answer.skew) for answer in found.values()} == {
        (Reason.SUCCEEDED, None)
    }
