"""`decide` for a TrainedModel: the version, the verdict on its features, and the writes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    NOW,
    OUTAGE,
    ProjectScenario,
    linked,
    model,
    observed_model,
    registry_view,
    shown,
    version,
    view_report,
)

from feature_lineage.api import TrainedModel
from feature_lineage.api.conditions import MODEL_REASONS, ModelCondition
from feature_lineage.api.enums import LineageOrigin, Verdict
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.decide.decision import Decision, DeleteTags, SetTags
from feature_lineage.decide.model.decide import decide_model
from feature_lineage.decide.observed import Failure, LinkedVersion, ObservedModel
from feature_lineage.features.refs import FeatureRef
from feature_lineage.models.baseline import recorded_baseline
from feature_lineage.models.verdicts import Problem, ProblemKind

CHAMPION = version("1", "champion")
REVISION = "featurelineage.io/revision"
OWN = {
    "featurelineage.io/baseline-digest": "1" * 64,
    "featurelineage.io/baseline-from": "Training",
    "featurelineage.io/registry-digest": "2" * 64,
    REVISION: "a" * 40,
    "featurelineage.io/verdict": "Verified",
}
FEAST = {
    "feast.feature_count": "2",
    "feast.feature_refs": "stats:conv_rate,stats:trips",
    "feast.feature_service": "activity",
    "feast.feature_views": "stats",
    "feast.project": "driver_ranking",
}
TAGGED = replace(CHAMPION, tags={**OWN, **FEAST})
ALWAYS = set(ModelCondition) - {
    *(ModelCondition.RECONCILING, ModelCondition.STALLED),
    ModelCondition.SERVING,  # only with spec.probe of the project
}


def reconcile(observed: ObservedModel) -> Decision[TrainedModelStatus]:
    decision = decide_model(observed)
    assert TrainedModelStatus.model_validate(decision.status.as_dict()) == decision.status
    return decision


def says(decision: Decision[TrainedModelStatus], type_: str) -> tuple[str, str]:
    """Return status and reason of a condition; ("", "") if there is none."""
    found = (c for c in decision.status.conditions if c.type == type_)
    return next(((c.status, c.reason) for c in found), ("", ""))


def message(decision: Decision[TrainedModelStatus], type_: str) -> str:
    return next(c.message for c in decision.status.conditions if c.type == type_)


def after(
    decision: Decision[TrainedModelStatus], resource: TrainedModel | None = None
) -> TrainedModel:
    """The resource with the decided status."""
    return (resource or model()).model_copy(update={"status": decision.status})


def written(decision: Decision[TrainedModelStatus]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for action in decision.after:
        if isinstance(action, SetTags):
            tags |= action.tags
    return tags


def removed(decision: Decision[TrainedModelStatus]) -> list[tuple[str, tuple[str, ...]]]:
    return [(a.version.version, a.keys) for a in decision.after if isinstance(a, DeleteTags)]


def test_a_version_is_resolved_with_all_that_is_known_of_it() -> None:
    decision = reconcile(observed_model(model(), linked(TAGGED)))

    resolved, lineage = decision.status.resolved, decision.status.lineage
    assert resolved is not None
    assert (resolved.version, resolved.aliases, resolved.run_id) == ("1", ("champion",), "run-1")
    assert resolved.uri == "models:/driver_model/1"
    assert lineage is not None
    assert lineage.feature_service == "activity"
    assert lineage.features == ("stats:conv_rate", "stats:trips")
    assert (lineage.feature_views, lineage.feature_count) == (("stats",), 2)
    assert (lineage.origin, lineage.verdict) == (LineageOrigin.RUN_TAG, Verdict.VERIFIED)
    assert lineage.baseline_registry_digest == "2" * 64
    assert lineage.schema_digest is not None
    assert lineage.schema_digest.baseline_from == "Training"
    assert not lineage.truncated
    assert {c.type for c in decision.status.conditions} == ALWAYS
    assert says(decision, "Resolved") == ("True", "Succeeded")
    assert says(decision, "Ready") == ("True", "Verified")
    assert decision.requeue_at == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("resource", "fields", "reason", "words"),
    [
        pytest.param(
            model(), {"project": None}, "ProjectNotFound", "does not exist in namespace", id="ref"
        ),
        pytest.param(
            model(),
            {"project": ProjectScenario().project},
            "ProjectNotReady",
            "set spec.mlflow",
            id="mlflow",
        ),
        pytest.param(
            model(), {"view": registry_view()}, "ModelNotFound", "driver_model", id="model"
        ),
        pytest.param(
            model(),
            {"view": registry_view(version("1", "challenger"))},
            "AliasNotFound",
            "it has: challenger",
            id="alias",
        ),
        pytest.param(
            model(model={"name": "driver_model", "version": "9"}),
            {"view": registry_view(version("2"), version("10"))},
            "VersionNotFound",
            "the newest is 10",
            id="version",
        ),
    ],
)
def test_why_there_is_no_version(
    resource: TrainedModel, fields: dict[str, Any], reason: str, words: str
) -> None:
    decision = reconcile(observed_model(resource, None, **fields))

    assert says(decision, "Resolved") == says(decision, "Ready") == ("False", reason)
    assert words in message(decision, "Resolved")
    assert says(decision, "Reconciling") == ("True", reason)
    assert says(decision, "LineageVerified") == ("Unknown", "NotResolved")
    assert says(decision, "Tagged") == ("False", "Progressing")
    assert not decision.after
    assert {c.type for c in decision.status.conditions} == ALWAYS | {"Reconciling"}


@pytest.mark.parametrize(
    ("freshness", "reason"), [({"maxAge": "1d"}, "FeaturesUnknown"), (None, "NoObjective")]
)
def test_an_objective_without_known_features_is_said(
    freshness: dict[str, str] | None, reason: str
) -> None:
    unknown = linked(TAGGED, Verdict.UNKNOWN, reason="NoFeastLineage")
    resource = model(freshness=freshness) if freshness else model()

    decision = reconcile(replace(observed_model(resource, unknown), snapshot=None))

    assert says(decision, "FeaturesFresh") == ("Unknown", reason)


def test_facts_about_a_version_that_is_gone_leave_the_status() -> None:
    before = after(reconcile(observed_model(model(), linked(TAGGED))))

    decision = reconcile(observed_model(before, None, view=registry_view(version("1"))))

    status = decision.status
    assert (status.resolved, status.lineage, status.freshness) == (None, None, None)


@pytest.mark.parametrize("failure", [OUTAGE, Failure("AuthFailed", "403")])
def test_an_mlflow_that_was_never_read_leaves_everything_open(failure: Failure) -> None:
    decision = reconcile(observed_model(model(), None, view=None, failure=failure))

    assert says(decision, "Resolved") == ("Unknown", "MLflowUnavailable")
    assert message(decision, "Resolved") == failure.message
    assert says(decision, "Ready") == ("False", "MLflowUnavailable")
    assert says(decision, "Tagged") == ("Unknown", "MLflowUnavailable")


def test_an_outage_keeps_the_last_facts_also_over_a_restart() -> None:
    before = after(reconcile(observed_model(model(), linked(TAGGED))))

    decision = reconcile(observed_model(before, None, view=None, failure=OUTAGE))

    assert decision.status.resolved == before.status.resolved
    assert decision.status.lineage == before.status.lineage
    assert says(decision, "Resolved") == ("Unknown", "MLflowUnavailable")
    assert says(decision, "LineageVerified") == ("True", "Verified")
    assert says(decision, "Ready") == ("True", "Verified")
    assert says(decision, "Reconciling") == ("", "")
    assert not decision.events


def test_broken_model_stays_stalled_during_an_outage() -> None:
    """With both, the result of kstatus would depend on the order of the conditions."""
    before = after(reconcile(observed_model(model(), linked(TAGGED, Verdict.BROKEN))))

    decision = reconcile(observed_model(before, None, view=None, failure=OUTAGE))

    assert says(decision, "Ready") == ("False", "Broken")
    assert says(decision, "Stalled") == ("True", "Broken")
    assert says(decision, "Reconciling") == ("", "")


def test_an_outage_stops_writing_and_nothing_else() -> None:
    decision = reconcile(observed_model(model(), linked(CHAMPION), failure=OUTAGE))

    assert not decision.after
    assert says(decision, "Tagged") == ("Unknown", "MLflowUnavailable")
    assert says(decision, "Ready") == ("True", "Verified")


OUTCOMES = [
    (Verdict.VERIFIED, None, ("True", "Verified"), True),
    (Verdict.UNCHANGED, None, ("True", "Unchanged"), True),
    (Verdict.CHANGED, None, ("False", "Changed"), True),
    (Verdict.BROKEN, None, ("False", "Broken"), False),
    (Verdict.AMBIGUOUS, None, ("False", "Ambiguous"), False),
    (Verdict.VERIFIED, "ServiceMismatch", ("True", "ServiceMismatch"), True),
    (Verdict.AMBIGUOUS, "ProjectMismatch", ("False", "ProjectMismatch"), False),
    (Verdict.UNKNOWN, "NoFeastLineage", ("Unknown", "NoFeastLineage"), False),
    (Verdict.UNKNOWN, "RegistryUnseen", ("Unknown", "RegistryUnseen"), False),
    (None, None, ("Unknown", "RegistryUnseen"), False),
]


@pytest.mark.parametrize(("verdict", "reason", "expected", "ready"), OUTCOMES)
def test_what_lineage_is_verified_as(
    verdict: Verdict | None, reason: str | None, expected: tuple[str, str], ready: bool
) -> None:
    item = linked(TAGGED, verdict, reason=reason)

    decision = reconcile(observed_model(model(), item))

    assert says(decision, "LineageVerified") == expected
    assert says(decision, "Ready")[0] == str(ready)
    assert (says(decision, "Stalled") == ("True", "Broken")) is (verdict is Verdict.BROKEN)
    known = MODEL_REASONS[ModelCondition.LINEAGE_VERIFIED]
    assert expected[0] == "True" or expected[1] in known


@pytest.mark.parametrize(
    ("requires", "verdict", "until", "ready"),
    [
        ([], Verdict.BROKEN, "10:00", ("True", "Succeeded")),
        (["Lineage"], Verdict.BROKEN, "11:55", ("False", "Broken")),
        (["Lineage"], Verdict.VERIFIED, "10:00", ("True", "Verified")),
        (["Freshness"], Verdict.BROKEN, "11:55", ("True", "Succeeded")),
        (["Freshness"], Verdict.VERIFIED, "10:00", ("False", "Stale")),
        (["Freshness"], Verdict.VERIFIED, None, ("False", "NeverMaterialized")),
        (["Lineage", "Freshness"], Verdict.VERIFIED, "11:55", ("True", "Verified")),
        (["Lineage", "Freshness"], Verdict.BROKEN, "10:00", ("False", "Broken")),
    ],
)
def test_what_ready_requires(
    requires: list[str], verdict: Verdict, until: str | None, ready: tuple[str, str]
) -> None:
    resource = model(readyRequires=requires, freshness={"maxAge": "1h"})

    decision = reconcile(observed_model(resource, linked(TAGGED, verdict), project=served(until)))

    assert says(decision, "Ready") == ready
    assert (says(decision, "Stalled") != ("", "")) is (ready == ("False", "Broken"))


def served(until: str | None, **spec: Any) -> Any:
    """The project whose view `stats` is materialized until `until`."""
    scenario = ProjectScenario(mlflow=MLFLOW, **spec)
    scenario.reconcile()
    hours, minutes = map(int, until.split(":")) if until else (0, 0)
    moment = NOW.replace(hour=hours, minute=minutes) if until else None
    scenario.end("Succeeded", views=(view_report("stats", "", materialized_until=moment),))
    return scenario.project


@pytest.mark.parametrize(
    ("own", "until", "expected"),
    [
        pytest.param(None, "11:00", ("Unknown", "NoObjective"), id="no objective"),
        pytest.param("1h", "11:30", ("True", "Succeeded"), id="met"),
        pytest.param("1h", "10:30", ("False", "Stale"), id="missed"),
        pytest.param("1h", None, ("False", "NeverMaterialized"), id="never"),
    ],
)
def test_how_fresh_the_features_of_a_model_are(
    own: str | None, until: str | None, expected: tuple[str, str]
) -> None:
    resource = model(freshness={"maxAge": own} if own else None)

    decision = reconcile(observed_model(resource, linked(TAGGED), project=served(until)))

    assert says(decision, "FeaturesFresh") == expected
    assert says(decision, "Ready") == ("True", "Verified")
    freshness = decision.status.freshness
    assert freshness is not None
    assert freshness.oldest_view == "stats"


def test_project_objective_is_the_default_for_models() -> None:
    project = served("10:00", freshness={"maxAge": "1h"})

    decision = reconcile(observed_model(model(), linked(TAGGED), project=project))

    assert says(decision, "FeaturesFresh") == ("False", "Stale")
    assert "maxAge is 1h" in message(decision, "FeaturesFresh")


@pytest.mark.parametrize(
    ("seen", "reason", "words"),
    [
        pytest.param({"not_served": True}, "NotServed", "Feast does not serve it", id="a dead job"),
        pytest.param(
            {"future_until": NOW + timedelta(days=900), "materialized_until": None},
            "WatermarkInFuture",
            "until a time after now",
            id="a window into the future",
        ),
    ],
)
def test_a_model_says_why_its_view_is_not_fresh(
    seen: dict[str, object], reason: str, words: str
) -> None:
    project = served("11:30", freshness={"maxAge": "1h"})
    views = tuple(view.model_copy(update=seen) for view in project.status.feature_views)
    status = project.status.model_copy(update={"feature_views": views})

    decision = reconcile(
        observed_model(
            model(), linked(TAGGED), project=project.model_copy(update={"status": status})
        )
    )

    assert says(decision, "FeaturesFresh") == ("False", reason)
    assert message(decision, "FeaturesFresh").startswith("feature view stats")
    assert words in message(decision, "FeaturesFresh")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ProblemKind.NOT_ONLINE, "feature view stats is not online any more"),
        (ProblemKind.VIEW_DISABLED, "feature view stats is disabled"),
    ],
)
def test_a_view_that_is_not_served_any_more_is_not_fresh(kind: ProblemKind, words: str) -> None:
    """Nothing materializes it, so no time of it says that its rows stay as they are."""
    frozen = linked(TAGGED, Verdict.BROKEN)
    assert frozen.judgement is not None
    problem = Problem("stats", kind, "before", "now")
    judged = replace(frozen, judgement=replace(frozen.judgement, problems=(problem,)))

    decision = reconcile(observed_model(model(), judged))

    assert says(decision, "FeaturesFresh") == ("False", "NotServed")
    assert words in message(decision, "FeaturesFresh")


def test_without_a_registry_there_is_no_freshness() -> None:
    decision = reconcile(observed_model(model(), linked(TAGGED), snapshot=None))

    assert decision.status.freshness is None
    assert says(decision, "FeaturesFresh") == ("Unknown", "NoObjective")


def test_tags_are_written_once() -> None:
    first = reconcile(observed_model(model(), linked(CHAMPION)))
    assert written(first) == {**OWN, **FEAST}
    assert says(first, "Tagged") == ("False", "Progressing")

    again = reconcile(observed_model(after(first), linked(TAGGED)))

    assert not again.after
    assert says(again, "Tagged") == ("True", "Succeeded")


@pytest.mark.parametrize("got_through", range(len(OWN) + len(FEAST) + 1))
def test_partly_written_tags_keep_the_baseline(got_through: int) -> None:
    """Tags are written one by one, and MLflow or this process may stop after any of them."""
    first = linked(CHAMPION)
    tags = dict(list(written(reconcile(observed_model(model(), first))).items())[:got_through])

    assert recorded_baseline(tags) in (
        None,
        replace(
            first.baseline, schema_digest=OWN["featurelineage.io/baseline-digest"], revision=""
        ),
    )
    again = reconcile(observed_model(model(), linked(replace(CHAMPION, tags=tags))))
    assert {**tags, **written(again)} == {**OWN, **FEAST}


@pytest.mark.parametrize(
    ("mode", "expected", "tagged"),
    [
        ("All", {**OWN, **FEAST}, ("False", "Progressing")),
        ("OwnKeys", OWN, ("False", "Progressing")),
        ("Off", {}, ("False", "Disabled")),
    ],
)
def test_tags_mode_narrows_what_is_written(
    mode: str, expected: dict[str, str], tagged: tuple[str, str]
) -> None:
    decision = reconcile(observed_model(model(tags={"mode": mode}), linked(CHAMPION)))

    assert written(decision) == expected
    assert says(decision, "Tagged") == tagged


def test_a_suspended_model_is_judged_and_nothing_is_written() -> None:
    left = version("1", **OWN)
    resource = model(suspend=True)

    decision = reconcile(observed_model(resource, linked(version("2", "champion")), left=left))

    assert not decision.after
    assert says(decision, "Tagged") == ("False", "Disabled")
    assert says(decision, "Ready") == ("True", "Verified")


def test_another_value_of_a_feast_key_is_never_overwritten() -> None:
    theirs = replace(CHAMPION, tags={"feast.feature_service": "theirs", "feast.project": "x"})

    tags = written(reconcile(observed_model(model(), linked(theirs))))

    assert tags == {k: v for k, v in {**OWN, **FEAST}.items() if k not in theirs.tags}


def test_a_declaration_that_counts_overwrites_what_differs() -> None:
    theirs = replace(CHAMPION, tags={**OWN, **FEAST, "feast.feature_service": "theirs"})
    resource = model(featureService="activity", onConflict="UseDeclared")

    assert written(reconcile(observed_model(resource, linked(theirs)))) == {
        "feast.feature_service": "activity"
    }


def test_changed_verdict_is_written_and_baseline_kept() -> None:
    item = replace(linked(TAGGED, Verdict.BROKEN), baseline=None)

    assert written(reconcile(observed_model(model(), item))) == {
        "featurelineage.io/verdict": "Broken"
    }


def test_preliminary_verdict_replaces_only_another() -> None:
    unsure = {"origin": None, "refs": (), "service": ""}
    fresh = linked(CHAMPION, Verdict.UNKNOWN, reason="NoFeastLineage", **unsure)
    known = linked(TAGGED, Verdict.UNKNOWN, reason="NoFeastLineage", **unsure)

    assert "featurelineage.io/verdict" not in written(reconcile(observed_model(model(), fresh)))
    assert (
        written(reconcile(observed_model(model(), known)))["featurelineage.io/verdict"] == "Unknown"
    )


def test_what_is_not_known_for_sure_is_not_written_as_feast_s() -> None:
    item = linked(CHAMPION, Verdict.AMBIGUOUS, refs=())

    assert not any(
        key.startswith("feast.") for key in written(reconcile(observed_model(model(), item)))
    )


def test_a_tag_that_is_too_long_for_mlflow_is_left_out() -> None:
    many = tuple(FeatureRef("stats", f"{number:060}") for number in range(2000))

    tags = written(reconcile(observed_model(model(), linked(CHAMPION, refs=many))))

    assert "feast.feature_refs" not in tags
    assert tags["feast.feature_count"] == "2000"


@pytest.mark.parametrize(
    ("older_owners", "named"),
    [
        pytest.param(("ml/elder",), "the older TrainedModel elder writes", id="own namespace"),
        pytest.param(
            ("evil/elder",), "an older TrainedModel of another namespace writes", id="another"
        ),
        pytest.param(("evil/oldest", "ml/elder"), "TrainedModel elder writes", id="both"),
    ],
)
def test_the_older_of_two_resources_writes_the_tags(
    older_owners: tuple[str, ...], named: str
) -> None:
    decision = reconcile(observed_model(model(), linked(CHAMPION), older_owners=older_owners))

    assert not decision.after
    assert says(decision, "Tagged") == ("False", "OwnedByOther")
    assert named in message(decision, "Tagged")
    assert "evil" not in decision.status.model_dump_json()
    assert says(decision, "Ready") == ("True", "Verified")


def test_a_model_that_is_not_shown_may_be_one_to_ask_the_platform_for() -> None:
    named = ProjectScenario(mlflow={"serverRef": "prod"}).project
    own, platforms = (
        reconcile(observed_model(model(), None, project=project, view=registry_view()))
        for project in (ProjectScenario(mlflow=MLFLOW).project, named)
    )

    assert says(own, "Resolved") == says(platforms, "Resolved") == ("False", "ModelNotFound")
    assert "mlflowServers[].access" in message(platforms, "Resolved")
    assert "mlflowServers" not in message(own, "Resolved")


def test_deleted_resource_writes_nothing() -> None:
    resource = model()
    gone = resource.metadata.model_copy(update={"deletion_timestamp": NOW})

    decision = reconcile(
        observed_model(resource.model_copy(update={"metadata": gone}), linked(CHAMPION))
    )

    assert decision.finished
    assert not decision.after


def moved(status: TrainedModelStatus, to: LinkedVersion, **fields: Any) -> Any:
    """A later reconcile, after the alias has moved to this version."""
    resource = model().model_copy(update={"status": status})
    return reconcile(observed_model(resource, to, now=NOW + timedelta(hours=1), **fields))


def test_history_has_the_versions_of_the_alias() -> None:
    first = reconcile(observed_model(model(), linked(TAGGED))).status
    assert [(e.version, e.to) for e in first.history] == [("1", None)]

    second = moved(first, linked(version("2", "champion"), Verdict.CHANGED)).status

    later = NOW.replace(microsecond=0) + timedelta(hours=1)
    assert [(e.version, e.from_, e.to, e.verdict) for e in second.history] == [
        ("2", later, None, Verdict.CHANGED),
        ("1", NOW.replace(microsecond=0), later, Verdict.VERIFIED),
    ]


def test_history_keeps_the_verdict_as_it_was_at_the_end() -> None:
    first = reconcile(observed_model(model(), linked(TAGGED))).status

    broken = moved(first, linked(TAGGED, Verdict.BROKEN)).status

    assert [(e.version, e.verdict, e.to) for e in broken.history] == [("1", Verdict.BROKEN, None)]


def test_recreated_model_is_another_version() -> None:
    first = reconcile(observed_model(model(), linked(TAGGED))).status
    anew = replace(TAGGED, created_at=NOW)

    second = moved(first, linked(anew)).status

    assert [entry.version for entry in second.history] == ["1", "1"]


def test_history_says_when_the_alias_was_taken_away() -> None:
    first = reconcile(observed_model(model(), linked(TAGGED))).status
    resource = model().model_copy(update={"status": first})
    gone = replace(TAGGED, aliases=())

    decision = reconcile(
        observed_model(
            resource, None, view=registry_view(gone), now=NOW + timedelta(hours=1), left=gone
        )
    )
    later = NOW.replace(microsecond=0) + timedelta(hours=1)
    assert [(e.version, e.to) for e in decision.status.history] == [("1", later)]
    assert removed(decision) == [("1", ("featurelineage.io/verdict",))]

    back = moved(decision.status, linked(TAGGED)).status
    assert [(e.version, e.to) for e in back.history] == [("1", None), ("1", later)]


def test_an_outage_is_no_news_for_history() -> None:
    first = reconcile(observed_model(model(), linked(TAGGED))).status
    resource = model().model_copy(update={"status": first})

    decision = reconcile(observed_model(resource, None, view=None, failure=OUTAGE))

    assert decision.status.history == first.history


def test_history_keeps_ten() -> None:
    status = TrainedModelStatus()
    for number in range(1, 14):
        status = moved(status, linked(version(str(number), "champion"))).status

    assert [entry.version for entry in status.history] == [str(n) for n in range(13, 3, -1)]


def test_a_pinned_version_has_no_history() -> None:
    resource = model(model={"name": "driver_model", "version": "1"})

    assert reconcile(observed_model(resource, linked(TAGGED))).status.history == ()


def test_the_verdict_leaves_the_version_that_the_alias_left() -> None:
    left = replace(TAGGED, aliases=())
    first = reconcile(observed_model(model(), linked(TAGGED))).status

    decision = moved(first, linked(version("2", "champion")), left=left)

    assert removed(decision) == [("1", ("featurelineage.io/verdict",))]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"older_owners": ("ml/elder",)}, id="the older one sees to it"),
        pytest.param({"failure": OUTAGE}, id="MLflow is down"),
        pytest.param({"left": version("1")}, id="it carries none"),
    ],
)
def test_when_no_verdict_is_taken_away(fields: dict[str, Any]) -> None:
    fields = {"left": replace(TAGGED, aliases=()), **fields}

    assert not removed(
        reconcile(observed_model(model(), linked(version("2", "champion")), **fields))
    )


def test_no_verdict_is_taken_away_where_none_is_written() -> None:
    resource = model(tags={"mode": "Off"})
    left = replace(TAGGED, aliases=())

    assert not reconcile(observed_model(resource, linked(CHAMPION), left=left)).after


def test_a_verdict_has_one_event() -> None:
    first = reconcile(observed_model(model(), linked(TAGGED, Verdict.BROKEN)))
    assert [(e.kind, e.reason, e.message) for e in shown(first.events)] == [
        ("Warning", "Broken", "it is Broken")
    ]

    assert not reconcile(observed_model(after(first), linked(TAGGED, Verdict.BROKEN))).events

    healed = reconcile(observed_model(after(first), linked(TAGGED, Verdict.VERIFIED)))
    assert [(e.kind, e.reason) for e in shown(healed.events)] == [("Normal", "Verified")]


def test_a_first_reconcile_without_facts_has_no_event() -> None:
    item = linked(TAGGED, Verdict.UNKNOWN, reason="NoFeastLineage")

    assert not shown(reconcile(observed_model(model(), item)).events)


@pytest.mark.parametrize("unread", [None, Verdict.UNKNOWN])
def test_the_order_of_reconciles_makes_no_events(unread: Verdict | None) -> None:
    """A model may be reconciled before or after its project has read the registry."""
    item = linked(TAGGED, unread, reason="RegistryUnseen")
    before = reconcile(observed_model(model(), item))
    assert says(before, "LineageVerified") == ("Unknown", "RegistryUnseen")

    read = reconcile(observed_model(after(before), linked(TAGGED, Verdict.UNCHANGED)))
    assert not shown(before.events) + shown(read.events)
    lost = reconcile(observed_model(after(read), item))
    assert not shown(lost.events)
    broken = reconcile(observed_model(after(lost), linked(TAGGED, Verdict.BROKEN)))
    assert [e.reason for e in shown(broken.events)] == ["Broken"]


def test_a_model_that_is_renamed_has_one_event() -> None:
    first = reconcile(observed_model(model(), linked(TAGGED)))

    lost = reconcile(observed_model(after(first), None))
    assert [(e.kind, e.reason) for e in shown(lost.events)] == [("Warning", "ModelNotFound")]
    assert not reconcile(observed_model(after(lost), None)).events
    never = reconcile(observed_model(model(), None))
    assert not never.events, "a manifest may be applied before its model is trained"
    outage = observed_model(after(first), None, view=None, failure=OUTAGE)
    assert not reconcile(outage).events


def test_a_verdict_is_dated_by_its_flip() -> None:
    first = reconcile(observed_model(model(), linked(TAGGED))).status
    same = moved(first, linked(TAGGED)).status
    flipped = moved(first, linked(TAGGED, Verdict.BROKEN)).status
    other = moved(first, linked(version("2", "champion"))).status

    since = NOW.replace(microsecond=0)
    later = since + timedelta(hours=1)
    assert [s.lineage.verdict_since for s in (first, same, flipped, other) if s.lineage] == [
        since,
        since,
        later,
        later,
    ]


def test_a_quiet_pass_changes_nothing() -> None:
    first = reconcile(observed_model(model(), linked(TAGGED)))

    again = reconcile(observed_model(after(first), linked(TAGGED), now=NOW + timedelta(minutes=5)))

    assert again.status == first.status
    assert (again.before, again.after, again.events) == ((), (), ())


def test_a_request_that_was_acted_on_is_noted() -> None:
    resource = model(annotations={"featurelineage.io/reconcile-requested-at": "now"})

    assert reconcile(observed_model(resource, None)).status.last_handled_reconcile_at == "now"


def test_problems_are_listed_up_to_a_cap_with_their_total() -> None:
    problems = tuple(Problem(f"stats:f{n}", ProblemKind.FEATURE_GONE) for n in range(60))
    item = linked(TAGGED, Verdict.BROKEN)
    assert item.judgement is not None
    judged = replace(item.judgement, problems=problems, problems_total=60)
    item = replace(item, judgement=judged)

    lineage = reconcile(observed_model(model(), item)).status.lineage

    assert lineage is not None
    assert (len(lineage.problems), lineage.problems_total) == (50, 60)
    assert lineage.problems[0].was is None


def test_a_list_that_was_cut_off_says_so() -> None:
    item = linked(TAGGED, Verdict.AMBIGUOUS, count=500)

    lineage = reconcile(observed_model(model(), item)).status.lineage

    assert lineage is not None
    assert (lineage.truncated, lineage.feature_count) == (True, 500)


def test_unresolved_references_requeue_every_30_seconds() -> None:
    decision = reconcile(observed_model(model(), None, project=None))

    assert decision.requeue_at == NOW + timedelta(seconds=30)


def test_old_registry_read_gives_unknown_freshness() -> None:
    project = served("10:00", freshness={"maxAge": "1h"}, apply={"mode": "Observe"})
    late = NOW + timedelta(hours=3)

    decision = reconcile(observed_model(model(), linked(TAGGED), project=project, now=late))

    assert says(decision, "FeaturesFresh") == ("Unknown", "ObservedTooSeldom")


def test_a_declaration_is_written_as_feast_s_and_marked_as_one() -> None:
    item = linked(CHAMPION, origin=LineageOrigin.DECLARED)

    tags = written(reconcile(observed_model(model(featureService="activity"), item)))

    assert tags["feast.feature_service"] == "activity"
    assert "activity" in [v for k, v in tags.items() if k.startswith("featurelineage.io/")]


def test_the_revision_tag_is_that_of_training_or_missing() -> None:
    """Another commit may have been applied between the training and the first link."""
    first = linked(CHAMPION)
    known, unknown = (
        replace(first, baseline=replace(first.baseline, revision=revision))
        for revision in ("f" * 40, "")
    )

    assert written(reconcile(observed_model(model(), known)))[REVISION] == "f" * 40
    assert REVISION not in written(reconcile(observed_model(model(), unknown)))
