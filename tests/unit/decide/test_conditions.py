"""The conditions of a project: complete, true to their words, and dated by their flips."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    OUTAGE,
    STATS,
    A,
    B,
    Play,
    at,
    linked,
    version,
    view_report,
)

from feature_lineage.api.conditions import PROJECT_REASONS, ProjectCondition
from feature_lineage.api.enums import Verdict
from feature_lineage.decide.values import Failure
from feature_lineage.errors import HostNotAllowed
from feature_lineage.features.snapshot import RegistrySnapshot

ALWAYS = set(ProjectCondition) - {ProjectCondition.RECONCILING, ProjectCondition.STALLED}


def fresh(until: str | None, *, mode: str = "Auto", **freshness: object) -> Play:
    """A project in effect whose view `stats` is materialized until then."""
    play = Play(freshness=freshness or None, apply={"mode": mode})
    play.look()
    moment = at(until) if until else None
    play.end(
        "Succeeded",
        views=(view_report("stats", "", materialized_until=moment), view_report("extra", "")),
    )
    play.look()
    return play


@pytest.mark.parametrize("generation", [1, 7])
def test_every_condition_is_there_and_tells_of_the_present_spec(generation: int) -> None:
    play = Play()
    play.metadata["generation"] = generation

    play.look()

    assert {c.type for c in play.status.conditions} == ALWAYS | {"Reconciling"}
    assert {c.observed_generation for c in play.status.conditions} == {generation}
    assert play.status.observed_generation == generation


def test_a_quiet_pass_changes_nothing_and_does_nothing() -> None:
    play = Play(mlflow=MLFLOW, freshness={"maxAge": "1h"}).apply()
    play.rest()
    before = play.status

    play.later(seconds=20)
    decision = play.look()

    assert play.status == before
    assert (decision.before, decision.after, decision.events) == ((), (), ())


def test_times_move_only_when_a_status_flips() -> None:
    play = Play(mlflow=MLFLOW).apply()
    since = {c.type: c.last_transition_time for c in play.status.conditions}
    play.later(minutes=10)
    play.source = Failure("RefNotFound", "branch main is not there")

    play.look()
    moved = {c.type: c.last_transition_time for c in play.status.conditions}
    flipped = {name for name, moment in moved.items() if moment != since.get(name)}
    assert flipped == {"SourceReady", "Ready", "Reconciling"}

    play.later(minutes=10)
    play.source = Failure("AuthFailed", "401")
    play.look()
    assert play.says("SourceReady") == ("False", "AuthFailed")
    assert {c.type: c.last_transition_time for c in play.status.conditions} == moved


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
    play = Play()
    play.source = failure

    play.look()

    reason = "SourceUnreachable" if status == "Unknown" else failure.reason
    assert play.says("SourceReady") == (status, reason)
    assert play.says("Ready") == ("False", reason)
    assert play.condition("Ready").message == failure.message
    assert (play.says("Stalled") != ("", "")) is stalled
    assert (play.says("Reconciling") == ("", "")) is stalled


def test_a_source_that_is_out_keeps_what_is_in_effect() -> None:
    play = Play().apply()

    play.source = Failure("SourceUnreachable", "no route", outage=True)
    play.look()

    assert play.says("Applied") == ("True", "Succeeded")
    assert play.status.source is not None
    assert play.status.source.revision == A


def test_applied_project_stalls_when_its_host_is_not_allowed() -> None:
    play = Play().apply()

    play.source = Failure.of(HostNotAllowed("git.example.org is not in allowedGitHosts"))
    play.look()

    assert play.says("Applied") == ("True", "Succeeded")
    assert play.says("Ready") == ("False", "HostNotAllowed")
    assert play.says("Stalled") == ("True", "HostNotAllowed")
    assert play.says("Reconciling") == ("", "")


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

    play = fresh(until, **spec)

    assert play.says("Fresh") == expected
    assert play.says("Ready") == ("True", "Succeeded")


def test_a_stale_view_is_named_with_the_time_it_was_last_good() -> None:
    play = fresh("10:00", views=[{"name": "stats", "maxAge": "1h"}])

    assert "stats (until 2026-11-20T10:00:00Z)" in play.condition("Fresh").message
    assert play.status.feature_views[0].name == "stats"
    assert play.status.feature_views[0].fresh is False
    assert play.status.counts is not None
    assert play.status.counts.stale_views == 1


def test_view_becomes_stale_by_time_and_requeues() -> None:
    play = fresh("11:59", views=[{"name": "stats", "maxAge": "2m"}])
    assert play.says("Fresh") == ("True", "Succeeded")

    decision = play.look()
    assert decision.requeue_at is not None
    play.now = decision.requeue_at + timedelta(seconds=1)
    play.look()

    assert play.says("Fresh") == ("False", "Stale")


def test_facts_that_are_too_old_to_call_a_view_stale_do_not() -> None:
    """Somebody else may have materialized since the registry was read."""
    play = fresh("11:50", mode="Observe", views=[{"name": "stats", "maxAge": "30m"}])
    assert play.says("Fresh") == ("True", "Succeeded")

    play.later(minutes=40)
    play.look()

    assert play.says("Fresh") == ("Unknown", "ObservedTooSeldom")


def test_a_view_that_is_not_served_online_has_no_freshness() -> None:
    spec = {**STATS.objects["feature_view"]["stats"], "online": False}
    play = Play(freshness={"maxAge": "1h"})
    play.look()

    play.end(
        "Succeeded",
        snapshot=RegistrySnapshot("driver_ranking", {"feature_view": {"stats": spec}}),
        views=(view_report("stats", ""),),
    )
    play.look()

    assert play.says("Fresh") == ("Unknown", "NoObjective")
    assert play.status.feature_views[0].max_age is None


def test_mlflow_outage_keeps_the_project_ready() -> None:
    play = Play(mlflow=MLFLOW).apply()
    play.outage = OUTAGE
    play.later(minutes=10)

    play.look()

    assert play.says("FactsCurrent") == ("False", "MLflowViewOld")
    assert "as of 2026-11-20T12:00:00Z" in play.condition("FactsCurrent").message
    assert play.says("Ready") == ("True", "Succeeded")


def test_an_mlflow_that_was_never_read_has_facts_of_never() -> None:
    play = Play(mlflow=MLFLOW)
    play.outage, play.read_at = OUTAGE, None

    play.look()

    assert "as of never" in play.condition("FactsCurrent").message


def test_a_registry_that_was_not_read_for_two_intervals_is_old() -> None:
    play = Play(registry={"pollInterval": "10m"}, suspend=False).apply()
    play.change(suspend=True)
    play.later(minutes=20)
    play.look()
    assert play.says("FactsCurrent") == ("True", "Succeeded")

    play.later(minutes=2)
    play.look()

    assert play.says("FactsCurrent") == ("False", "RegistrySnapshotOld")


def test_totals_count_views_features_services_and_models() -> None:
    play = Play(mlflow=MLFLOW).apply()
    play.linked = (
        linked(version("1", "champion"), Verdict.BROKEN),
        linked(version("2"), Verdict.VERIFIED),
        linked(version("3"), None),
    )

    play.look()

    assert play.status.counts is not None
    assert play.status.counts.as_dict() == {
        "featureViews": 2,
        "features": 3,
        "featureServices": 1,
        "linkedModels": 3,
        "brokenModels": 1,
        "staleViews": 0,
    }
    assert play.says("Ready") == ("True", "Succeeded")


def test_totals_use_the_report_of_this_reconcile() -> None:
    play = Play()
    play.look()

    play.end("Succeeded")

    assert play.status.counts is not None
    assert play.status.counts.feature_views == 2


def test_failing_views_are_told_three_at_a_time() -> None:
    names = [f"view{number}" for number in range(5)]
    play = Play()
    play.look()

    play.end("Succeeded", snapshot=None, views=tuple(view_report(n, "Failed") for n in names))

    message = play.condition("Materialized").message
    assert play.says("Materialized") == ("False", "ViewsFailing")
    assert "view2: " in message
    assert "view3" not in message
    assert message.endswith(" and 2 more")


def test_a_message_has_an_end() -> None:
    play = Play()
    play.source = Failure("RefNotFound", "x" * 5000)

    play.look()

    assert len(play.condition("Ready").message) == 2000


def test_the_next_look_is_when_the_first_of_many_things_is_due() -> None:
    play = Play(mlflow={**MLFLOW, "pollInterval": "2m"}).apply()

    assert play.look().requeue_at == play.now + timedelta(minutes=2)


def test_a_next_look_is_never_in_the_past_nor_at_once() -> None:
    play = Play(source={**Play().spec["source"], "pollInterval": "1s"}).apply()

    decision = play.look()

    assert decision.requeue_at is not None
    assert decision.requeue_at >= play.now.replace(microsecond=0) + timedelta(seconds=1)


def test_a_request_that_was_acted_on_is_noted() -> None:
    play = Play().apply()

    play.annotate("reconcile-requested-at", "2026-11-20T12:00:00Z")
    play.look()

    assert play.status.last_handled_reconcile_at == "2026-11-20T12:00:00Z"


def test_a_revision_is_dated_by_when_it_was_first_seen() -> None:
    play = Play().apply()
    assert play.status.source is not None
    first = play.status.source.observed_at
    play.later(hours=1)

    play.look()
    assert play.status.source.observed_at == first

    play.push(B)
    play.look()
    assert play.status.source.observed_at == play.now.replace(microsecond=0)


def test_reasons_are_those_the_api_names() -> None:
    """What is not True says why in a word that programs may rely on."""
    plays = [Play(suspend=True), fresh(None, maxAge="1h"), fresh("10:00", maxAge="1h")]
    stuck = Play(mlflow=MLFLOW)
    stuck.outage, stuck.read_at = OUTAGE, None
    for play in (*plays, stuck):
        play.rest()
        for condition in play.status.conditions:
            known = PROJECT_REASONS.get(ProjectCondition(condition.type))
            if known is not None and condition.status != "True":
                assert condition.reason in known, condition


def test_unchanged_guard_changes_no_condition() -> None:
    play = Play(mlflow=MLFLOW).apply()
    before = play.status

    play.guard = replace(play.guard, read_at=play.now + timedelta(seconds=5))
    play.look()

    assert play.status == replace_counts(before, play)


def replace_counts(before: object, play: Play) -> object:
    """Totals follow the snapshot by one pass; nothing else may differ."""
    return before.model_copy(update={"counts": play.status.counts})  # type: ignore[attr-defined]
