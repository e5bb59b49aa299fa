"""The probe asks a real feature server what Feast in the job has answered."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo
from tests.contract.runner.stores import on_disk
from tests.contract.runner.test_probe import DRIVERS, NAMES, QUESTIONS, ask, materialized
from tests.servers.feature_server import start_feature_server
from tests.servers.mlflow import free_port

from feature_lineage.api.enums import ColumnNames
from feature_lineage.operations.feature_server import ServerAnswer, ServerCause
from feature_lineage.operations.job_report import Outcome
from feature_lineage.operations.probe_answer import ProbeAnswer
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.protocol import MaterializeRequest
from feature_lineage.operations.sampled_keys import SampledKeys
from feature_lineage.operations.serving import Question
from feature_lineage.reasons import Reason


def asked(
    repo: Repo, zygote: Zygote, keys: dict[str, SampledKeys], url: str
) -> dict[str, ProbeAnswer]:
    order = ProbeRequest(questions=QUESTIONS, keys=keys, most=100, server=url)
    return dict(zip(NAMES, ask(repo, zygote, order), strict=True))


def server_of(answer: ProbeAnswer) -> ServerAnswer:
    assert answer.server is not None, answer
    return answer.server


def findings(found: dict[str, ProbeAnswer]) -> dict[str, Reason]:
    return {name: answer.finding for name, answer in found.items()}


def test_a_right_server_answers_the_same(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    with start_feature_server(repo.path) as url:
        found = asked(repo, zygote, keys, url)

    assert findings(found) == dict.fromkeys(NAMES, Reason.SUCCEEDED), found
    servers = {name: server_of(answer) for name, answer in found.items()}
    assert {each.error for each in servers.values()} == {""}
    assert {each.healthy for each in servers.values()} == {True}
    assert {each.version for each in servers.values()} == {
        "not named; the API is that of Feast 0.67.0"
    }
    assert servers["list"].compared == 2 * found["list"].keys
    assert servers["summed"].compared == 3 * found["summed"].keys


def test_a_server_with_an_old_registry_is_seen(build: Build, zygote: Zygote) -> None:
    """It read the registry before an apply, and does not read it again for ten minutes.

    A registry of one file is read again when the file changes.
    """
    repo = build("sqlite")
    keys = materialized(repo, zygote)
    with start_feature_server(repo.path) as url:
        repo.edit("trips=Int64, rate", "trips=Int64, more=Int64, rate")
        repo.edit("[trips, places, whole])", "[trips, places])")
        repo.edit('known + df["x"]', 'known + df["x"] + 1')
        applied = zygote.run(request("apply", repo.path))
        assert applied.outcome is Outcome.SUCCEEDED, applied.message
        added = Question("", ("trips:more",), ColumnNames.FULL)
        order = ProbeRequest(
            questions=(Question("mixed"), added, Question("summed")), keys=keys, server=url
        )
        mixed, more, summed = ask(repo, zygote, order)

    assert (mixed.finding, more.finding) == (Reason.SERVER_DIFFERS, Reason.SERVING_FAILS)
    assert server_of(mixed).lacks == "trips__more"
    assert server_of(mixed).adds == "whole__total"
    assert server_of(more).cause is ServerCause.REFUSED
    assert "more not found in projection trips" in server_of(more).error
    assert server_of(more).stale
    assert summed.finding is Reason.SERVER_DIFFERS
    plus = server_of(summed).worst
    assert plus is not None
    assert (plus.column, plus.ratio) == ("sums__plus", 1)


def test_a_service_that_the_server_does_not_know(build: Build, zygote: Zygote) -> None:
    repo = build("sqlite")
    keys = materialized(repo, zygote)
    with start_feature_server(repo.path) as url:
        repo.edit('name="summed"', 'name="renamed"')
        assert zygote.run(request("apply", repo.path)).outcome is Outcome.SUCCEEDED
        order = ProbeRequest(questions=(Question("renamed"),), keys=keys, server=url)
        (answer,) = ask(repo, zygote, order)

    server = server_of(answer)
    assert (answer.finding, server.stale) == (Reason.SERVING_FAILS, True)
    assert server.error.startswith("404 FeatureServiceNotFoundException: Feature service renamed")


@pytest.fixture
def other(tmp_path: Path) -> Repo:
    """A repo with stores of its own."""
    path = tmp_path / "other"
    return Repo(path, on_disk("file", path))


def test_a_server_of_another_online_store_is_seen(repo: Repo, other: Repo, zygote: Zygote) -> None:
    """One value is another there, and rows of some drivers were never written."""
    keys = materialized(repo, zygote)
    materialized(other, zygote)
    path = other.path / "data/trips.parquet"
    rows = pd.read_parquet(path)
    rows.loc[rows.driver_id == DRIVERS[3], "trips"] = 1
    rows["event_timestamp"] += timedelta(seconds=1)
    rows.to_parquet(path)
    window = MaterializeRequest(all_views_start=NOW - timedelta(days=60), all_views_end=NOW)
    assert zygote.run(request("materialize", other.path, window)).outcome is Outcome.SUCCEEDED
    with start_feature_server(other.path) as url:
        found = asked(repo, zygote, keys, url)

    server = server_of(found["list"])
    assert found["list"].finding is Reason.SERVER_DIFFERS
    assert (server.differing, server.absent) == (1, 0)
    assert server.worst is not None
    assert (server.worst.column, server.worst.differing) == ("trips__trips", 1)
    assert found["summed"].finding is Reason.SERVER_DIFFERS  # what is computed from the value


def test_an_empty_store_behind_the_server_is_seen(repo: Repo, other: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    applied = zygote.run(
        request("apply", other.write((repo.path / "features.py").read_text()).path)
    )
    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    with start_feature_server(other.path) as url:
        found = asked(repo, zygote, keys, url)

    server = server_of(found["list"])
    assert found["list"].finding is Reason.SERVER_DIFFERS
    assert server.absent == server.differing > 0


def test_a_server_that_is_down_says_nothing_of_the_model(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)

    found = asked(repo, zygote, keys, f"http://127.0.0.1:{free_port()}")

    assert findings(found) == dict.fromkeys(NAMES, Reason.PROBE_UNAVAILABLE)
    assert {answer.cause for answer in found.values()} == {None}  # the store was asked
    assert "ConnectionRefusedError" in server_of(found["list"]).error


def test_without_an_address_no_server_is_asked(repo: Repo, zygote: Zygote) -> None:
    keys = materialized(repo, zygote)
    found = asked(repo, zygote, keys, "")
    assert {answer.server for answer in found.values()} == {None}
