"""The guard asks Feast: a change after which Feast does not serve a champion is blocked."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import Repo
from tests.contract.runner.routes import CHANGES, PAIRS, PAIRS_SWAPPED, ROUTES

from feature_lineage.api.enums import ColumnNames
from feature_lineage.features.definitions import define_all
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import service_refs
from feature_lineage.features.signatures import question_key, signature_of
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.problems import ProblemKind
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.protection import Guard, GuardedModel
from feature_lineage.operations.protocol import ApplyRequest, ObserveRequest
from feature_lineage.operations.serving import Cause, Question
from feature_lineage.runner.dry_retrieval import _key_of, cause_of, within
from feature_lineage.runner.errors import error_line

REPO = """
from datetime import timedelta

import pandas as pd
from feast import (
    Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
stats = FileSource(
    name="stats", path="data/stats.parquet", timestamp_field="event_timestamp",
    created_timestamp_column="created",
)
trips = FeatureView(
    name="trips", entities=[driver], ttl=timedelta(days=7), source=stats,
    schema=[Field(name="trips", dtype=Int64), Field(name="conv_rate", dtype=Float64)],
)
asked = RequestSource(name="asked", schema=[Field(name="x", dtype=Int64)])


@on_demand_feature_view(sources=[trips, asked], schema=[Field(name="plus", dtype=Int64)])
def sums(df: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame()
    out["plus"] = df["trips"] + df["x"]
    return out


ranking = FeatureService(name="ranking", features=[trips[["trips"]], sums])
"""
INLINE = 'entities=[Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)]'
ENTITY = 'driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)\n'
FUNCTION = 'out["plus"] = df["trips"] + df["x"]'


PANDAS = REPO[REPO.index("@on_demand") : REPO.index("ranking =")]
PYTHON = """@on_demand_feature_view(
    sources=[trips, asked], schema=[Field(name="plus", dtype=Int64)], mode="python"
)
def sums(rows):
    return {"plus": [(a or 0) + b for a, b in zip(rows["trips"], rows["x"])]}


"""
NO_COLUMN = "the answer with full_feature_names=True has no column sums__plus"


def served(
    snapshot: RegistrySnapshot,
    service: str = "ranking",
    names: ColumnNames = ColumnNames.UNKNOWN,
) -> ApplyRequest:
    """A guard with one champion that is served through the service."""
    refs = tuple(map(FeatureRef.parse, ("trips:trips", "sums:plus")))
    features = define_all(snapshot, refs, service)
    signature = signature_of(snapshot, service, refs)
    model = GuardedModel(
        "driver_model", "3", ("champion",), service, features, refs, signature, names
    )
    return ApplyRequest(guard=Guard(datetime.now(UTC), (model,)))


def change(repo: Repo, zygote: Zygote, *edits: tuple[str, str]) -> JobReport:
    """Apply the repo, change it, and apply again with a champion on what was applied."""
    first = zygote.run(request("apply", repo.write(REPO).path))
    assert first.snapshot, first.message
    for old, new in edits:
        repo.edit(old, new)
    return zygote.run(request("apply", repo.path, served(first.snapshot)))


@pytest.mark.parametrize("kind", ["file", "sqlite", "postgres"])
def test_an_entity_that_is_not_applied_blocks(build: Build, zygote: Zygote, kind: str) -> None:
    repo = build(kind)
    first = zygote.run(request("apply", repo.write(REPO).path))
    assert first.snapshot, first.message
    before = repo.stores.registry_state()

    repo.edit("entities=[driver]", INLINE).edit(ENTITY, "")
    report = zygote.run(request("apply", repo.path, served(first.snapshot)))

    assert report.outcome is Outcome.BLOCKED
    assert "EntityNotFoundException: Entity driver does not exist" in report.message
    assert repo.stores.registry_state() == before


def test_a_first_apply_without_the_entity_is_refused(repo: Repo, zygote: Zygote) -> None:
    repo.write(REPO).edit("entities=[driver]", INLINE).edit(ENTITY, "")
    report = zygote.run(request("apply", repo.path))

    assert (report.outcome, report.reason) == (Outcome.FAILED, "InvalidRepo")
    assert "feature view 'trips' uses entity 'driver'" in report.message


NOT_GLOBAL = "out['plus'] = Int64 and df['trips'] + df['x']"
"""Feast stores the function without the imports of its module."""


def test_a_disabled_view_blocks_in_the_words_of_feast(repo: Repo, zygote: Zygote) -> None:
    report = change(repo, zygote, ("days=7),", "days=7), enabled=False,"))

    assert report.outcome is Outcome.BLOCKED, report.warnings
    assert "ValueError: Feature view 'trips' is disabled" in report.message


def test_an_unknown_name_in_a_stored_function_blocks(repo: Repo, zygote: Zygote) -> None:
    report = change(repo, zygote, (FUNCTION, NOT_GLOBAL))

    assert report.outcome is Outcome.BLOCKED, report.warnings
    assert "name 'Int64' is not defined" in report.message


def test_two_columns_of_one_short_name_block(repo: Repo, zygote: Zygote) -> None:
    view = (
        'again = FeatureView(name="again", entities=[driver], source=stats,\n'
        '    schema=[Field(name="trips", dtype=Int64)])\nranking = '
    )
    report = change(repo, zygote, ("ranking = ", view), ("sums])", "sums, again])"))

    assert report.outcome is Outcome.BLOCKED
    assert "two columns of ranking have the short name trips" in report.message


def test_what_fails_before_and_after_blocks_nothing(repo: Repo, zygote: Zygote) -> None:
    repo.write(REPO.replace(FUNCTION, NOT_GLOBAL))
    first = zygote.run(request("apply", repo.path))
    assert first.snapshot, first.message

    repo.edit("timedelta(days=7)", "timedelta(days=8)")
    report = zygote.run(request("apply", repo.path, served(first.snapshot)))

    assert report.outcome is Outcome.SUCCEEDED, report.message
    assert [text for text in report.warnings if "does not serve it now either" in text]


def test_observe_says_what_feast_refuses(repo: Repo, zygote: Zygote) -> None:
    zygote.run(request("apply", repo.write(REPO).path))
    service = Question("ranking")
    listed = Question("", ("trips:trips", "sums:plus"))
    asked = ObserveRequest(questions=(service, listed))

    served = zygote.run(request("observe", repo.path, asked))
    assert served.snapshot
    assert served.snapshot.answers == {}
    assert served.snapshot.digest == served.snapshot.objects_digest

    repo.edit(FUNCTION, NOT_GLOBAL)
    zygote.run(request("apply", repo.path))
    refused = zygote.run(request("observe", repo.path, asked))
    assert refused.snapshot
    assert refused.snapshot.answers == {
        question_key(q.service, map(FeatureRef.parse, q.refs)): (
            "NameError: name 'Int64' is not defined"
        )
        for q in (service, listed)
    }
    assert zygote.run(request("observe", repo.path)).snapshot == replace(
        refused.snapshot, answers=None
    )


TWO = PANDAS.replace(
    '"plus", dtype=Int64)', '"plus", dtype=Int64), Field(name="less", dtype=Int64)'
)
TWO = TWO.replace("    return out", '    out["less"] = df["trips"] - df["x"]\n    return out')
LIST = ("trips:trips", "sums:plus")


@pytest.mark.parametrize("names", list(ColumnNames))
def test_a_list_needs_only_the_outputs_that_it_names(
    repo: Repo, zygote: Zygote, names: ColumnNames
) -> None:
    """Also if the on-demand view gets a further output."""
    first = zygote.run(request("apply", repo.write(REPO).path))
    assert first.snapshot, first.message
    refs = tuple(map(FeatureRef.parse, LIST))
    features = define_all(first.snapshot, refs, "")
    model = GuardedModel("m", "1", ("champion",), "", features, refs, names=names)
    guard = ApplyRequest(guard=Guard(datetime.now(UTC), (model,)))

    repo.edit(PANDAS, TWO)
    applied = zygote.run(request("apply", repo.path, guard))
    assert (applied.outcome, applied.warnings) == (Outcome.SUCCEEDED, ()), applied.message

    asked = ObserveRequest(questions=(Question("", LIST, names),))
    observed = zygote.run(request("observe", repo.path, asked))
    assert observed.snapshot, observed.message
    assert observed.snapshot.answers == {}


@pytest.mark.parametrize("names", list(ColumnNames))
def test_columns_that_feast_leaves_out_are_not_served(
    repo: Repo, zygote: Zygote, names: ColumnNames
) -> None:
    """A mode of a view for which Feast answers with short names only."""
    first = zygote.run(request("apply", repo.write(REPO).path))
    assert first.snapshot, first.message
    repo.edit(PANDAS, PYTHON)

    planned = zygote.run(request("plan", repo.path, served(first.snapshot, names=names)))
    assert planned.plan, planned.message
    (impact,) = planned.plan.impacts
    lost = [p.now for p in impact.problems if p.kind is ProblemKind.SERVING_FAILS]
    assert lost == ([NO_COLUMN] if names is ColumnNames.FULL else [])

    zygote.run(request("apply", repo.path))
    asked = ObserveRequest(questions=(Question("ranking", names=names),))
    seen = zygote.run(request("observe", repo.path, asked))
    assert seen.snapshot
    key = question_key("ranking", (), ColumnNames.FULL)
    assert seen.snapshot.answers == ({key: NO_COLUMN} if names is ColumnNames.FULL else {})


def test_a_project_with_views_of_every_kind_is_asked(repo: Repo, zygote: Zygote) -> None:
    """A view of labels has no life-cycle state."""
    first = zygote.run(request("apply", repo.rich().path))
    assert first.snapshot, first.message
    refs = (FeatureRef.parse("driver_stats:trips"),)
    features = define_all(first.snapshot, refs, "")
    model = GuardedModel("driver_model", "3", ("champion",), "", features, refs)
    guard = ApplyRequest(guard=Guard(datetime.now(UTC), (model,)))
    repo.edit("FACTOR = 3", "FACTOR = 4", "helpers.py")
    repo.edit('name="x", dtype=Int64', 'name="y", dtype=Int64').edit('df["x"]', 'df["y"]')

    applied = zygote.run(request("apply", repo.path, guard))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    asked = ObserveRequest(questions=(Question("", ("driver_stats:trips",)),))
    observed = zygote.run(request("observe", repo.path, asked))
    assert observed.snapshot, observed.message
    assert (observed.snapshot.answers, observed.warnings) == ({}, ())


def test_a_function_that_does_not_end_is_no_refusal() -> None:
    def function() -> None:
        while True:
            try:
                time.sleep(1)
            except Exception:  # noqa: BLE001  as code of a repo may do
                continue

    with pytest.raises(BaseException, match="no answer within 0 s") as raised, within(0.01):
        function()

    assert cause_of(raised.value) is Cause.VALUES


def test_an_error_that_cannot_be_read_is_an_answer() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert error_line(Silent()) == "Silent"
    assert _key_of(KeyError(["x"])) is None


MORE_SERVICES = """
city = Entity(name="city", join_keys=["city_id"], value_type=ValueType.INT64)
cities = FeatureView(
    name="cities", entities=[driver, city], source=stats,
    schema=[Field(name="trips", dtype=Int64), Field(name="conv_rate", dtype=Float64)],
)
everywhere = FeatureView(name="everywhere", source=stats, schema=[Field(name="trips", dtype=Int64)])
routes = FeatureService(
    name="routes",
    features=[
        sums,
        trips[["conv_rate", "trips"]].with_name("origin").with_join_key_map({"driver_id": "a"}),
        trips[["trips"]].with_name("dest").with_join_key_map({"driver_id": "b"}),
        cities,
        everywhere,
    ],
)
plain = FeatureService(name="plain", features=[everywhere])
"""


def test_a_signature_is_what_feast_asks_and_answers(repo: Repo, zygote: Zygote) -> None:
    report = zygote.run(request("apply", repo.write(REPO + MORE_SERVICES).path))
    assert report.snapshot, report.message
    script = Path(__file__).with_name("feast_signatures.py").read_text()
    printed = zygote.script(script, str(repo.path), folder=repo.path)
    by_feast = json.loads(printed.splitlines()[-1])
    assert by_feast.keys() == {"ranking", "routes", "plain"}

    for service, asked in by_feast.items():
        signature = signature_of(report.snapshot, service, ())
        assert signature is not None
        # Feast keeps the features of one view in a set: only the order of the views is fixed.
        views = [name.partition("__")[0] for name in asked["columns"]]
        assert list(dict.fromkeys(views)) == [p.name for p in signature.projections]
        assert {**asked, "columns": sorted(asked["columns"])} == {
            "keys": dict(signature.keys),
            "request": dict(signature.request),
            "columns": sorted(f"{p.name}__{feature}" for p, feature in signature.columns),
        }


MATERIALIZING = """
import sys
from pathlib import Path
from feast.protos.feast.core.Registry_pb2 import Registry
path, registry = Path(sys.argv[1]), Registry()
registry.ParseFromString(path.read_bytes())
for view in registry.feature_views:
    view.meta.state = 3  # MATERIALIZING
path.write_bytes(registry.SerializeToString())
"""


def test_a_view_that_is_being_materialized_blocks_nothing(repo: Repo, zygote: Zygote) -> None:
    first = zygote.run(request("apply", repo.write(REPO).path))
    assert first.snapshot, first.message
    registry = repo.stores.folder / "registry.db"
    zygote.script(MATERIALIZING, str(registry), folder=repo.path)

    repo.edit("timedelta(days=7)", "timedelta(days=8)")
    report = zygote.run(request("apply", repo.path, served(first.snapshot)))

    assert report.outcome is Outcome.SUCCEEDED, report.message
    assert report.warnings == ()


def champion_of(snapshot: RegistrySnapshot, service: str) -> ApplyRequest:
    """A guard with one champion that uses all features of the service."""
    refs = service_refs(snapshot, service) or ()
    features = define_all(snapshot, refs, service)
    signature = signature_of(snapshot, service, refs)
    model = GuardedModel("m", "1", ("champion",), service, features, refs, signature)
    return ApplyRequest(guard=Guard(datetime.now(UTC), (model,)))


def test_swapped_keys_within_an_on_demand_view_are_named(repo: Repo, zygote: Zygote) -> None:
    first = zygote.run(request("apply", repo.write(PAIRS).path))
    assert first.snapshot, first.message
    guarded = champion_of(first.snapshot, "pair_service")

    report = zygote.run(request("plan", repo.write(PAIRS_SWAPPED).path, guarded))

    assert report.plan, report.message
    found = {str(problem.kind) for impact in report.plan.impacts for problem in impact.problems}
    assert found == {"JoinKeysChanged"}, report.warnings


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_of_a_service_is_named(repo: Repo, zygote: Zygote, name: str) -> None:
    text, kinds = CHANGES[name]
    first = zygote.run(request("apply", repo.write(ROUTES).path))
    assert first.snapshot, first.message
    guarded = champion_of(first.snapshot, "routes")

    report = zygote.run(request("plan", repo.write(text).path, guarded))

    assert report.plan, report.message
    found = {str(problem.kind) for impact in report.plan.impacts for problem in impact.problems}
    assert found == kinds, report.warnings
