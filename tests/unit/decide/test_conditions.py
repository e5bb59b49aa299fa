"""The conditions of a project: complete, correct, and with the time of their last transition."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    OUTAGE,
    STATS,
    A,
    B,
    ProjectScenario,
    at,
    linked,
    version,
    view_report,
)

from feature_lineage.api.conditions import PROJECT_REASONS, ProjectCondition
from feature_lineage.api.enums import Verdict
from feature_lineage.decide.observed import Failure
from feature_lineage.decide.project.decide import decide
from feature_lineage.errors import HostNotAllowed
from feature_lineage.features.snapshot import RegistrySnapshot

ALWAYS = set(ProjectCondition) - {ProjectCondition.RECONCILING, ProjectCondition.STALLED}


def fresh(until: str | None, *, mode: str = "Auto", **freshness: object) -> ProjectScenario:
    """A project in effect whose view `stats` is materialized until `until`."""
    scenario = ProjectScenario(freshness=freshness or None, apply={"mode": mode})
    scenario.reconcile()
    moment = at(until) if until else None
    scenario.end(
        "Succeeded",
        views=(view_report("stats", "", materialized_until=moment), view_report("extra", "")),
    )
    scenario.reconcile()
    return scenario


@pytest.mark.parametrize("generation", [1, 7])
def test_every_condition_exists_and_is_of_the_current_spec(generation: int) -> None:
    scenario = ProjectScenario()
    scenario.metadata["generation"] = generation

    scenario.reconcile()

    assert {c.type for c in scenario.status.conditions} == ALWAYS | {"Reconciling"}
    assert {c.observed_generation for c in scenario.status.conditions} == {generation}
    assert scenario.status.observed_generation == generation


def test_a_quiet_pass_changes_nothing_and_does_nothing() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, freshness={"maxAge": "1h"}).apply()
    scenario.rest()
    before = scenario.status

    scenario.later(seconds=20)
    decision = scenario.reconcile()

    assert scenario.status == before
    assert (decision.before, decision.after, decision.events) == ((), (), ())


def test_times_move_only_when_a_status_flips() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    since = {c.type: c.last_transition_time for c in scenario.status.conditions}
    scenario.later(minutes=10)
    scenario.source = Failure("RefNotFound", "branch main does not exist")

    scenario.reconcile()
    moved = {c.type: c.last_transition_time for c in scenario.status.conditions}
    flipped = {name for name, moment in moved.items() if moment != since.get(name)}
    assert flipped == {"SourceReady", "Ready", "Reconciling"}

    scenario.later(minutes=10)
    scenario.source = Failure("AuthFailed", "401")
    scenario.reconcile()
    assert scenario.says("SourceReady") == ("False", "AuthFailed")
    assert {c.type: c.last_transition_time for c in scenario.status.conditions} == moved


@pytest.mark.parametrize(
    ("failure", "status", "stalled"),
    [
        (Failure("RefNotFound", "no such branch"), "False", False),
        (Failure("AuthFailed", "401"), "False", False),
        (Failure("SourceUnreachable", "no route", outage=True), "Unknown", False),
        (Failure("TransientError", "reset", outage=True), "Unknown", False),
        (Failure("ApiServerUnavailable", "no answer in 15 s", outage=True), "Unknown", False),
        (Failure.of(HostNotAllowed("ext:: is not allowed")), "False", True),
    ],
)
def test_what_is_wrong_with_a_source(failure: Failure, status: str, stalled: bool) -> None:
    scenario = ProjectScenario()
    scenario.source = failure

    scenario.reconcile()

    reason = "SourceUnreachable" if status == "Unknown" else failure.reason
    assert scenario.says("SourceReady") == (status, reason)
    assert scenario.says("Ready") == ("False", reason)
    assert scenario.condition("Ready").message == failure.message
    assert (scenario.says("Stalled") != ("", "")) is stalled
    assert (scenario.says("Reconciling") == ("", "")) is stalled


def test_a_source_that_is_out_keeps_what_is_in_effect() -> None:
    scenario = ProjectScenario().apply()

    scenario.source = Failure("SourceUnreachable", "no route", outage=True)
    scenario.reconcile()

    assert scenario.says("Applied") == ("True", "Succeeded")
    assert scenario.status.source is not None
    assert scenario.status.source.revision == A


def test_applied_project_stalls_when_its_host_is_not_allowed() -> None:
    scenario = ProjectScenario().apply()

    scenario.source = Failure.of(HostNotAllowed("git.example.org is not in allowedGitHosts"))
    scenario.reconcile()

    assert scenario.says("Applied") == ("True", "Succeeded")
    assert scenario.says("Ready") == ("False", "HostNotAllowed")
    assert scenario.says("Stalled") == ("True", "HostNotAllowed")
    assert scenario.says("Reconciling") == ("", "")


@pytest.mark.parametrize(
    ("until", "freshness", "expected"),
    [
        pytest.param("11:00", {}, ("Unknown", "NoObjective"), id="no objective"),
        pytest.param("11:30", {"views": "1h"}, ("True", "Succeeded"), id="within"),
        pytest.param("10:59", {"views": "1h"}, ("False", "Stale"), id="past it"),
        pytest.param(None, {"views": "1h"}, ("False", "NeverMaterialized"), id="never"),
        pytest.param("10:00", {"maxAge": "1h"}, ("False", "NeverMaterialized"), id="the worst"),
    ],
)
def test_how_fresh_the_views_are(
    until: str | None, freshness: dict[str, str], expected: tuple[str, str]
) -> None:
    spec: dict[str, object] = dict(freshness)
    if "views" in freshness:
        spec = {"views": [{"name": "stats", "maxAge": freshness["views"]}]}

    scenario = fresh(until, **spec)

    assert scenario.says("Fresh") == expected
    assert scenario.says("Ready") == ("True", "Succeeded")


def test_a_stale_view_is_named_with_the_time_it_was_last_good() -> None:
    scenario = fresh("10:00", views=[{"name": "stats", "maxAge": "1h"}])

    assert "stats (until 2026-11-20T10:00:00Z)" in scenario.condition("Fresh").message
    assert scenario.status.feature_views[0].name == "stats"
    assert scenario.status.feature_views[0].fresh is False
    assert scenario.status.counts is not None
    assert scenario.status.counts.stale_views == 1


def test_views_that_do_not_change_are_not_copied() -> None:
    scenario = fresh("11:59", views=[{"name": "stats", "maxAge": "1h"}])
    scenario.annotate("reconcile-requested-at", "now")
    observed = scenario.observed()

    views = decide(observed).status.feature_views

    assert {view.fresh for view in views} == {True, None}
    assert set(map(id, views)) == set(map(id, observed.resource.status.feature_views))


def test_view_becomes_stale_by_time_and_requeues() -> None:
    scenario = fresh("11:59", views=[{"name": "stats", "maxAge": "2m"}])
    assert scenario.says("Fresh") == ("True", "Succeeded")

    decision = scenario.reconcile()
    assert decision.requeue_at is not None
    scenario.now = decision.requeue_at + timedelta(seconds=1)
    scenario.reconcile()

    assert scenario.says("Fresh") == ("False", "Stale")


def test_facts_that_are_too_old_to_call_a_view_stale_do_not() -> None:
    """Another tool may have materialized since the registry was read."""
    scenario = fresh("11:50", mode="Observe", views=[{"name": "stats", "maxAge": "30m"}])
    assert scenario.says("Fresh") == ("True", "Succeeded")

    scenario.later(minutes=40)
    scenario.reconcile()

    assert scenario.says("Fresh") == ("Unknown", "ObservedTooSeldom")


def test_a_view_that_is_not_served_online_has_no_freshness() -> None:
    spec = {**STATS.objects["feature_view"]["stats"], "online": False}
    scenario = ProjectScenario(freshness={"maxAge": "1h"})
    scenario.reconcile()
    assert scenario.says("Fresh") == ("Unknown", "NoObjective")
    assert scenario.condition("Fresh").message == "the registry has not been read yet"

    scenario.end(
        "Succeeded",
        snapshot=RegistrySnapshot("driver_ranking", {"feature_view": {"stats": spec}}),
        views=(view_report("stats", ""),),
    )
    scenario.reconcile()

    assert scenario.says("Fresh") == ("Unknown", "NoObjective")
    assert scenario.condition("Fresh").message.startswith("no view of the registry is online and")
    assert scenario.status.feature_views[0].max_age is None


def test_mlflow_outage_keeps_the_project_ready() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.outage = OUTAGE
    scenario.later(minutes=10)

    scenario.reconcile()

    assert scenario.says("FactsCurrent") == ("False", "MLflowViewOld")
    assert "as of 2026-11-20T12:00:00Z" in scenario.condition("FactsCurrent").message
    assert scenario.says("Ready") == ("True", "Succeeded")


def test_an_mlflow_that_was_never_read_has_facts_of_never() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.outage, scenario.read_at = OUTAGE, None

    scenario.reconcile()

    assert "as of never" in scenario.condition("FactsCurrent").message


def test_a_registry_that_was_not_read_for_two_intervals_is_old() -> None:
    scenario = ProjectScenario(registry={"pollInterval": "10m"}, suspend=False).apply()
    scenario.change(suspend=True)
    scenario.later(minutes=20)
    scenario.reconcile()
    assert scenario.says("FactsCurrent") == ("True", "Succeeded")

    scenario.later(minutes=2)
    scenario.reconcile()

    assert scenario.says("FactsCurrent") == ("False", "RegistrySnapshotOld")


def test_a_snapshot_that_was_changed_by_hand_is_named() -> None:
    scenario = ProjectScenario().apply()
    snapshot, scenario.snapshot = scenario.snapshot, None
    scenario.damage = "ConfigMap ml/kept cannot be used: it is not gzip"
    scenario.reconcile()

    assert scenario.says("FactsCurrent") == ("False", "RegistrySnapshotLost")
    message = scenario.condition("FactsCurrent").message
    assert message.startswith("the last snapshot of the registry is lost: ConfigMap ml/kept cannot")

    scenario.snapshot = snapshot
    scenario.reconcile()
    assert scenario.condition("FactsCurrent").message.startswith("an older snapshot")

    scenario.damage = ""
    scenario.reconcile()
    assert scenario.says("FactsCurrent") == ("True", "Succeeded")


def test_totals_count_views_features_services_and_models() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.linked = (
        linked(version("1", "champion"), Verdict.BROKEN),
        linked(version("2"), Verdict.VERIFIED),
        linked(version("3"), None),
    )

    scenario.reconcile()

    assert scenario.status.counts is not None
    assert scenario.status.counts.as_dict() == {
        "featureViews": 2,
        "features": 3,
        "featureServices": 1,
        "linkedModels": 3,
        "brokenModels": 1,
        "staleViews": 0,
    }
    assert scenario.says("Ready") == ("True", "Succeeded")


def test_totals_use_the_report_of_this_reconcile() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.end("Succeeded")

    assert scenario.status.counts is not None
    assert scenario.status.counts.feature_views == 2


def test_a_message_names_three_failing_views() -> None:
    names = [f"view{number}" for number in range(5)]
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.end("Succeeded", snapshot=None, views=tuple(view_report(n, "Failed") for n in names))

    message = scenario.condition("Materialized").message
    assert scenario.says("Materialized") == ("False", "ViewsFailing")
    assert "view2: " in message
    assert "view3" not in message
    assert message.endswith(" and 2 more")


def test_a_message_has_an_end() -> None:
    scenario = ProjectScenario()
    scenario.source = Failure("RefNotFound", "x" * 5000)

    scenario.reconcile()

    assert 1900 < len(scenario.condition("Ready").message) <= 2000


def test_the_next_look_is_when_the_first_of_many_things_is_due() -> None:
    scenario = ProjectScenario(mlflow={**MLFLOW, "pollInterval": "2m"}).apply()

    assert scenario.reconcile().requeue_at == scenario.now + timedelta(minutes=2)


def test_a_next_look_is_never_in_the_past_nor_at_once() -> None:
    scenario = ProjectScenario(
        source={**ProjectScenario().spec["source"], "pollInterval": "1s"}
    ).apply()

    decision = scenario.reconcile()

    assert decision.requeue_at is not None
    assert decision.requeue_at >= scenario.now.replace(microsecond=0) + timedelta(seconds=1)


def test_a_request_that_was_acted_on_is_noted() -> None:
    scenario = ProjectScenario().apply()

    scenario.annotate("reconcile-requested-at", "2026-11-20T12:00:00Z")
    scenario.reconcile()

    assert scenario.status.last_handled_reconcile_at == "2026-11-20T12:00:00Z"


def test_a_revision_is_dated_by_when_it_was_first_seen() -> None:
    scenario = ProjectScenario().apply()
    assert scenario.status.source is not None
    first = scenario.status.source.observed_at
    scenario.later(hours=1)

    scenario.reconcile()
    assert scenario.status.source.observed_at == first

    scenario.push(B)
    scenario.reconcile()
    assert scenario.status.source.observed_at == scenario.now.replace(microsecond=0)


def test_reasons_are_those_the_api_names() -> None:
    """A condition that is not True has a reason that programs may rely on."""
    plays = [ProjectScenario(suspend=True), fresh(None, maxAge="1h"), fresh("10:00", maxAge="1h")]
    stuck = ProjectScenario(mlflow=MLFLOW)
    stuck.outage, stuck.read_at = OUTAGE, None
    for scenario in (*plays, stuck):
        scenario.rest()
        for condition in scenario.status.conditions:
            known = PROJECT_REASONS.get(ProjectCondition(condition.type))
            if known is not None and condition.status != "True":
                assert condition.reason in known, condition


def test_unchanged_guard_changes_no_condition() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    before = scenario.status

    scenario.guard = replace(scenario.guard, read_at=scenario.now + timedelta(seconds=5))
    scenario.reconcile()

    assert scenario.status == replace_counts(before, scenario)


def replace_counts(before: object, scenario: ProjectScenario) -> object:
    """The totals follow the snapshot one reconcile later; everything else is the same."""
    return before.model_copy(update={"counts": scenario.status.counts})  # type: ignore[attr-defined]
