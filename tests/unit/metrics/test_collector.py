"""Gauges as text: a scrape of given resources at a given moment."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from tests.unit.metrics.build import NOW, at, condition, lineage, model, project, snapshot

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.annotations import OWNER
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.metrics import FactTimes, State, StateCollector
from feature_lineage.metrics.families import exposition
from feature_lineage.operations.feature_shares import feature_shares
from feature_lineage.operations.probe_answer import FeatureAnswer, ProbeAnswer
from feature_lineage.operations.skew import FeatureSkew, SkewAnswer

RANKING = ("ml", "ranking")
MLFLOW = {"trackingUri": "http://mlflow:5000"}

FULL_PROJECT = project(
    spec={
        "freshness": {"maxAge": "1h", "views": [{"name": "slow", "maxAge": "1d"}]},
        "mlflow": MLFLOW,
    },
    featureViews=[
        {
            "name": "never",
            "kind": "feature_view",
        },
        {
            "name": "slow",
            "materializedUntil": at(days=2),
            "lastResult": "Failed",
            "consecutiveFailures": 3,
            "rows": 7,
        },
        {"name": "stats", "materializedUntil": at(minutes=10), "lastResult": "Succeeded"},
        {"name": "derived", "kind": "on_demand_feature_view"},
    ],
    counts={"linkedModels": 12, "brokenModels": 1},
    plan={"verdict": "Blocked", "impactsTotal": 2, "blockedSince": at(hours=1)},
    applied={"revision": "a" * 40, "at": at(days=1)},
    operation={"id": "op-9", "kind": "Materialize"},
    readingOperation={"id": "op-10", "kind": "Observe"},
    operations=[
        {
            "id": "op-8",
            "kind": "Materialize",
            "schedule": "hourly",
            "result": "Succeeded",
            "finishedAt": at(minutes=10),
            "job": "op-8-1",
        },
        {
            "id": "op-7",
            "kind": "Materialize",
            "schedule": "hourly",
            "result": "Failed",
            "finishedAt": at(minutes=5),
            "job": "op-7-1",
            "mlflowRunId": "f00",
        },
    ],
    registry={"digest": "d" * 64, "observedAt": at(minutes=10)},
    schedules=[{"name": "hourly", "next": "2026-07-01T13:05:00Z"}],
    conditions=[
        condition("Ready", "False", "Blocked", hours=1),
        condition("Stalled", "True", "Blocked", hours=1),
    ],
)
FULL_MODEL = model(
    resolved={"version": "3"},
    lineage=lineage(
        "derived",
        verdict="Broken",
        problemsTotal=2,
        featureService="activity",
        origin="RunTag",
    ),
    conditions=[
        condition("LineageVerified", "False", "Broken", hours=2),
        condition("Serving", "False", "MostlyNull", hours=1),
    ],
)
FULL = State(
    projects=(FULL_PROJECT,),
    models=(FULL_MODEL,),
    snapshots={RANKING: snapshot("never", "slow", "stats", on_demand={"derived": "stats"})},
    facts={RANKING: FactTimes(NOW - timedelta(seconds=30), NOW - timedelta(seconds=45))},
    shares={
        ("ml", "champion"): feature_shares(
            ProbeAnswer(
                question="service activity",
                features=(
                    FeatureAnswer(column="trips", keys=9, missing=1, nulls=6),
                    FeatureAnswer(column="trips", keys=9),
                    FeatureAnswer(column="gone", keys=9, missing=9),
                    FeatureAnswer(column="rating", keys=9),
                ),
                skew=SkewAnswer(
                    at=NOW, worst=FeatureSkew(column="rating", compared=8, differing=2)
                ),
            )
        )
    },
)

FULL_TEXT = """\
feast_feature_freshness_seconds{feature_view="slow",P} 172800.0
feast_feature_freshness_seconds{feature_view="stats",P} 600.0
feature_lineage_feature_view_never_materialized{feature_view="never",P} 1.0
feature_lineage_feature_view_never_materialized{feature_view="slow",P} 0.0
feature_lineage_feature_view_never_materialized{feature_view="stats",P} 0.0
feature_lineage_feature_view_stale{feature_view="never",P} 1.0
feature_lineage_feature_view_stale{feature_view="slow",P} 1.0
feature_lineage_feature_view_stale{feature_view="stats",P} 0.0
feature_lineage_feature_view_max_age_seconds{feature_view="never",P} 3600.0
feature_lineage_feature_view_max_age_seconds{feature_view="slow",P} 86400.0
feature_lineage_feature_view_max_age_seconds{feature_view="stats",P} 3600.0
feature_lineage_feature_view_rows{feature_view="slow",P} 7.0
feature_lineage_feature_view_consecutive_failures{feature_view="never",P} 0.0
feature_lineage_feature_view_consecutive_failures{feature_view="slow",P} 3.0
feature_lineage_feature_view_consecutive_failures{feature_view="stats",P} 0.0
feature_lineage_project_models{P,state="linked"} 12.0
feature_lineage_project_models{P,state="broken"} 1.0
feature_lineage_plan_blocked{P} 1.0
feature_lineage_plan_blocked_since_timestamp_seconds{P} 1.7829036e+09
feature_lineage_plan_impacts{P} 2.0
feature_lineage_operation_in_progress{kind="Apply",P} 0.0
feature_lineage_operation_in_progress{kind="Plan",P} 0.0
feature_lineage_operation_in_progress{kind="Observe",P} 1.0
feature_lineage_operation_in_progress{kind="Probe",P} 0.0
feature_lineage_operation_in_progress{kind="Materialize",P} 1.0
feature_lineage_operation_in_progress{kind="Backfill",P} 0.0
feature_lineage_operation_in_progress{kind="Delete",P} 0.0
feature_lineage_operation_last_success_timestamp_seconds{kind="Apply",P} 1.7828208e+09
feature_lineage_operation_last_success_timestamp_seconds{kind="Materialize",P} 1.7829066e+09
feature_lineage_operations_unrecorded{P} 1.0
feature_lineage_mlflow_view_age_seconds{P} 30.0
feature_lineage_registry_snapshot_age_seconds{P} 600.0
feature_lineage_guard_age_seconds{P} 45.0
feature_lineage_schedule_next_timestamp_seconds{P,schedule="hourly"} 1.7829111e+09
feature_lineage_model_info{alias="champion",feature_service="activity",model="driver_model",model_owner="",name="the-champion",namespace="ml",origin="RunTag",project="driver_ranking",project_name="ranking",project_namespace="ml",service_owner="",version="3",view_owners=""} 1.0
feature_lineage_model_feature_view_info{alias="champion",feature_service="activity",feature_view="derived",M,H} 1.0
feature_lineage_model_feature_view_info{alias="champion",feature_service="activity",feature_view="stats",M,H} 1.0
feature_lineage_model_verdict{alias="champion",M,verdict="Verified"} 0.0
feature_lineage_model_verdict{alias="champion",M,verdict="Unchanged"} 0.0
feature_lineage_model_verdict{alias="champion",M,verdict="Changed"} 0.0
feature_lineage_model_verdict{alias="champion",M,verdict="Broken"} 1.0
feature_lineage_model_verdict{alias="champion",M,verdict="Ambiguous"} 0.0
feature_lineage_model_verdict{alias="champion",M,verdict="Unknown"} 0.0
feature_lineage_model_verdict_since_timestamp_seconds{alias="champion",M} 1.7829e+09
feature_lineage_model_problems{alias="champion",M} 2.0
feature_lineage_model_features_fresh{alias="champion",M} 1.0
feature_lineage_model_serving{alias="champion",M} 0.0
feature_lineage_model_null_ratio{alias="champion",feature="trips",M} 0.75
feature_lineage_model_null_ratio{alias="champion",feature="rating",M} 0.0
feature_lineage_model_skew_ratio{alias="champion",feature="rating",M} 0.25
feature_lineage_condition{kind="FeatureStoreProject",N,reason="Blocked",status="False",type="Ready"} 1.0
feature_lineage_condition{kind="FeatureStoreProject",N,reason="Blocked",status="True",type="Stalled"} 1.0
feature_lineage_condition{kind="TrainedModel",T,reason="Broken",status="False",type="LineageVerified"} 1.0
feature_lineage_condition{kind="TrainedModel",T,reason="MostlyNull",status="False",type="Serving"} 1.0
feature_lineage_condition_last_transition_timestamp_seconds{kind="FeatureStoreProject",N,type="Ready"} 1.7829036e+09
feature_lineage_condition_last_transition_timestamp_seconds{kind="FeatureStoreProject",N,type="Stalled"} 1.7829036e+09
feature_lineage_condition_last_transition_timestamp_seconds{kind="TrainedModel",T,type="LineageVerified"} 1.7829e+09
feature_lineage_condition_last_transition_timestamp_seconds{kind="TrainedModel",T,type="Serving"} 1.7829036e+09
"""  # noqa: E501
SHORT = {
    "P": 'name="ranking",namespace="ml",project="driver_ranking"',
    "M": 'model="driver_model",name="the-champion",namespace="ml"',
    "H": 'project="driver_ranking",project_name="ranking",project_namespace="ml",version="3"',
    "N": 'name="ranking",namespace="ml"',
    "T": 'name="the-champion",namespace="ml"',
}


def registry_of(state: State, now: datetime = NOW) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StateCollector(lambda: state, lambda: now))
    return registry


def text_of(registry: Collector) -> str:
    return b"".join(exposition(registry)).decode()


def samples_of(state: State, now: datetime = NOW, *, name: str = "") -> str:
    """Return the lines with a value; if a metric is named, only those of that metric."""
    lines = re.findall(r".*\n", text_of(registry_of(state, now)))
    return "".join(
        line for line in lines if not line.startswith("#") and (not name or f"{name}{{" in line)
    )


def written_out(text: str) -> str:
    for short, long in SHORT.items():
        text = text.replace(f"{short},", f"{long},").replace(f"{short}}}", f"{long}}}")
    return text


def test_everything_that_is_known_of_a_project_and_a_model() -> None:
    assert written_out(FULL_TEXT).replace("the-champion", "champion") == samples_of(FULL)


def test_each_family_has_one_help_line_even_when_empty() -> None:
    lines = text_of(registry_of(State())).splitlines()

    assert all(line.startswith(("# HELP ", "# TYPE ")) for line in lines)
    assert len(lines) == len({tuple(line.split(" ")[1:3]) for line in lines})
    assert lines[1] == "# TYPE feast_feature_freshness_seconds gauge"
    assert lines[0] == (
        "# HELP feast_feature_freshness_seconds Seconds since the end of the newest materialized "
        "window, as Feast measures it. Absent while never materialized: see "
        "feature_lineage_feature_view_never_materialized. A window that ends in the future does "
        "not count."
    )


def test_freshness_is_exact_to_the_scrape() -> None:
    at_a_later_time = NOW + timedelta(minutes=49, seconds=59.5)

    assert 'feature_view="stats"' in samples_of(FULL, name="feast_feature_freshness_seconds")
    later = samples_of(FULL, at_a_later_time, name="feast_feature_freshness_seconds")
    assert later.splitlines()[1].endswith(" 3599.5")


@pytest.mark.parametrize(
    ("later", "stale", "fresh"),
    [
        pytest.param(timedelta(minutes=50, seconds=-1), " 0.0", " 1.0", id="one second before"),
        pytest.param(timedelta(minutes=50), " 1.0", " 0.0", id="at maxAge"),
    ],
)
def test_a_view_and_its_model_turn_stale_without_any_pass(
    later: timedelta, stale: str, fresh: str
) -> None:
    views = samples_of(FULL, NOW + later, name="feature_lineage_feature_view_stale")
    models = samples_of(FULL, NOW + later, name="feature_lineage_model_features_fresh")

    assert views.splitlines()[2].endswith(stale)
    assert models.rstrip().endswith(fresh)


def test_a_models_own_objective_counts_too() -> None:
    strict = FULL_MODEL.model_copy(
        update={"spec": model(spec={"freshness": {"maxAge": "9m"}}).spec},
    )
    state = State(FULL.projects, (strict,), FULL.snapshots)

    assert samples_of(state, name="feature_lineage_model_features_fresh").endswith(" 0.0\n")


@pytest.mark.parametrize(
    ("later", "expected"), [(timedelta(0), " 1.0\n"), (timedelta(minutes=50), " 0.0\n")]
)
def test_without_snapshot_freshness_comes_from_the_status(later: timedelta, expected: str) -> None:
    written = model(
        lineage=lineage("stats"),
        freshness={"materializedUntil": at(minutes=10), "maxAge": "1h", "fresh": True},
    )
    state = State(FULL.projects, (written,))

    found = samples_of(state, NOW + later, name="feature_lineage_model_features_fresh")
    assert found.endswith(expected)


def test_without_snapshot_on_demand_views_are_not_never_run() -> None:
    found = samples_of(
        State((FULL_PROJECT,)), name="feature_lineage_feature_view_never_materialized"
    )

    assert 'feature_view="never"' in found
    assert "derived" not in found


def test_rare_registry_reads_give_unknown_freshness() -> None:
    observing = project(
        spec={
            "apply": {"mode": "Observe"},
            "freshness": {"maxAge": "1h"},
        },
        featureViews=[{"name": "stats", "materializedUntil": at(hours=2)}],
        registry={"digest": "d" * 64, "observedAt": at(minutes=31)},
    )

    assert not samples_of(State((observing,)), name="feature_lineage_feature_view_stale")


def test_without_an_objective_nothing_is_stale() -> None:
    plain = project(featureViews=[{"name": "stats", "materializedUntil": at(days=9)}])

    found = samples_of(State((plain,)))

    assert 'feast_feature_freshness_seconds{feature_view="stats"' in found
    assert "feature_lineage_feature_view_stale" not in found
    assert "feature_lineage_feature_view_max_age_seconds" not in found


def test_a_resource_that_goes_leaves_no_series() -> None:
    states = iter([FULL, State(FULL.projects), State()])
    registry = CollectorRegistry()
    registry.register(StateCollector(lambda: next(states), lambda: NOW))

    both, without_model, without_any = (text_of(registry) for _ in range(3))

    assert 'model="driver_model"' in both
    assert 'model="driver_model"' not in without_model
    assert 'name="ranking"' in without_model
    assert "{" not in without_any


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        pytest.param({"from": "All"}, True, id="all namespaces"),
        pytest.param({"from": "List", "names": ["serving"]}, True, id="this namespace"),
        pytest.param({"from": "List", "names": ["other"]}, False, id="another namespace"),
        pytest.param({"from": "Same"}, False, id="its own namespace only"),
    ],
)
def test_freshness_crosses_namespaces_only_if_allowed(
    allowed: dict[str, Any], expected: bool
) -> None:
    abroad = model(
        namespace="serving",
        spec={"projectRef": {"name": "ranking", "namespace": "ml"}},
        lineage=lineage("stats"),
    )
    home = project(
        spec={"allowedNamespaces": allowed, "freshness": {"maxAge": "1h"}},
        featureViews=[{"name": "stats", "materializedUntil": at(minutes=10)}],
    )
    found = samples_of(State((home,), (abroad,), {RANKING: snapshot("stats")}))

    assert expected == ("feature_lineage_model_features_fresh{" in found)
    assert expected == ("feature_lineage_model_feature_view_info{" in found)
    assert expected == ('project="driver_ranking",project_name="ranking"' in found)


def test_a_model_without_a_reconcile_is_unknown() -> None:
    found = samples_of(State(models=(model(),)), name="feature_lineage_model_verdict")

    assert 'verdict="Unknown"} 1.0' in found
    assert found.count("} 0.0") == 5


@pytest.mark.parametrize(
    ("status", "expected"), [("True", " 1.0\n"), ("False", " 0.0\n"), ("Unknown", "")]
)
def test_serving_that_is_not_known_has_no_sample(status: str, expected: str) -> None:
    probed = model(conditions=[condition("Serving", status, "NotProbed")])

    found = samples_of(State(models=(probed,)), name="feature_lineage_model_serving")

    assert found[-5:] == expected


def test_owners_are_those_of_what_the_model_uses() -> None:
    views = {f"v{n}": {"online": True, "owner": f"team-{n // 2}"} for n in range(14)}
    registry = RegistrySnapshot(
        "driver_ranking",
        {
            "feature_view": {**views, "anonymous": {"online": True}},
            "feature_service": {"activity": {"owner": "o" * 300}},
        },
    )
    used = model(lineage=lineage(*views, "anonymous", "gone", featureService="activity"))
    metadata = used.metadata.model_copy(update={"annotations": {OWNER: 'the "rankers"'}})
    owned = used.model_copy(update={"metadata": metadata})

    found = samples_of(
        State((FULL_PROJECT,), (owned,), {RANKING: registry}), name="feature_lineage_model_info"
    )

    assert 'model_owner="the \\"rankers\\""' in found
    assert 'view_owners="team-0,team-1,team-2,team-3,team-4"' in found
    (service,) = re.findall('service_owner="(.*?)"', found)
    assert service.startswith("ooo")
    assert len(service) == 256


NASTY = 'Fahrer"größe\\n\n価格\r\u2028'


def nasty_state() -> State:
    named = model(model_name=NASTY, lineage=lineage(NASTY))
    return State((project(featureViews=[{"name": NASTY, "rows": 1}]),), (named,))


def test_names_beyond_ascii_with_quotes_and_line_ends() -> None:
    found = samples_of(nasty_state(), name="feature_lineage_feature_view_rows")

    assert found == (
        'feature_lineage_feature_view_rows{feature_view="Fahrer\\"größe\\\\n\\n価格\r\u2028",'
        'name="ranking",namespace="ml",project="driver_ranking"} 1.0\n'
    )


def parsed(text: str) -> Iterator[tuple[str, frozenset[tuple[str, str]], float]]:
    for metric in text_string_to_metric_families(text):
        for sample in metric.samples:
            yield sample.name, frozenset(sample.labels.items()), sample.value


@pytest.mark.parametrize("state", [FULL, nasty_state()], ids=["plain", "nasty"])
def test_the_text_reads_back_as_what_was_meant_each_series_once(state: State) -> None:
    registry = registry_of(state)
    meant = [
        (sample.name, frozenset(sample.labels.items()), sample.value)
        for metric in registry.collect()
        for sample in metric.samples
    ]

    assert meant == list(parsed(text_of(registry)))
    assert len(meant) == len({series[:2] for series in meant})


@pytest.mark.parametrize("state", [FULL, nasty_state()], ids=["plain", "nasty"])
def test_the_collector_serves_openmetrics_as_well(state: State) -> None:
    text = openmetrics.generate_latest(registry_of(state)).decode()

    families = {family.name for family in parse_openmetrics(text)}

    assert {family.name for family in registry_of(State()).collect()} == families


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=300))
def test_our_text_is_the_librarys(name: str) -> None:
    registry = registry_of(State((project(featureViews=[{"name": name, "rows": 1}]),)))

    assert generate_latest(registry) == b"".join(exposition(registry))


def test_more_lines_than_one_slice_lack_none_and_keep_one_head() -> None:
    models = tuple(model(f"m-{number}") for number in range(1500))
    registry = registry_of(State(models=models))

    pieces = list(exposition(registry))

    assert generate_latest(registry) == b"".join(pieces)
    assert max(piece.count(b"\n") for piece in pieces) == 2000


def test_a_job_that_only_puts_back_states_is_no_materialization() -> None:
    done = {"id": "op-1", "kind": "Materialize", "result": "Succeeded", "finishedAt": at(hours=3)}

    name = "feature_lineage_operation_last_success_timestamp_seconds"
    assert not samples_of(State((project(operations=[done]),)), name=name)
    assert samples_of(State((project(operations=[{**done, "schedule": "hourly"}]),)), name=name)


def test_order_follows_names_not_the_host() -> None:
    one, other = project("a"), project("b")

    assert samples_of(State((one, other))) == samples_of(State((other, one)))


def test_an_operation_that_was_only_planned_did_its_work() -> None:
    planned: FeatureStoreProject = project(
        operations=[{"id": "op-1", "kind": "Plan", "result": "Planned", "finishedAt": at(hours=3)}]
    )

    found = samples_of(
        State((planned,)), name="feature_lineage_operation_last_success_timestamp_seconds"
    )

    assert found == written_out(
        'feature_lineage_operation_last_success_timestamp_seconds{kind="Plan",P} 1.7828964e+09\n'
    )
