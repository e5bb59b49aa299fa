"""Objects whose name no retrieval uses: another name affects no model."""

import os
from pathlib import Path
from typing import Any

import pytest
from feast import FeatureStore
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo
from tests.contract.runner.test_dry_retrieval import REPO as FLOAT64
from tests.contract.runner.test_dry_retrieval import served

from feature_lineage.operations.job_report import Outcome
from feature_lineage.operations.protocol import MaterializeRequest

REPO = FLOAT64.replace("Float64", "Float32")
"""As the types of the file are."""
PUSHED = REPO.replace("ValueType,\n)", "PushSource, ValueType,\n)").replace(
    "days=7), source=stats", 'days=7), source=PushSource(name="push", batch_source=stats)'
)
RENAMES = {
    "a source": (REPO, ('name="stats", path', 'name="trip_stats", path')),
    "a request source": (REPO, ('name="asked"', 'name="of_the_request"')),
    "an entity": (REPO, ('Entity(name="driver"', 'Entity(name="chauffeur"')),
    "the batch source of a push source": (PUSHED, ('name="stats", path', 'name="other", path')),
}
ANNOTATIONS = {
    "of a source": ('name="stats", path', 'name="stats", description="d", owner="o", path'),
    "of an entity": ('name="driver", ', 'name="driver", description="d", tags={"a": "b"}, '),
    "of a view": ("days=7),", 'days=7), description="d", owner="o", tags={"a": "b"},'),
    "of a feature": ('"conv_rate", dtype=Float32', '"conv_rate", dtype=Float32, description="d"'),
    "of a service": ('"ranking", f', '"ranking", description="d", tags={"a": "b"}, f'),
    "of a request source": ('"asked", s', '"asked", description="d", owner="o", s'),
}


def answer(repo: Repo) -> dict[str, list[Any]]:
    """What Feast serves for two drivers from the online store."""
    before = Path.cwd()
    os.chdir(repo.path)
    try:
        store = FeatureStore(".")
        rows = [{"driver_id": 1, "x": 5}, {"driver_id": 2, "x": 6}]
        service = store.get_feature_service("ranking")
        return dict(store.get_online_features(service, rows).to_dict())
    finally:
        os.chdir(before)


def change(repo: Repo, zygote: Zygote, text: str, old: str, new: str) -> tuple[Any, ...]:
    """What is served before and after, and the impacts of the change on a champion."""
    first = zygote.run(request("apply", repo.write(text).path))
    assert first.snapshot, first.message
    filled = zygote.run(request("materialize", repo.path, MaterializeRequest(all_views_end=NOW)))
    assert filled.outcome is Outcome.SUCCEEDED, filled.message
    before = answer(repo)
    assert before["plus"] == [15, 26]
    policy = served(first.snapshot)
    report = zygote.run(request("apply", repo.edit(old, new).path, policy))
    assert report.outcome is Outcome.SUCCEEDED, report.message
    assert report.plan
    assert report.plan.changes
    return before, answer(repo), report.plan.impacts


@pytest.mark.parametrize("name", RENAMES)
def test_another_name_affects_no_model(repo: Repo, zygote: Zygote, name: str) -> None:
    text, edit = RENAMES[name]
    before, after, impacts = change(repo, zygote, text, *edit)
    assert impacts == ()
    assert after == before


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_an_annotation_affects_no_model(repo: Repo, zygote: Zygote, name: str) -> None:
    before, after, impacts = change(repo, zygote, REPO, *ANNOTATIONS[name])
    assert impacts == ()
    assert after == before


def test_another_name_of_a_push_source_is_a_change(repo: Repo, zygote: Zygote) -> None:
    """Clients push rows by this name, so the model would get no new values."""
    _, _, impacts = change(repo, zygote, PUSHED, 'name="push"', 'name="pushed"')
    assert {str(problem.kind) for impact in impacts for problem in impact.problems} == {
        "SourceChanged"
    }


def test_another_file_behind_the_same_name_is_a_change(repo: Repo, zygote: Zygote) -> None:
    (repo.path / "data/other.parquet").write_bytes((repo.path / "data/stats.parquet").read_bytes())
    edit = ("data/stats.parquet", "data/other.parquet")
    _, _, impacts = change(repo, zygote, REPO, *edit)
    assert {problem.feature for impact in impacts for problem in impact.problems} == {
        "trips:trips",
        "sums:plus",
    }
